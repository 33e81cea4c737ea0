#include "ams/core/phi_score.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"

using namespace ams;

TEST_CASE("the tracker compares each label with the one before, as prediction and ground truth") {
  std::vector<std::pair<int, int>> calls;
  const auto loss = [&](int prediction, int truth) {
    calls.emplace_back(prediction, truth);
    return 10.0 * prediction + truth;
  };
  PhiScoreTracker<int, decltype(loss)> phi(loss);
  CHECK_FALSE(phi.add(1).has_value());
  CHECK_FALSE(phi.mean().has_value());
  CHECK(phi.add(2).value() == 21);
  CHECK(phi.add(4).value() == 42);
  CHECK(calls == std::vector<std::pair<int, int>>{{2, 1}, {4, 2}});
  CHECK(phi.count() == 2);
  CHECK(phi.mean().value() == 31.5);

  CHECK(phi.take_mean().value() == 31.5);
  CHECK_FALSE(phi.take_mean().has_value());
  CHECK(phi.add(0).value() == 4);  // the last label of the period before is still known
  CHECK(phi.mean().value() == 4);

  phi.reset();
  CHECK(phi.count() == 0);
  CHECK_FALSE(phi.add(7).has_value());
}

TEST_CASE("the tracker takes labels that can only be moved, and losses that may be nothing") {
  using Label = std::unique_ptr<int>;
  const auto loss = [](const Label& prediction, const Label& truth) -> std::optional<double> {
    if (*truth < 0) return std::nullopt;
    return *prediction - *truth;
  };
  PhiScoreTracker<Label, decltype(loss)> phi(loss);
  phi.add(std::make_unique<int>(-1));
  CHECK_FALSE(phi.add(std::make_unique<int>(3)).has_value());
  CHECK(phi.count() == 0);
  CHECK(phi.add(std::make_unique<int>(5)).value() == 2);
  CHECK(phi.mean().value() == 2);
}

TEST_CASE("a loss that fails leaves the tracker as it was") {
  const auto loss = [](double prediction, double truth) {
    if (prediction > 100) throw Error(ErrorCode::invalid_argument, "too large");
    return prediction - truth;
  };
  PhiScoreTracker<double, decltype(loss)> phi(loss);
  phi.add(1);
  phi.add(3);
  CHECK_THROWS_AS(phi.add(101), Error);
  CHECK_THROWS_WITH_AS(phi.add(-std::numeric_limits<double>::infinity()),
                       doctest::Contains("must be finite"), Error);
  CHECK(phi.count() == 1);
  CHECK(phi.add(4).value() == 1);
  CHECK(phi.mean().value() == 1.5);
}
