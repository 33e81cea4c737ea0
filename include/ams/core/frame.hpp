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

/// One class id per pixel, rows from the top.
struct LabelMap {
  static constexpr std::uint8_t default_ignore_id = 255;

  int width = 0;                  ///< pixels
  int height = 0;                 ///< pixels
  std::vector<std::uint8_t> ids;  ///< height * width class ids
};

/// A frame with its teacher's labels; what the replay buffer keeps and the trainer reads.
/// Frame and label map may differ in size. Immutable once shared, so safe to read from any thread.
struct LabelledFrame {
  Frame frame;
  LabelMap labels;
};

using FramePtr = std::shared_ptr<const Frame>;
using LabelledFramePtr = std::shared_ptr<const LabelledFrame>;

}  // namespace ams
