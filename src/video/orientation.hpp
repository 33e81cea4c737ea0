#pragma once

// How a picture lies, and turning it as its container asks. Private to ams::video.

#include <cstdint>

#include "ams/core/frame.hpp"

namespace ams {

/// One of the eight orientations. First the sides are exchanged, if at all; then the outcome is
/// mirrored.
struct Orientation {
  bool transposed = false;  ///< rows become columns
  bool flipped_x = false;   ///< left and right are exchanged
  bool flipped_y = false;   ///< top and bottom are exchanged
  bool operator==(const Orientation&) const = default;
};

/// Of libav's display matrix of nine numbers, or null: the picture as it is. A matrix between two
/// orientations (a picture a few degrees askew) is the nearest one; its scale and its shift are
/// ignored.
Orientation orientation_of(const std::int32_t* display_matrix);

Frame oriented(Frame frame, Orientation orientation);

}  // namespace ams
