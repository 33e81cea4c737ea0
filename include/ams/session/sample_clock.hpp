#pragma once

#include <cmath>

namespace ams {

/// Decides which frames of a video are sampled: the first one at or after each sampling time.
/// Sampling times are 1/rate apart on the video's own timeline, so that a frame rate that is no
/// multiple of the sampling rate causes no drift; after a gap they start anew at the next frame,
/// and a timeline that jumps back starts them anew as well. A plain value.
class SampleClock {
 public:
  /// rate_fps: > 0 and finite.
  explicit SampleClock(double rate_fps) : period_seconds_(1 / rate_fps) {}

  double rate_fps() const noexcept { return 1 / period_seconds_; }
  double period_seconds() const noexcept { return period_seconds_; }

  /// The next sampling time moves as if the new rate had held since the latest one.
  void set_rate(double rate_fps) noexcept {
    const double period = 1 / rate_fps;
    next_seconds_ += period - period_seconds_;
    period_seconds_ = period;
  }

  /// The next frame is sampled, and sampling times start anew there.
  void restart() noexcept { started_ = false; }

  /// Would take() sample a frame of this time?
  bool wants(double capture_seconds) const noexcept {
    return !started_ || capture_seconds >= next_seconds_ || capture_seconds < newest_seconds_;
  }

  /// Is this frame sampled? capture_seconds: finite. Call it for every frame, or at least for those
  /// that wants() names; a timeline that jumps back is then seen where it passes the latest sample.
  bool take(double capture_seconds) noexcept {
    const bool anew = !started_ || capture_seconds < newest_seconds_;
    newest_seconds_ = capture_seconds;
    if (anew) {
      started_ = true;
      next_seconds_ = capture_seconds + period_seconds_;
      return true;
    }
    if (capture_seconds < next_seconds_) return false;
    next_seconds_ += period_seconds_;
    if (next_seconds_ <= capture_seconds) next_seconds_ = capture_seconds + period_seconds_;
    return true;
  }

 private:
  double period_seconds_;
  double next_seconds_ = 0;    // of the coming sample
  double newest_seconds_ = 0;  // of the latest frame
  bool started_ = false;
};

}  // namespace ams
