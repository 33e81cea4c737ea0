#pragma once

#include <algorithm>
#include <cstdint>

#include "ams/core/random.hpp"

namespace ams {

/// Delays between attempts to reach a server: they double from min to max, and each is drawn from
/// the upper half of its value, so that many devices that lost a server together do not return
/// together. A plain value.
class Backoff {
 public:
  /// 0 < min_seconds <= max_seconds.
  Backoff(double min_seconds, double max_seconds, std::uint64_t seed)
      : min_seconds_(min_seconds), max_seconds_(max_seconds), random_(seed) {}

  /// The delay before the coming attempt: in [d/2, d) for d = min * 2^attempts, at most max.
  double next_seconds() {
    const double delay = current_seconds();
    if (delay < max_seconds_) ++doublings_;
    return delay * (0.5 + 0.5 * random_.uniform());
  }

  /// d of the coming attempt, before it is drawn from.
  double current_seconds() const noexcept {
    double delay = min_seconds_;
    for (int i = 0; i < doublings_ && delay < max_seconds_; ++i) delay *= 2;
    return std::min(delay, max_seconds_);
  }

  /// After a success: the next delay is the smallest.
  void reset() noexcept { doublings_ = 0; }

  /// After a failure that will not go away by itself: the next delay is the largest.
  void slow_down() noexcept {
    while (current_seconds() < max_seconds_) ++doublings_;
  }

 private:
  double min_seconds_;
  double max_seconds_;
  int doublings_ = 0;
  Random random_;
};

}  // namespace ams
