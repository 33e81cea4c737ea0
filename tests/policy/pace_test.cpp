#include "ams/policy/pace.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

using namespace ams;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// The message with which the changed options are refused; empty when they are taken.
std::string refusal(const std::function<void(PaceOptions&)>& change) {
  PaceOptions options;
  change(options);
  try {
    validate(options);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the paper's pace is that of its section 4.1") {
  const PaceOptions options = paper_pace();
  CHECK_NOTHROW(validate(options));
  CHECK(options.horizon_seconds == 240);
  CHECK(options.update_interval_seconds == 10);
  CHECK(options.iterations == 20);
}

TEST_CASE("options out of range are refused by name") {
  for (const double bad : {0.0, -1.0, not_a_number, infinity}) {
    CHECK(contains(refusal([&](auto& o) { o.horizon_seconds = bad; }), "horizon_seconds"));
    CHECK(contains(refusal([&](auto& o) { o.update_interval_seconds = bad; }),
                   "update_interval_seconds"));
  }
  for (const double bad : {-1.0, not_a_number, infinity}) {
    CHECK(contains(refusal([&](auto& o) { o.least_spacing = bad; }), "least_spacing"));
    CHECK(contains(refusal([&](auto& o) { o.recency_seconds = bad; }), "recency_seconds"));
    CHECK(contains(refusal([&](auto& o) { o.trainer_share = bad; }), "trainer_share"));
  }
  CHECK(contains(refusal([](auto& o) { o.start_states = 65; }), "0 to 64"));
  CHECK(contains(refusal([](auto& o) { o.iterations = 0; }), "iterations"));
  CHECK(contains(refusal([](auto& o) { o.batch_size = 0; }), "batch_size"));
  CHECK(contains(refusal([](auto& o) { o.batch_size = 5000; }), "1 to 4096"));
  CHECK(contains(refusal([](auto& o) { o.min_samples = 0; }), "min_samples"));
  CHECK_FALSE(refusal([](auto& o) { o.sampling.min_fps = 0; }).empty());
  CHECK(contains(refusal([](auto& o) { o.sampling.min_fps = 1e-4; }), "0.001 to 1000"));
  CHECK_FALSE(refusal([](auto& o) { o.training_rate.max_factor = 0; }).empty());
}

TEST_CASE("a training rate that devices would refuse is refused before") {
  const auto slow = [](PaceOptions& o) { o.update_interval_seconds = 1000; };
  CHECK(refusal(slow).empty());
  CHECK(contains(refusal([&](auto& o) {
                   slow(o);
                   o.adapt_training_rate = true;
                 }),
                 "max_factor"));
  // Whatever passes is one that they accept, to the last bit.
  for (int i = 1; i < 3600; ++i) {
    const double interval = i;
    for (const double factor : {3600 / interval, std::nextafter(3600 / interval, 0.0)}) {
      const bool passes = refusal([&](PaceOptions& o) {
                            o.update_interval_seconds = interval;
                            o.adapt_training_rate = true;
                            o.training_rate.max_factor = factor;
                          }).empty();
      REQUIRE(passes == (factor * interval <= 3600));
    }
  }
}

TEST_CASE("a phase begins when the first samples are there, then every T_update") {
  const Pace pace({.update_interval_seconds = 12, .least_spacing = 1, .min_samples = 3});
  const ModelState held;
  const AdamState adam;
  CHECK_FALSE(pace.next_phase_seconds({5, held, adam, {}, 2, 2}).has_value());
  CHECK(pace.next_phase_seconds({5, held, adam, {}, 3, 3}) == 5);
  CHECK(pace.next_phase_seconds({9, held, adam, 5, 4, 1}) == 17);
  const Pace eager({.update_interval_seconds = 12, .least_spacing = 0.25});
  CHECK(eager.next_phase_seconds({9, held, adam, 5, 4, 1}) == 8);
}

TEST_CASE("on a slow trainer K shrinks first, and T_update grows after that") {
  Pace pace({.update_interval_seconds = 2, .iterations = 8, .trainer_share = 0.5});
  pace.on_trained(0.8, 8);  // 0.1 s each; a second is allowed
  CHECK(pace.iterations() == 8);
  pace.on_trained(1.6, 8);
  CHECK(pace.iterations() == 5);
  CHECK(pace.update_interval_seconds() == 2);
  pace.on_trained(5, 5);
  CHECK(pace.iterations() == Pace::min_iterations);
  CHECK(pace.update_interval_seconds() == 4);  // half of it for two seconds
  pace.on_trained(5, 2);
  CHECK(pace.iterations() == Pace::min_iterations);
  CHECK(pace.update_interval_seconds() == 10);
  // It comes back step by step.
  pace.on_trained(0.02, 2);
  CHECK(pace.update_interval_seconds() == 2);
  CHECK(pace.iterations() == 4);
  pace.on_trained(0.04, 4);
  CHECK(pace.iterations() == 8);

  Pace fixed(paper_pace());
  fixed.on_trained(1000, 20);
  CHECK(fixed.iterations() == 20);
  CHECK(fixed.update_interval_seconds() == 10);
}

TEST_CASE("equation (1) sets the sampling rate, and appendix D follows it") {
  PaceOptions options = paper_pace();
  options.sampling = {.initial_fps = 0.5, .step_fps = 0.1, .phi_target = 1};
  options.adapt_training_rate = true;
  options.training_rate.step_seconds = 3;
  Pace pace(options);
  pace.start(100);
  CHECK_FALSE(pace.rate_due(109));
  CHECK(pace.rate_due(110));
  pace.decide_rate(110, 3);
  CHECK(pace.sampling_rate_fps() == doctest::Approx(0.7));
  pace.count_update();
  CHECK(pace.update_interval_seconds() == 10);  // the scene moves
  for (double now = 120; now < 200; now += 10) pace.decide_rate(now, -5);
  pace.count_update();
  CHECK(pace.sampling_rate_fps() == 0.1);
  CHECK(pace.update_interval_seconds() == 13);

  options.adapt_sampling_rate = options.adapt_training_rate = false;
  Pace fixed(options);
  fixed.start(0);
  CHECK_FALSE(fixed.rate_due(1000));
  fixed.count_update();
  CHECK(fixed.update_interval_seconds() == 10);
}
