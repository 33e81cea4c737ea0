#include "ams/core/sampling_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ams/core/error.hpp"

namespace ams {
namespace {

void require(bool ok, const char* field, double value, const std::string& allowed) {
  if (!ok) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("sampling rate: {} is {}; allowed is {}", field, value, allowed));
  }
}

}  // namespace

void validate(const SamplingRateOptions& o) {
  require(std::isfinite(o.min_fps) && o.min_fps > 0, "min_fps", o.min_fps, "a finite value > 0");
  require(std::isfinite(o.max_fps) && o.max_fps >= o.min_fps, "max_fps", o.max_fps,
          fmt::format("a finite value >= min_fps = {}", o.min_fps));
  require(o.initial_fps >= o.min_fps && o.initial_fps <= o.max_fps, "initial_fps", o.initial_fps,
          fmt::format("[{}, {}]", o.min_fps, o.max_fps));
  require(std::isfinite(o.step_fps) && o.step_fps > 0, "step_fps", o.step_fps,
          "a finite value > 0");
  require(std::isfinite(o.phi_target), "phi_target", o.phi_target, "a finite value");
  require(std::isfinite(o.interval_seconds) && o.interval_seconds > 0, "interval_seconds",
          o.interval_seconds, "a finite value > 0");
}

SamplingRateController::SamplingRateController(SamplingRateOptions options, double start_seconds)
    : options_(options) {
  validate(options_);
  require(std::isfinite(start_seconds), "start_seconds", start_seconds, "a finite value");
  state_ = {options_.initial_fps, start_seconds + options_.interval_seconds};
}

SamplingRateController::SamplingRateController(SamplingRateOptions options, SamplingRateState state)
    : options_(options), state_(state) {
  validate(options_);
  require(state_.rate_fps >= options_.min_fps && state_.rate_fps <= options_.max_fps, "rate_fps",
          state_.rate_fps, fmt::format("[{}, {}]", options_.min_fps, options_.max_fps));
  require(std::isfinite(state_.next_decision_seconds), "next_decision_seconds",
          state_.next_decision_seconds, "a finite value");
}

double SamplingRateController::decide(double now_seconds, double mean_phi) {
  require(std::isfinite(now_seconds), "now_seconds", now_seconds, "a finite value");
  require(std::isfinite(mean_phi), "mean_phi", mean_phi, "a finite value");
  const double wanted = state_.rate_fps + options_.step_fps * (mean_phi - options_.phi_target);
  state_.rate_fps = std::clamp(wanted, options_.min_fps, options_.max_fps);
  const double late = std::max(0.0, now_seconds - state_.next_decision_seconds);
  state_.next_decision_seconds +=
      (std::floor(late / options_.interval_seconds) + 1) * options_.interval_seconds;
  return state_.rate_fps;
}

}  // namespace ams
