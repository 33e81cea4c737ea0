#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

#include "ams/segmentation/label_map.hpp"

namespace ams {

/// Pixels of the smallest side that LabelTrackWriter takes.
inline constexpr int min_label_track_side = 16;

struct LabelTrackLimits {
  int max_width = 4096;   ///< pixels
  int max_height = 4096;  ///< pixels
  std::size_t max_frames = 1'000'000;
  std::size_t max_compressed_bytes = std::size_t{1} << 30;
};

/// Reads a label track: a Matroska file with one FFV1 stream of 8-bit grey pictures whose values
/// are class ids. Lossless. Frames are numbered from 0 in file order; what time each stands for is
/// the clip's business.
///
/// Keeps the compressed track (some kilobytes a frame) and one decoded picture in memory, so any
/// frame can be had at any time. One thread at a time.
class LabelTrackReader {
 public:
  /// Reads the whole file. Errors: io_error, malformed_data (not such a track, or no frame in it),
  /// limit_exceeded.
  explicit LabelTrackReader(const std::filesystem::path& path, const LabelTrackLimits& limits = {});
  ~LabelTrackReader();
  LabelTrackReader(LabelTrackReader&&) noexcept;
  LabelTrackReader& operator=(LabelTrackReader&&) noexcept;

  int width() const noexcept;         ///< pixels
  int height() const noexcept;        ///< pixels
  std::size_t size() const noexcept;  ///< label frames, at least 1
  double fps() const noexcept;        ///< as the file says; 0 where it does not

  /// Label frame `index`, 0 to size() - 1, else Error(invalid_argument). malformed_data when it is
  /// damaged.
  LabelMap at(std::size_t index);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes a label track. The file appears under its name when finish() returns, and not at all if
/// the writer is destroyed before. The same labels give the same bytes. One thread at a time.
class LabelTrackWriter {
 public:
  /// Sizes in pixels, 16 to 4096; fps above 0, up to 1000. Errors: invalid_argument, io_error.
  LabelTrackWriter(const std::filesystem::path& path, int width, int height, double fps);
  ~LabelTrackWriter();
  LabelTrackWriter(LabelTrackWriter&&) noexcept;
  LabelTrackWriter& operator=(LabelTrackWriter&&) noexcept;

  /// The next label frame. Error(invalid_argument) for another size or after finish(); io_error.
  void add(const LabelMap& labels);

  std::size_t size() const noexcept;  ///< label frames added so far

  /// Completes the file. Error(invalid_argument) with nothing added or when called twice; io_error.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
