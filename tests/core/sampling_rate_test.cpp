#include "ams/core/sampling_rate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"

using namespace ams;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const double not_a_number = std::nan("");

}  // namespace

TEST_CASE("defaults are the paper's range and interval") {
  const SamplingRateController controller;
  CHECK(controller.options().min_fps == 0.1);
  CHECK(controller.options().max_fps == 1);
  CHECK(controller.rate_fps() == 1);
  CHECK_FALSE(controller.due(9.999));
  CHECK(controller.due(10));
}

TEST_CASE("every decision is one step of equation (1)") {
  Random random(3);
  for (int run = 0; run < 20; ++run) {
    SamplingRateOptions options;
    options.min_fps = 0.05 + 0.2 * random.uniform();
    options.max_fps = options.min_fps + 2 * random.uniform();
    options.initial_fps = options.min_fps + (options.max_fps - options.min_fps) * random.uniform();
    options.step_fps = 0.05 + random.uniform();
    options.phi_target = random.uniform();
    SamplingRateController controller(options);
    double rate = options.initial_fps;
    for (int t = 1; t <= 100; ++t) {
      const double phi = 2 * random.uniform() - 0.3;
      rate += options.step_fps * (phi - options.phi_target);
      if (rate < options.min_fps) rate = options.min_fps;
      if (rate > options.max_fps) rate = options.max_fps;
      CHECK(controller.decide(10.0 * t, phi) == rate);
      CHECK(controller.rate_fps() == rate);
    }
  }
}

TEST_CASE("decisions keep to a grid of delta_t") {
  SamplingRateOptions options;
  options.interval_seconds = 10;
  SamplingRateController controller(options, 100);
  CHECK_FALSE(controller.due(109.5));
  CHECK(controller.due(110.4));
  controller.decide(110.4, 0);  // late: the next one is still due at 120
  CHECK_FALSE(controller.due(119.9));
  CHECK(controller.due(120));
  controller.decide(120, 0);  // in time
  CHECK_FALSE(controller.due(129.9));
  CHECK(controller.due(130));
  controller.decide(157, 0);  // 130, 140 and 150 were missed: one decision stands for all
  CHECK_FALSE(controller.due(159.9));
  CHECK(controller.due(160));
  controller.decide(159.9, 0);  // a little early: stands for the one at 160
  CHECK_FALSE(controller.due(169.9));
  CHECK(controller.due(170));
}

TEST_CASE("a scene whose labels change with distance in time settles at the target") {
  // phi between samples dt apart grows as sqrt(dt); it is the target at 4 seconds.
  SamplingRateOptions options;
  SamplingRateController controller(options);
  double rate = controller.rate_fps();
  for (int t = 1; t <= 60; ++t) {
    rate = controller.decide(10.0 * t, options.phi_target * std::sqrt(1 / rate) / 2);
  }
  CHECK(rate == doctest::Approx(0.25).epsilon(1e-3));
}

TEST_CASE("a fast scene goes to r_max and a still one to r_min") {
  SamplingRateOptions options;
  options.initial_fps = 0.5;
  SamplingRateController fast(options);
  SamplingRateController still(options);
  for (int t = 1; t <= 20; ++t) {
    fast.decide(10.0 * t, 0.6);
    still.decide(10.0 * t, 0.1);
  }
  CHECK(fast.rate_fps() == options.max_fps);
  CHECK(still.rate_fps() == options.min_fps);
}

TEST_CASE("a controller made from a saved state goes on alike") {
  SamplingRateOptions options;
  SamplingRateController controller(options, 3);
  controller.decide(14, 0.2);
  SamplingRateController again(options, controller.state());
  for (const double now : {20.0, 23.0, 40.0, 90.0, 95.0}) {
    CHECK(controller.due(now) == again.due(now));
    CHECK(controller.decide(now, 0.01 * now) == again.decide(now, 0.01 * now));
  }
}

TEST_CASE("options are checked") {
  const auto refuses = [](auto set, const char* field) {
    SamplingRateOptions options;
    set(options);
    CHECK_THROWS_WITH_AS(validate(options), doctest::Contains(field), Error);
    CHECK_THROWS_AS((SamplingRateController{options}), Error);
    CHECK_THROWS_AS(SamplingRateController(options, SamplingRateState{}), Error);
  };
  for (const double bad : {0.0, -1.0, infinity, not_a_number}) {
    refuses([&](auto& o) { o.min_fps = bad; }, "min_fps");
    refuses([&](auto& o) { o.step_fps = bad; }, "step_fps");
    refuses([&](auto& o) { o.interval_seconds = bad; }, "interval_seconds");
    refuses([&](auto& o) { o.initial_fps = bad; }, "initial_fps");
  }
  for (const double bad : {0.05, infinity, not_a_number}) {
    refuses([&](auto& o) { o.max_fps = bad; }, "max_fps");
  }
  for (const double bad : {-infinity, not_a_number}) {
    refuses([&](auto& o) { o.phi_target = bad; }, "phi_target");
  }
  refuses([](auto& o) { o.initial_fps = 1.01; }, "[0.1, 1]");
  CHECK_NOTHROW(validate(SamplingRateOptions{.min_fps = 1, .max_fps = 1, .initial_fps = 1}));
}

TEST_CASE("states and times are checked, and a refused decision changes nothing") {
  const SamplingRateOptions options;
  CHECK_THROWS_AS(SamplingRateController(options, infinity), Error);
  CHECK_THROWS_AS(SamplingRateController(options, SamplingRateState{0.05, 10}), Error);
  CHECK_THROWS_AS(SamplingRateController(options, SamplingRateState{not_a_number, 10}), Error);
  CHECK_THROWS_AS(SamplingRateController(options, SamplingRateState{1, not_a_number}), Error);
  SamplingRateController controller(options, SamplingRateState{0.5, 10});
  CHECK_THROWS_AS(controller.decide(not_a_number, 0), Error);
  CHECK_THROWS_AS(controller.decide(10, not_a_number), Error);
  CHECK_THROWS_AS(controller.decide(10, infinity), Error);
  CHECK(controller.rate_fps() == 0.5);
  CHECK(controller.due(10));
}
