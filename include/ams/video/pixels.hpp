#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// How cameras and screens lay out 8-bit pixels; the names give the order in memory.
enum class PixelFormat {
  rgb24,
  bgr24,
  rgba,  ///< alpha is left out
  bgra,  ///< alpha is left out
  nv12,  ///< a plane Y, then a plane of half the size with U and V in turns
};

/// Somebody else's picture in memory. A plain view: it owns nothing.
struct PixelView {
  PixelFormat format = PixelFormat::rgb24;
  int width = 0;   ///< pixels, 1 to 16384; even for nv12
  int height = 0;  ///< pixels, 1 to 16384; even for nv12
  const std::uint8_t* pixels = nullptr;
  std::size_t stride_bytes = 0;          ///< from a row to the next one; 0: rows without padding
  const std::uint8_t* chroma = nullptr;  ///< nv12: the second plane; null: right behind the first
  std::size_t chroma_stride_bytes = 0;   ///< 0: as stride_bytes
  bool full_range = false;               ///< nv12: 0 to 255 instead of 16 to 235
};

/// Copies pictures of other programs into frames. YUV is read as BT.709 from 720 rows up, else as
/// BT.601. Keeps what it has made ready for the latest format and size: one for each source. Not
/// thread-safe.
class PixelReader {
 public:
  PixelReader();
  ~PixelReader();
  PixelReader(const PixelReader&) = delete;
  PixelReader& operator=(const PixelReader&) = delete;

  /// Reads no byte beyond the rows. Leaves capture_seconds at 0. Throws Error(invalid_argument)
  /// on a null pointer, a size out of range and a stride below a row's bytes.
  Frame read(const PixelView& view);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
