#include "ams/policy/learning_rates.hpp"

#include <doctest/doctest.h>

#include <array>

#include "core/expect_error.hpp"

using ams::ErrorCode;
using ams::test::expect_error;

TEST_CASE("how fast a strategy should learn") {
  using Multipliers = std::array<double, 3>;  // weight, normalization, head
  const auto recommended = [](const char* name, double gamma) {
    const ams::LearningRateMultipliers l = ams::recommended_multipliers(name, gamma);
    return Multipliers{l.weight, l.normalization, l.head};
  };
  CHECK(recommended("full", 0.05) == Multipliers{1, 1, 1});
  CHECK(recommended("normalization", 0) == Multipliers{1, 5, 1});
  CHECK(recommended("normalization_and_head", 0.05) == Multipliers{1, 5, 4});
  for (const double gamma : {0.01, 0.0625}) {
    CHECK(recommended("normalization+gradient_guided", gamma) == Multipliers{4, 5, 4});
    CHECK(recommended("normalization_and_head+gradient_guided", gamma) == Multipliers{4, 5, 4});
  }
  CHECK(recommended("normalization+gradient_guided", 0.25) == Multipliers{2, 5, 2});
  CHECK(recommended("normalization_and_head+gradient_guided", 0.25) == Multipliers{2, 5, 4});
  CHECK(recommended("normalization_and_head+gradient_guided", 1) == Multipliers{1, 5, 4});
  CHECK(recommended("normalization+last_layers", 0.02) == Multipliers{16, 5, 16});
  CHECK(recommended("normalization+last_layers", 0.25) == Multipliers{4, 5, 4});
  for (const char* name :
       {"gradient_guided", "random", "first_layers", "last_layers", "first_and_last_layers"}) {
    CHECK(recommended(name, 0.001) == Multipliers{16, 16, 16});
    CHECK(recommended(name, 0.05) == Multipliers{16, 16, 16});
    CHECK(recommended(name, 0.25) == Multipliers{4, 4, 4});
    CHECK(recommended(name, 1) == recommended("full", 1));
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)recommended(name, 0); }, "gamma");
  }
  expect_error(
      ErrorCode::invalid_argument, [&] { (void)recommended("best", 0.05); }, "best",
      "gradient_guided");

  // What is given stands instead, for weights also where a role is nothing else to the strategy:
  // that a recommended rate happens to be the weights' does not make it so.
  const auto given = [](const char* name, double gamma, const ams::GivenMultipliers& some) {
    const ams::LearningRateMultipliers l = ams::recommended_multipliers(name, gamma, some);
    return Multipliers{l.weight, l.normalization, l.head};
  };
  CHECK(given("gradient_guided", 0.25, {.weight = 2}) == Multipliers{2, 2, 2});
  CHECK(given("full", 1, {.weight = 2, .head = 3}) == Multipliers{2, 2, 3});
  CHECK(given("normalization", 1, {.weight = 3}) == Multipliers{3, 5, 3});
  CHECK(given("normalization_and_head", 1, {.weight = 3}) == Multipliers{3, 5, 4});
  CHECK(given("normalization+gradient_guided", 0.2, {.weight = 10}) == Multipliers{10, 5, 10});
  CHECK(given("normalization_and_head+gradient_guided", 0.04, {.normalization = 2}) ==
        Multipliers{4, 2, 4});
  for (const double bad : {0.0, -1.0, 1e7}) {
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)given("full", 1, {.weight = bad}); }, "weight");
  }
}
