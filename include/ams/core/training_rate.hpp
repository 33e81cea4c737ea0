#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// Constants of the adaptive training rate (appendix D; the figures are the reference code's).
struct TrainingRateOptions {
  double base_interval_seconds = 10;  ///< T_update at full pace, > 0
  double slow_below_fps = 0.25;       ///< mean sampling rate below which slow-down begins, > 0
  double fast_above_fps = 0.35;       ///< mean sampling rate above which it ends, >= slow_below_fps
  double step_seconds = 2;            ///< growth of T_update per update while slowed down, > 0
  double max_factor = 6;              ///< T_update <= max_factor * base_interval_seconds; >= 1
  std::size_t window = 5;             ///< number of latest sampling rates in the mean, 1 to 1000
};

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const TrainingRateOptions& options);

/// All that a controller remembers; write it out and construct from it to go on later or elsewhere.
struct TrainingRateState {
  double interval_seconds = 10;  ///< T_update
  bool slowed_down = false;
  std::vector<double> recent_rates_fps;  ///< oldest first, at most `window`
};

/// Adaptive training rate (appendix D): a video that changes slowly gets fewer updates.
///
/// Two modes with hysteresis, by the mean of the latest `window` sampling rates (of as many as
/// there are at the start). Below slow_below_fps: slow-down, in which every update makes T_update
/// longer by step_seconds, up to max_factor times its base. Above fast_above_fps: normal, and
/// T_update is back at its base at once. From one threshold to the other, both included, the mode
/// stays what it was; slow-down goes on growing there.
///
/// A plain value. Not thread-safe.
///
///     TrainingRateController training;
///     training.observe(sampling.decide(now, phi));     // after each decision on the sampling rate
///     next_update = now + training.advance();          // after each model update
class TrainingRateController {
 public:
  /// Starts in normal mode at the base interval. Throws Error(invalid_argument).
  explicit TrainingRateController(TrainingRateOptions options = {});

  /// Goes on from a saved state. Throws Error(invalid_argument) when no controller with these
  /// options can be in it.
  TrainingRateController(TrainingRateOptions options, TrainingRateState state);

  /// Takes the rate that equation (1) has just set and sets the mode. When slow-down ends, T_update
  /// is at its base already for the update that is coming. sampling_rate_fps: finite, > 0, else
  /// Error(invalid_argument) and nothing changes.
  void observe(double sampling_rate_fps);

  /// Counts one model update and returns T_update: the seconds from this update to the next.
  double advance() noexcept;

  double interval_seconds() const noexcept { return state_.interval_seconds; }
  bool slowed_down() const noexcept { return state_.slowed_down; }
  const TrainingRateOptions& options() const noexcept { return options_; }
  const TrainingRateState& state() const noexcept { return state_; }

 private:
  TrainingRateOptions options_;
  TrainingRateState state_;
};

namespace detail::training_rate {

inline constexpr std::size_t max_window = 1000;

template <class T>
void require(bool ok, const char* field, T value, const std::string& allowed) {
  if (!ok) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("training rate: {} is {}; allowed is {}", field, value, allowed));
  }
}

inline bool finite_positive(double x) {
  return std::isfinite(x) && x > 0;
}

inline double max_interval(const TrainingRateOptions& o) {
  return o.max_factor * o.base_interval_seconds;
}

}  // namespace detail::training_rate

inline void validate(const TrainingRateOptions& o) {
  const std::string positive = "a finite value > 0";
  detail::training_rate::require(detail::training_rate::finite_positive(o.base_interval_seconds),
                                 "base_interval_seconds", o.base_interval_seconds, positive);
  detail::training_rate::require(detail::training_rate::finite_positive(o.slow_below_fps),
                                 "slow_below_fps", o.slow_below_fps, positive);
  detail::training_rate::require(
      std::isfinite(o.fast_above_fps) && o.fast_above_fps >= o.slow_below_fps, "fast_above_fps",
      o.fast_above_fps, fmt::format("a finite value >= slow_below_fps = {}", o.slow_below_fps));
  detail::training_rate::require(detail::training_rate::finite_positive(o.step_seconds),
                                 "step_seconds", o.step_seconds, positive);
  detail::training_rate::require(std::isfinite(o.max_factor) && o.max_factor >= 1 &&
                                     std::isfinite(detail::training_rate::max_interval(o)),
                                 "max_factor", o.max_factor, "a finite value >= 1");
  detail::training_rate::require(o.window >= 1 && o.window <= detail::training_rate::max_window,
                                 "window", o.window,
                                 fmt::format("1 to {}", detail::training_rate::max_window));
}

inline TrainingRateController::TrainingRateController(TrainingRateOptions options)
    : options_(options) {
  validate(options_);
  state_.interval_seconds = options_.base_interval_seconds;
}

inline TrainingRateController::TrainingRateController(TrainingRateOptions options,
                                                      TrainingRateState state)
    : options_(options), state_(std::move(state)) {
  validate(options_);
  const double base = options_.base_interval_seconds;
  const double longest = state_.slowed_down ? detail::training_rate::max_interval(options_) : base;
  detail::training_rate::require(
      state_.interval_seconds >= base && state_.interval_seconds <= longest, "interval_seconds",
      state_.interval_seconds, fmt::format("[{}, {}]", base, longest));
  detail::training_rate::require(state_.recent_rates_fps.size() <= options_.window,
                                 "the number of recent rates", state_.recent_rates_fps.size(),
                                 fmt::format("up to window = {}", options_.window));
  for (const double rate : state_.recent_rates_fps) {
    detail::training_rate::require(detail::training_rate::finite_positive(rate),
                                   "a recent sampling rate", rate, "a finite value > 0");
  }
}

inline void TrainingRateController::observe(double sampling_rate_fps) {
  detail::training_rate::require(detail::training_rate::finite_positive(sampling_rate_fps),
                                 "sampling_rate_fps", sampling_rate_fps, "a finite value > 0");
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

inline double TrainingRateController::advance() noexcept {
  if (state_.slowed_down) {
    state_.interval_seconds = std::min(state_.interval_seconds + options_.step_seconds,
                                       detail::training_rate::max_interval(options_));
  }
  return state_.interval_seconds;
}

}  // namespace ams
