#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ams/core/handle.hpp"

namespace ams {

/// Labels frames for the student to learn from (Algorithm 1, line 7).
class Teacher {
 public:
  virtual ~Teacher() = default;

  /// The label of one frame, as the task takes it; an empty handle for a frame without one. One
  /// thread at a time. May throw Error.
  virtual Handle label(const Handle& frame, double capture_seconds) = 0;

  /// How many frames label_frames() takes at once, >= 1.
  virtual std::size_t max_frames() const { return 1; }

  /// The labels of consecutive frames of one device, one for each: as label(), which it calls by
  /// default. A teacher on an accelerator labels them together.
  virtual std::vector<Handle> label_frames(std::span<const Handle> frames,
                                           std::span<const double> capture_seconds) {
    std::vector<Handle> labels;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      labels.push_back(label(frames[i], capture_seconds[i]));
    }
    return labels;
  }
};

}  // namespace ams
