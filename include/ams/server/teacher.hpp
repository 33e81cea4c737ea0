#pragma once

#include "ams/segmentation/label_map.hpp"

namespace ams {

/// Labels frames for the student to learn from (Algorithm 1, line 7).
class Teacher {
 public:
  virtual ~Teacher() = default;

  /// The labels of one frame, in the teacher's own resolution. Not thread-safe. May throw Error.
  virtual LabelMap label(const Frame& frame) = 0;
};

}  // namespace ams
