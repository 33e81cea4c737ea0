#include "ams/core/training_rate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {
namespace {

constexpr std::size_t max_window = 1000;

template <class T>
void require(bool ok, const char* field, T value, const std::string& allowed) {
  if (!ok) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("training rate: {} is {}; allowed is {}", field, value, allowed));
  }
}

bool finite_positive(double x) {
  return std::isfinite(x) && x > 0;
}

double max_interval(const TrainingRateOptions& o) {
  return o.max_factor * o.base_interval_seconds;
}

}  // namespace

void validate(const TrainingRateOptions& o) {
  const std::string positive = "a finite value > 0";
  require(finite_positive(o.base_interval_seconds), "base_interval_seconds",
          o.base_interval_seconds, positive);
  require(finite_positive(o.slow_below_fps), "slow_below_fps", o.slow_below_fps, positive);
  require(std::isfinite(o.fast_above_fps) && o.fast_above_fps >= o.slow_below_fps, "fast_above_fps",
          o.fast_above_fps, fmt::format("a finite value >= slow_below_fps = {}", o.slow_below_fps));
  require(finite_positive(o.step_seconds), "step_seconds", o.step_seconds, positive);
  require(std::isfinite(o.max_factor) && o.max_factor >= 1 && std::isfinite(max_interval(o)),
          "max_factor", o.max_factor, "a finite value >= 1");
  require(o.window >= 1 && o.window <= max_window, "window", o.window,
          fmt::format("1 to {}", max_window));
}

TrainingRateController::TrainingRateController(TrainingRateOptions options) : options_(options) {
  validate(options_);
  state_.interval_seconds = options_.base_interval_seconds;
}

TrainingRateController::TrainingRateController(TrainingRateOptions options, TrainingRateState state)
    : options_(options), state_(std::move(state)) {
  validate(options_);
  const double base = options_.base_interval_seconds;
  const double longest = state_.slowed_down ? max_interval(options_) : base;
  require(state_.interval_seconds >= base && state_.interval_seconds <= longest, "interval_seconds",
          state_.interval_seconds, fmt::format("[{}, {}]", base, longest));
  require(state_.recent_rates_fps.size() <= options_.window, "the number of recent rates",
          state_.recent_rates_fps.size(), fmt::format("up to window = {}", options_.window));
  for (const double rate : state_.recent_rates_fps) {
    require(finite_positive(rate), "a recent sampling rate", rate, "a finite value > 0");
  }
}

void TrainingRateController::observe(double sampling_rate_fps) {
  require(finite_positive(sampling_rate_fps), "sampling_rate_fps", sampling_rate_fps,
          "a finite value > 0");
  std::vector<double>& recent = state_.recent_rates_fps;
  recent.push_back(sampling_rate_fps);
  if (recent.size() > options_.window) recent.erase(recent.begin());

  double mean = 0;
  for (const double rate : recent) mean += rate / static_cast<double>(recent.size());
  if (mean < options_.slow_below_fps) {
    state_.slowed_down = true;
  } else if (mean > options_.fast_above_fps) {
    state_.slowed_down = false;
    state_.interval_seconds = options_.base_interval_seconds;
  }
}

double TrainingRateController::advance() noexcept {
  if (state_.slowed_down) {
    state_.interval_seconds =
        std::min(state_.interval_seconds + options_.step_seconds, max_interval(options_));
  }
  return state_.interval_seconds;
}

}  // namespace ams
