#include "ams/core/training_rate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"

using namespace ams;

TEST_CASE("a fast video keeps the base interval") {
  TrainingRateController controller;
  for (int i = 0; i < 20; ++i) {
    controller.observe(1);
    CHECK(controller.advance() == 10);
  }
}

TEST_CASE("slow-down grows by 2 s an update up to 6 times the base, and ends at once") {
  TrainingRateController controller;
  for (int i = 0; i < 5; ++i) controller.observe(0.1);
  CHECK(controller.slowed_down());
  CHECK(controller.interval_seconds() == 10);  // it grows with updates, not with decisions
  for (int i = 1; i <= 25; ++i) CHECK(controller.advance() == 10 + 2 * i);
  CHECK(controller.advance() == 60);
  CHECK(controller.advance() == 60);

  controller.observe(0.9);  // mean 0.26: between the thresholds
  CHECK(controller.slowed_down());
  CHECK(controller.interval_seconds() == 60);
  controller.observe(0.9);  // mean 0.42
  CHECK_FALSE(controller.slowed_down());
  CHECK(controller.interval_seconds() == 10);  // without waiting for an update
  CHECK(controller.advance() == 10);
}

TEST_CASE("between the thresholds the mode stays what it was") {
  TrainingRateController normal;
  for (int i = 0; i < 10; ++i) {
    normal.observe(0.3);
    CHECK(normal.advance() == 10);
  }
  TrainingRateController slowed;
  slowed.observe(0.1);
  for (int i = 0; i < 10; ++i) slowed.observe(0.3);
  CHECK(slowed.advance() == 12);
  CHECK(slowed.advance() == 14);
}

TEST_CASE("the thresholds themselves belong to neither mode") {
  TrainingRateOptions options;
  options.window = 1;
  options.slow_below_fps = 0.25;
  options.fast_above_fps = 0.5;
  TrainingRateController controller(options);
  controller.observe(0.25);
  CHECK_FALSE(controller.slowed_down());
  controller.observe(0.125);
  CHECK(controller.slowed_down());
  controller.observe(0.5);
  CHECK(controller.slowed_down());
}

TEST_CASE("random rates against a plain transcription") {
  Random random(5);
  for (int run = 0; run < 30; ++run) {
    TrainingRateOptions options;
    options.base_interval_seconds = 1 + static_cast<double>(random.below(20));
    options.window = 1 + random.below(7);
    options.max_factor = 1 + static_cast<double>(random.below(4));
    TrainingRateController controller(options);
    std::vector<double> all;
    bool slow = false;
    double interval = options.base_interval_seconds;
    double level = 0.3;
    for (int i = 0; i < 300; ++i) {
      if (random.below(3) > 0) {
        level = std::clamp(level + 0.2 * (random.uniform() - 0.5), 0.1, 1.0);
        all.push_back(level);
        controller.observe(level);
        const auto n = static_cast<std::ptrdiff_t>(std::min(options.window, all.size()));
        const double mean = std::accumulate(all.end() - n, all.end(), 0.0) / static_cast<double>(n);
        if (mean < 0.25) slow = true;
        if (mean > 0.35) {
          slow = false;
          interval = options.base_interval_seconds;
        }
      } else {
        if (slow) {
          interval = std::min(interval + 2, options.max_factor * options.base_interval_seconds);
        }
        CHECK(controller.advance() == interval);
      }
      CHECK(controller.slowed_down() == slow);
      CHECK(controller.interval_seconds() == interval);
    }
  }
}

TEST_CASE("a controller made from a saved state goes on alike") {
  const TrainingRateOptions options;
  TrainingRateController controller(options);
  for (const double rate : {0.5, 0.1, 0.1, 0.1}) controller.observe(rate);
  controller.advance();
  controller.observe(0.1);
  controller.advance();
  TrainingRateController again(options, controller.state());
  for (const double rate : {0.1, 0.4, 0.3, 0.5, 0.9, 0.1, 0.1}) {
    controller.observe(rate);
    again.observe(rate);
    CHECK(controller.advance() == again.advance());
    CHECK(controller.slowed_down() == again.slowed_down());
  }
}

TEST_CASE("options, states and rates are checked") {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto refuses = [](auto set, const char* field) {
    TrainingRateOptions options;
    set(options);
    CHECK_THROWS_WITH_AS(validate(options), doctest::Contains(field), Error);
    CHECK_THROWS_AS((TrainingRateController{options}), Error);
  };
  for (const double bad : {0.0, -2.0, infinity, std::nan("")}) {
    refuses([&](auto& o) { o.base_interval_seconds = bad; }, "base_interval_seconds");
    refuses([&](auto& o) { o.slow_below_fps = bad; }, "slow_below_fps");
    refuses([&](auto& o) { o.fast_above_fps = bad; }, "fast_above_fps");
    refuses([&](auto& o) { o.step_seconds = bad; }, "step_seconds");
    refuses([&](auto& o) { o.max_factor = bad; }, "max_factor");
    TrainingRateController controller;
    CHECK_THROWS_AS(controller.observe(bad), Error);
    CHECK(controller.state().recent_rates_fps.empty());
  }
  refuses([](auto& o) { o.fast_above_fps = 0.2; }, "slow_below_fps = 0.25");
  refuses([](auto& o) { o.max_factor = 0.9; }, "max_factor");
  refuses([](auto& o) { o.base_interval_seconds = 1e308; }, "max_factor");
  refuses([](auto& o) { o.window = 0; }, "window");
  refuses([](auto& o) { o.window = 1001; }, "window");

  const TrainingRateOptions options;
  using State = TrainingRateState;
  CHECK_NOTHROW(TrainingRateController(options, State{60, true, {0.1}}));
  CHECK_THROWS_AS(TrainingRateController(options, State{61, true, {0.1}}), Error);
  CHECK_THROWS_AS(TrainingRateController(options, State{12, false, {0.1}}), Error);
  CHECK_THROWS_AS(TrainingRateController(options, State{9, true, {0.1}}), Error);
  CHECK_THROWS_AS(TrainingRateController(options, State{std::nan(""), true, {0.1}}), Error);
  CHECK_THROWS_AS(TrainingRateController(options, State{10, true, {0.1, 0.0}}), Error);
  CHECK_THROWS_AS(TrainingRateController(options, State{10, false, std::vector<double>(6, 1.0)}),
                  Error);
}
