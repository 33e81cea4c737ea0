#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams {

struct VideoWriterOptions {
  double fps = 25;  ///< 0.01 to 1000
  double crf =
      20;  ///< x264's constant rate factor, 0 (best) to 51; 18 is hard to tell from the source
  std::string preset = "medium";  ///< x264's presets, ultrafast to placebo
  int keyframe_interval = 250;    ///< frames, 1 to 100000
};

/// Writes frames at a constant rate as H.264 in an MP4 file (YUV 4:2:0, BT.709 limited range, index
/// at the front for the web). The file appears under its name when finish() returns, and not at all
/// if the writer is destroyed before. One thread at a time. Memory does not grow with the video but
/// for x264's look-ahead and the file's index.
class VideoWriter {
 public:
  /// Sizes in pixels, even, 16 to 8192. Errors: invalid_argument, io_error, unavailable
  /// (AMS_WITH_X264=OFF).
  VideoWriter(const std::filesystem::path& path, int width, int height,
              const VideoWriterOptions& options = {});
  ~VideoWriter();
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;

  /// The next frame; its capture_seconds is not used. Error(invalid_argument) for another size or
  /// after finish(); io_error.
  void add(const Frame& frame);

  /// Frames added so far.
  std::int64_t frames() const noexcept;

  /// Completes the file. Error(invalid_argument) with no frame added or when called twice;
  /// io_error.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
