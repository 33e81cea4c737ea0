#pragma once

// Capture times from a stream's timestamps or from the clock. Private to ams::video.

#include <cstdint>
#include <optional>

namespace ams {

/// Turns a stream's timestamps into strictly ascending seconds from 0; see VideoReader's docstring.
class Timeline {
 public:
  Timeline(double tick_seconds, double interval_seconds)
      : tick_seconds_(tick_seconds), interval_seconds_(interval_seconds) {}

  /// nullopt: the frame has no timestamp.
  double place(std::optional<std::int64_t> timestamp);

 private:
  double tick_seconds_, interval_seconds_;
  double origin_ = 0;
  bool anchored_ = false;
  std::optional<double> last_;
};

/// The times at which frames come, as strictly ascending seconds from 0.
class ArrivalClock {
 public:
  /// now_seconds: on any clock that does not step back.
  double place(double now_seconds);

  /// Frames a second so far; nothing before the second frame.
  std::optional<double> fps() const;

 private:
  std::optional<double> origin_;
  double last_ = 0;
  std::int64_t frames_ = 0;
};

}  // namespace ams
