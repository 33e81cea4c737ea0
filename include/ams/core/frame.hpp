#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace ams {

/// One video frame: 8-bit RGB, interleaved, rows from the top, no padding.
struct Frame {
  int width = 0;                  ///< pixels
  int height = 0;                 ///< pixels
  std::vector<std::uint8_t> rgb;  ///< height * width * 3 bytes
  double capture_seconds = 0;     ///< on the video's own timeline, first frame at 0
};

using FramePtr = std::shared_ptr<const Frame>;

}  // namespace ams
