#pragma once

// Pictures in files as the frames of a video. Private to ams::video.

#include <filesystem>
#include <string>
#include <vector>

#include "ams/video/video_reader.hpp"
#include "frame_source.hpp"

namespace ams {

/// The pictures that a folder, a pattern with one %d (%03d, ...), or a file name with * or ? stands
/// for, in natural order (f2 before f10). Empty where `source` is none of these. Throws Error:
/// malformed_data where there is no such picture, io_error where the folder cannot be read.
std::vector<std::filesystem::path> find_pictures(const std::string& source);

/// Numbers within names count by their value. Ascending.
bool natural_less(const std::string& a, const std::string& b);

class ImageSequence final : public FrameSource {
 public:
  /// `pictures` from find_pictures(); options.fps must be given. Opens the first picture.
  ImageSequence(std::string name, std::vector<std::filesystem::path> pictures,
                const VideoReaderOptions& options);

  std::optional<Frame> next() override;
  const std::string& name() const noexcept override { return name_; }
  int width() const noexcept override { return width_; }
  int height() const noexcept override { return height_; }
  double fps() const noexcept override { return fps_; }
  std::optional<std::int64_t> frame_count() const noexcept override;
  std::optional<double> duration_seconds() const noexcept override;
  std::int64_t refused_packets() const noexcept override { return 0; }

 private:
  struct Size {
    int width = 0, height = 0;
    bool operator==(const Size&) const = default;
  };
  std::optional<Frame> read(std::size_t index);

  const std::string name_;
  const std::vector<std::filesystem::path> pictures_;
  const double fps_;
  VideoReaderOptions one_;  // of each picture alone
  Size size_;               // of the pictures as they are shown, before any scaling
  int width_ = 0, height_ = 0;
  std::optional<Frame> first_;
  std::size_t next_ = 0;
};

}  // namespace ams
