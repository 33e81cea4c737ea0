#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

namespace ams {

/// How many frames of one device are labelled: a bucket that fills at twice the sampling rate that
/// the device was told, and at two frames a second at least, which a device sends while the scene
/// changes. An honest device, also one that sends what it kept during an outage, is never held up;
/// one that sends more takes no other device's turn on the teacher. A plain value; not thread-safe.
class FrameAllowance {
 public:
  static constexpr double capacity_frames = 256;  ///< as many as a batch may have
  static constexpr double least_rate_fps = 2;

  /// Takes `frames`; false, and takes none, when there are not so many. told_rate_fps: in force
  /// since the last call.
  bool take(std::size_t frames, double told_rate_fps, double now_seconds) {
    const double seconds = std::max(0.0, now_seconds - latest_seconds_.value_or(now_seconds));
    latest_seconds_ = now_seconds;
    frames_ = std::min(capacity_frames,
                       frames_ + seconds * std::max(least_rate_fps, 2 * told_rate_fps));
    const auto wanted = static_cast<double>(frames);
    if (wanted > frames_) return false;
    frames_ -= wanted;
    return true;
  }

 private:
  double frames_ = capacity_frames;
  std::optional<double> latest_seconds_;
};

}  // namespace ams
