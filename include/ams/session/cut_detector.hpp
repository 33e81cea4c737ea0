#pragma once

#include <algorithm>
#include <optional>

namespace ams {

/// Tells a device from its own student's predictions when the video shows another scene: two
/// consecutive predictions differ much more than usual (Task::difference()). Looking costs no
/// bit and is quicker than any sampling rate. A plain value; not thread-safe.
class CutDetector {
 public:
  /// The prediction of this time differs from the one before by this much, in [0, 1]. True: a cut.
  /// seconds: on any one clock.
  bool on_difference(double difference, double seconds) {
    constexpr double much = 3, least = 0.15, weight = 0.1, pause_seconds = 2;
    const bool is_large = usual_ && difference > std::max(much * *usual_, least);
    const bool is_pause = latest_seconds_ && seconds >= *latest_seconds_ &&
                          seconds < *latest_seconds_ + pause_seconds;
    if (is_large && !is_pause) {
      latest_seconds_ = seconds;
      return true;
    }
    if (!is_large) usual_ = usual_ ? *usual_ + weight * (difference - *usual_) : difference;
    return false;
  }

 private:
  std::optional<double> usual_;           // a running mean
  std::optional<double> latest_seconds_;  // of a cut
};

}  // namespace ams
