#include "orientation.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace ams {

Orientation orientation_of(const std::int32_t* display_matrix) {
  if (display_matrix == nullptr) return {};
  // A pixel at (x, y) is shown at (a x + c y, b x + d y).
  const std::int64_t a = display_matrix[0], b = display_matrix[1];
  const std::int64_t c = display_matrix[3], d = display_matrix[4];
  if (std::abs(b) + std::abs(c) > std::abs(a) + std::abs(d)) return {true, c < 0, b < 0};
  return {false, a < 0, d < 0};
}

Frame oriented(Frame frame, Orientation orientation) {
  if (orientation == Orientation{}) return frame;
  Frame out;
  out.width = orientation.transposed ? frame.height : frame.width;
  out.height = orientation.transposed ? frame.width : frame.height;
  out.capture_seconds = frame.capture_seconds;
  out.rgb.resize(frame.rgb.size());
  // How far to go in the source for one step to the right, or down, in the result.
  std::ptrdiff_t right = 3, down = std::ptrdiff_t{3} * frame.width;
  if (orientation.transposed) std::swap(right, down);
  const std::uint8_t* row = frame.rgb.data();
  if (orientation.flipped_x) {
    row += right * (out.width - 1);
    right = -right;
  }
  if (orientation.flipped_y) {
    row += down * (out.height - 1);
    down = -down;
  }
  std::uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x, to += 3) std::copy_n(row + x * right, 3, to);
    row += down;
  }
  return out;
}

}  // namespace ams
