#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// Makes frames that come at any times into frames at a constant rate, by time: frame i of the
/// result is the one on show at i / fps, to the nearest. Frames are repeated where the source has
/// fewer, and left out where it has more. A source that has this rate, jitter of less than half a
/// frame included, comes out as it is.
///
///     ConstantRate constant(30);
///     while (auto frame = video.next()) constant.add(std::move(*frame), take);
///     constant.finish(take);
class ConstantRate {
 public:
  /// fps: 0.01 to 1000, else Error(invalid_argument).
  explicit ConstantRate(double fps) : fps_(fps) {
    if (!(fps >= 0.01 && fps <= 1000)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a constant rate of {} frames a second; 0.01 to 1000", fps));
    }
  }

  /// The longest gap between two frames that is filled.
  static constexpr double max_gap_seconds = 3600;

  /// The source's next frame; capture_seconds from 0, ascending. Calls take(const Frame&) for every
  /// frame of the result that can now be told, its capture_seconds set. Throws
  /// Error(malformed_data) when it comes more than max_gap_seconds after the one before.
  template <class Take>
  void add(Frame frame, Take&& take) {
    const double before_seconds = held_ ? held_seconds_ : 0;
    if (!(frame.capture_seconds - before_seconds <= max_gap_seconds)) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("the frame after {:.0f} s comes at {:.0f} s: gaps of up to {} s are "
                              "filled",
                              before_seconds, frame.capture_seconds, max_gap_seconds));
    }
    held_seconds_ = frame.capture_seconds;
    const std::int64_t place = std::llround(frame.capture_seconds * fps_);
    const std::int64_t before = next_;
    if (held_) give(place, take);
    if (held_ && next_ == before) ++left_out_;
    held_ = std::move(frame);
  }

  /// Calls take for the source's last frame, if there was one.
  template <class Take>
  void finish(Take&& take) {
    if (held_) give(next_ + 1, take);
    held_.reset();
  }

  std::int64_t repeated() const noexcept { return repeated_; }  ///< frames of the result, so far
  std::int64_t left_out() const noexcept { return left_out_; }  ///< frames of the source, so far

 private:
  template <class Take>
  void give(std::int64_t end, Take&& take) {
    repeated_ += std::max<std::int64_t>(0, end - next_ - 1);
    for (; next_ < end; ++next_) {
      held_->capture_seconds = static_cast<double>(next_) / fps_;
      take(std::as_const(*held_));
    }
  }

  double fps_;
  std::optional<Frame> held_;
  double held_seconds_ = 0;  // in the source
  std::int64_t next_ = 0, repeated_ = 0, left_out_ = 0;
};

}  // namespace ams
