#pragma once

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// How pictures change size.
enum class Scaling {
  area,     ///< mean over the covered area; best for shrinking, and the default
  bicubic,  ///< for enlarging
};

/// The frame in another size; the same capture time. Thread-safe.
/// Error(invalid_argument) unless both sizes are 1 to 16384 and rgb has width * height * 3 bytes.
Frame scale_frame(const Frame& frame, int width, int height, Scaling scaling = Scaling::area);

}  // namespace ams
