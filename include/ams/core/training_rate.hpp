#pragma once

#include <cstddef>
#include <vector>

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

}  // namespace ams
