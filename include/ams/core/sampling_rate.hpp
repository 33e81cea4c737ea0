#pragma once

#include <algorithm>
#include <cmath>

#include "ams/core/error.hpp"
#include "ams/core/exact_math.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// Constants of equation (1).
///
/// The rate rises while the mean phi-score of consecutive samples is above phi_target and falls
/// while it is below. Samples further apart differ more, so the rate settles where neighbouring
/// samples are phi_target apart, or at an end of its range.
///
/// The paper does not print phi_target. The default is chosen for HardLabelCrossEntropy with its
/// default floor (0.39 is 8.5% of the pixels changing class), from the label streams of seven
/// clips, each over its own classes:
/// - Five driving clips have 0.42 to 0.84 even at one sample a second: they stay near max_fps, at
///   a mean rate of 0.97 to 1.00 fps.
/// - A fixed camera over a quiet street has 0.24 at one second and 0.37 at ten: it comes down to
///   min_fps within two minutes; the mean rate from then on is 0.16 fps.
/// - A fixed camera over dense traffic has 0.33 at one second and 0.40 at two: it wanders in
///   between, at 0.73 fps.
///
/// A teacher that flickers adds its own noise to phi (0.17 on the quiet street, between labels
/// 0.2 s apart), so measure anew for another teacher, and always for another loss.
struct SamplingRateOptions {
  double min_fps = 0.1;    ///< r_min, > 0
  double max_fps = 1;      ///< r_max, >= min_fps
  double initial_fps = 1;  ///< r_0, in [min_fps, max_fps]
  double step_fps = 0.5;  ///< eta_r, fps for one unit of phi, > 0: a stop at a light takes the rate
                          ///< down by up to 0.2 fps a decision
  double phi_target = 0.39;      ///< in the unit of the task's loss, finite
  double interval_seconds = 10;  ///< delta_t between decisions, > 0
};

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const SamplingRateOptions& options);

/// All that a controller remembers; write it out and construct from it to go on later or elsewhere.
struct SamplingRateState {
  double rate_fps = 1;               ///< r_t
  double next_decision_seconds = 0;  ///< the next decision is due at this time
};

/// Adaptive sampling rate of the device (section 3.2, equation 1):
///     r_{t+1} = clip(r_t + eta_r * (mean phi - phi_target), r_min, r_max), every delta_t.
/// A plain value without a clock: the caller passes the time, in seconds on any one timeline. Not
/// thread-safe.
///
///     SamplingRateController controller;
///     ...
///     if (controller.due(now)) {
///       if (auto phi = tracker.take_mean()) send(Control{controller.decide(now, *phi)});
///     }
///
/// Without a phi-score (no new pair of frames) there is nothing to decide on: the decision stays
/// due.
class SamplingRateController {
 public:
  /// The first decision is due delta_t after start_seconds. Throws Error(invalid_argument).
  explicit SamplingRateController(SamplingRateOptions options = {}, double start_seconds = 0);

  /// Goes on from a saved state; its rate must be in [min_fps, max_fps]. Throws
  /// Error(invalid_argument).
  SamplingRateController(SamplingRateOptions options, SamplingRateState state);

  bool due(double now_seconds) const noexcept {
    return now_seconds >= state_.next_decision_seconds;
  }

  /// Applies equation (1) once and returns the new rate in fps. Decisions stay on a grid of
  /// delta_t: one that comes late does not put off those after it, and those missed are not made up
  /// for. A decision before it is due counts as the one that was coming. Throws
  /// Error(invalid_argument) when an argument is not finite; nothing has changed then.
  double decide(double now_seconds, double mean_phi);

  double rate_fps() const noexcept { return state_.rate_fps; }
  const SamplingRateOptions& options() const noexcept { return options_; }
  const SamplingRateState& state() const noexcept { return state_; }

 private:
  SamplingRateOptions options_;
  SamplingRateState state_;
};

namespace detail::sampling_rate {

inline void require(bool ok, const char* field, double value, const std::string& allowed) {
  if (!ok) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("sampling rate: {} is {}; allowed is {}", field, value, allowed));
  }
}

}  // namespace detail::sampling_rate

inline void validate(const SamplingRateOptions& o) {
  detail::sampling_rate::require(std::isfinite(o.min_fps) && o.min_fps > 0, "min_fps", o.min_fps,
                                 "a finite value > 0");
  detail::sampling_rate::require(std::isfinite(o.max_fps) && o.max_fps >= o.min_fps, "max_fps",
                                 o.max_fps,
                                 fmt::format("a finite value >= min_fps = {}", o.min_fps));
  detail::sampling_rate::require(o.initial_fps >= o.min_fps && o.initial_fps <= o.max_fps,
                                 "initial_fps", o.initial_fps,
                                 fmt::format("[{}, {}]", o.min_fps, o.max_fps));
  detail::sampling_rate::require(std::isfinite(o.step_fps) && o.step_fps > 0, "step_fps",
                                 o.step_fps, "a finite value > 0");
  detail::sampling_rate::require(std::isfinite(o.phi_target), "phi_target", o.phi_target,
                                 "a finite value");
  detail::sampling_rate::require(std::isfinite(o.interval_seconds) && o.interval_seconds > 0,
                                 "interval_seconds", o.interval_seconds, "a finite value > 0");
}

inline SamplingRateController::SamplingRateController(SamplingRateOptions options,
                                                      double start_seconds)
    : options_(options) {
  validate(options_);
  detail::sampling_rate::require(std::isfinite(start_seconds), "start_seconds", start_seconds,
                                 "a finite value");
  state_ = {options_.initial_fps, start_seconds + options_.interval_seconds};
}

inline SamplingRateController::SamplingRateController(SamplingRateOptions options,
                                                      SamplingRateState state)
    : options_(options), state_(state) {
  validate(options_);
  detail::sampling_rate::require(
      state_.rate_fps >= options_.min_fps && state_.rate_fps <= options_.max_fps, "rate_fps",
      state_.rate_fps, fmt::format("[{}, {}]", options_.min_fps, options_.max_fps));
  detail::sampling_rate::require(std::isfinite(state_.next_decision_seconds),
                                 "next_decision_seconds", state_.next_decision_seconds,
                                 "a finite value");
}

inline double SamplingRateController::decide(double now_seconds, double mean_phi) {
  detail::sampling_rate::require(std::isfinite(now_seconds), "now_seconds", now_seconds,
                                 "a finite value");
  detail::sampling_rate::require(std::isfinite(mean_phi), "mean_phi", mean_phi, "a finite value");
  const double step = detail::rounded(options_.step_fps * (mean_phi - options_.phi_target));
  state_.rate_fps = std::clamp(state_.rate_fps + step, options_.min_fps, options_.max_fps);
  const double late = std::max(0.0, now_seconds - state_.next_decision_seconds);
  const double intervals = std::floor(late / options_.interval_seconds) + 1;
  state_.next_decision_seconds += detail::rounded(intervals * options_.interval_seconds);
  return state_.rate_fps;
}

}  // namespace ams
