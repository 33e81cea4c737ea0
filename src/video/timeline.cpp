#include "timeline.hpp"

#include <algorithm>

namespace ams {

double Timeline::place(std::optional<std::int64_t> timestamp) {
  const double at = timestamp ? static_cast<double>(*timestamp) * tick_seconds_ : 0;
  if (!last_) {
    origin_ = at;
    anchored_ = timestamp.has_value();
    return *(last_ = 0.0);
  }
  double seconds = *last_ + interval_seconds_;
  if (timestamp && !anchored_) {
    origin_ = at - seconds;
    anchored_ = true;
  } else if (timestamp) {
    const double claimed = at - origin_;
    if (claimed > *last_) {
      seconds = claimed;
    } else if (claimed > *last_ - 1) {
      seconds = *last_ + interval_seconds_ / 16;  // jitter: stay near the claim
    } else {
      origin_ = at - seconds;
    }
  }
  return *(last_ = seconds);
}

double ArrivalClock::place(double now_seconds) {
  constexpr double least_step_seconds = 1e-3;  // of frames that come together
  if (!origin_) origin_ = now_seconds;
  if (frames_++ > 0) last_ = std::max(now_seconds - *origin_, last_ + least_step_seconds);
  return last_;
}

std::optional<double> ArrivalClock::fps() const {
  if (frames_ < 2) return std::nullopt;
  return static_cast<double>(frames_ - 1) / last_;
}

}  // namespace ams
