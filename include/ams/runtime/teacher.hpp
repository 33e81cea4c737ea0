#pragma once

#include "ams/core/handle.hpp"

namespace ams {

/// Labels frames for the student to learn from (Algorithm 1, line 7).
class Teacher {
 public:
  virtual ~Teacher() = default;

  /// The label of one frame, as the task takes it; an empty handle for a frame without one. One
  /// thread at a time. May throw Error.
  virtual Handle label(const Handle& frame, double capture_seconds) = 0;
};

}  // namespace ams
