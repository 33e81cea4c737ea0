#include "ams/policy/fixed.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "core/expect_error.hpp"

using namespace ams;
using ams::test::expect_error;

namespace {

ModelState with_normalization() {
  return {std::make_shared<const Manifest>(std::vector<TensorSpec>{
              {.name = "conv", .shape = {30}},
              {.name = "norm", .shape = {4}, .role = TensorRole::normalization},
              {.name = "head", .shape = {6}, .role = TensorRole::head}}),
          std::vector<float>(40, 1.0F)};
}

ModelState without_normalization() {
  return {std::make_shared<const Manifest>(std::vector<TensorSpec>{
              {.name = "conv", .shape = {30}},
              {.name = "head", .shape = {6}, .role = TensorRole::head}}),
          std::vector<float>(36, 1.0F)};
}

PhasePlan first_plan(const ModelState& held, FixedOptions options = {}) {
  FixedPolicy policy(std::move(options));
  policy.prepare(held);
  policy.start(0);
  Random random(1);
  return policy.plan({0, held, AdamState(held.values().size()), {}, 1, 1}, random);
}

}  // namespace

TEST_CASE("without options a policy does what libams recommends") {
  const PhasePlan plan = first_plan(with_normalization());
  CHECK(plan.required_gradients == std::vector<bool>{false, true, true});
  CHECK(plan.coordinates.size() == 10);
  CHECK(plan.adam.learning_rate == recommended_learning_rate);
  CHECK(plan.adam.multipliers.normalization == 5);
  CHECK(plan.adam.multipliers.head == 4);
  FixedPolicy policy;
  const EncodePlan encode = policy.encode(0, {});
  REQUIRE(encode.ways.size() == 1);
  CHECK(encode.ways[0].profile == UpdateProfile::compact);
  CHECK(encode.ways[0].compact.relative_step == 2);
  CHECK(policy.update_interval_seconds() == 2);
}

TEST_CASE("a model without normalisation layers is trained whole") {
  const PhasePlan plan = first_plan(without_normalization());
  CHECK(plan.coordinates.size() == 36);
  CHECK(plan.adam.multipliers.weight == 1);
  CHECK(plan.adam.multipliers.head == 1);
}

TEST_CASE("a strategy learns at its recommended rates unless others are given") {
  CHECK(first_plan(with_normalization(), {.strategy = gradient_guided(0.05)})
            .adam.multipliers.weight == 16);
  CHECK(first_plan(with_normalization(), {.strategy = gradient_guided(0.25)})
            .adam.multipliers.weight == 4);
  const StrategyPtr united = unite(normalization(), gradient_guided(0.25));
  CHECK(first_plan(with_normalization(), {.strategy = united}).adam.multipliers.weight == 2);
  const PhasePlan given = first_plan(
      with_normalization(),
      {.strategy = gradient_guided(0.25), .multipliers = {.weight = 1, .head = 3}});
  CHECK(given.adam.multipliers.weight == 1);
  CHECK(given.adam.multipliers.normalization == 1);
  CHECK(given.adam.multipliers.head == 3);
}

TEST_CASE("options out of range are refused before a session begins") {
  expect_error(
      ErrorCode::invalid_argument, [] { FixedPolicy({.multipliers = {.head = 0}}); }, "head");
  expect_error(
      ErrorCode::invalid_argument, [] { FixedPolicy({.adam = {.learning_rate = 0}}); },
      "learning_rate");
}

TEST_CASE("a minute of samples is what a mini-batch is drawn from") {
  const auto samples = [](double max_fps, double update_interval_seconds, std::size_t given) {
    PaceOptions pace;
    pace.sampling.max_fps = max_fps;
    pace.sampling.initial_fps = max_fps;
    pace.update_interval_seconds = update_interval_seconds;
    pace.buffer_samples = given;
    return FixedPolicy({.pace = pace}).buffer_samples();
  };
  CHECK(samples(1, 2, 0) == 60);
  CHECK(samples(0.5, 2, 0) == 60);
  CHECK(samples(1.5, 2, 0) == 90);
  CHECK(samples(2, 90, 0) == 180);
  CHECK(samples(2, 90, 25) == 25);
}
