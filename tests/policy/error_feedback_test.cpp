#include "ams/policy/budget/error_feedback.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "ams/core/error.hpp"

namespace {

using ams::CoordinateSet;
using ams::ErrorFeedback;

}  // namespace

TEST_CASE("nothing is unsent at the beginning") {
  std::vector<float> parameters{1, 2, 3};
  ErrorFeedback{}.add_to(parameters, CoordinateSet::all(3));
  CHECK(parameters == std::vector<float>{1, 2, 3});
}

TEST_CASE("what was not sent comes back where it is trained again, and only there") {
  ErrorFeedback feedback;
  feedback.remember(std::vector<float>{1, 1, 1, 1}, std::vector<float>{2, 0, 5, 9},
                    CoordinateSet::from_sorted(4, {0, 1, 3}));
  std::vector<float> parameters{10, 10, 10, 10};
  feedback.add_to(parameters, CoordinateSet::from_sorted(4, {1, 2}));
  CHECK(parameters == std::vector<float>{10, 9, 10, 10});
  feedback.add_to(parameters, CoordinateSet::all(4));
  CHECK(parameters == std::vector<float>{11, 8, 10, 18});

  // Coordinate 0 has been sent since.
  feedback.remember(std::vector<float>{4, 4, 4, 4}, std::vector<float>{4, 4, 4, 4},
                    CoordinateSet::from_sorted(4, {0}));
  std::vector<float> again{0, 0, 0, 0};
  feedback.add_to(again, CoordinateSet::all(4));
  CHECK(again == std::vector<float>{0, -1, 0, 8});
}

TEST_CASE(
    "however coarsely each update is rounded, all movement arrives but for the last rounding") {
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0.02F, 0.1F);
  constexpr std::size_t n = 50;
  constexpr float step = 0.5F;
  ErrorFeedback feedback;
  std::vector<float> held(n, 0), wanted(n, 0);
  std::vector<double> without(n, 0);
  const CoordinateSet all = CoordinateSet::all(n);
  double lost = 0;
  for (int phase = 0; phase < 200; ++phase) {
    std::vector<float> trained = held;
    feedback.add_to(trained, all);
    for (std::size_t i = 0; i < n; ++i) {
      const float moved = normal(random);
      wanted[i] += moved;
      trained[i] += moved;
      without[i] += step * std::round(moved / step);
    }
    for (std::size_t i = 0; i < n; ++i) {
      held[i] += step * std::round((trained[i] - held[i]) / step);
    }
    feedback.remember(held, trained, all);
  }
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(std::abs(held[i] - wanted[i]) <= step / 2 + 1e-3);
    lost += std::abs(without[i] - double(wanted[i])) / n;
  }
  CHECK(lost > 2 * step);  // the test can tell
}

TEST_CASE("sizes that differ are refused") {
  ErrorFeedback feedback;
  std::vector<float> three(3), four(4);
  CHECK_THROWS_AS(feedback.add_to(three, CoordinateSet::all(4)), ams::Error);
  CHECK_THROWS_AS(feedback.remember(three, four, CoordinateSet::all(3)), ams::Error);
  CHECK_THROWS_AS(feedback.remember(three, three, CoordinateSet::all(4)), ams::Error);
  feedback.remember(three, three, CoordinateSet::all(3));
  CHECK_THROWS_AS(feedback.add_to(four, CoordinateSet::all(4)), ams::Error);
  CHECK_THROWS_AS(feedback.remember(four, four, CoordinateSet::all(4)), ams::Error);
}
