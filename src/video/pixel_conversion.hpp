#pragma once

// Between libav's pictures and RGB frames. Private to ams::video.

#include "ams/core/frame.hpp"
#include "ams/video/scaling.hpp"
#include "libav.hpp"

namespace ams::libav {

/// Any picture that swscale reads -> 8-bit RGB, in the size asked for (0 x 0: its own).
///
/// The picture's own matrix and range are honoured. Where it names none: BT.709 from 720 rows up,
/// BT.601 below, limited range (full for the yuvj formats). Bit-exact mode, so the result does not
/// depend on the processor.
class ToRgb {
 public:
  explicit ToRgb(int width = 0, int height = 0, Scaling scaling = Scaling::area)
      : width_(width), height_(height), scaling_(scaling) {}

  /// Leaves capture_seconds at 0.
  Frame operator()(const AVFrame& picture);

 private:
  struct Source {
    int width = 0, height = 0, format = -1, matrix = -1;
    bool full_range = false;
    bool operator==(const Source&) const = default;
  };

  int width_, height_;
  Scaling scaling_;
  Source source_;
  ScalerPtr scaler_;
  FramePtr output_;
};

/// 8-bit RGB -> YUV 4:2:0, BT.709, limited range, in an even size given once.
class ToYuv420 {
 public:
  ToYuv420(int width, int height, Scaling scaling = Scaling::area)
      : width_(width), height_(height), scaling_(scaling) {}

  /// The result is good until the next call.
  const AVFrame& operator()(const Frame& frame);

 private:
  int width_, height_;
  Scaling scaling_;
  ScalerPtr scaler_;
  FramePtr input_, output_;
};

/// Throws Error(invalid_argument) unless rgb holds width * height * 3 bytes and both are 1 to
/// 16384.
void require_valid(const Frame& frame);

/// Copies packed rows into a picture's padded rows, or back.
void copy_rows(std::uint8_t* to, std::ptrdiff_t to_stride, const std::uint8_t* from,
               std::ptrdiff_t from_stride, std::size_t row_bytes, int rows);

}  // namespace ams::libav
