#include "ams/video/pixels.hpp"

#include "ams/core/format.hpp"
#include "pixel_conversion.hpp"

namespace ams {
namespace {

constexpr int max_side = 16384;

AVPixelFormat libav_format(PixelFormat format) {
  switch (format) {
    case PixelFormat::rgb24:
      return AV_PIX_FMT_RGB24;
    case PixelFormat::bgr24:
      return AV_PIX_FMT_BGR24;
    case PixelFormat::rgba:
      return AV_PIX_FMT_RGBA;
    case PixelFormat::bgra:
      return AV_PIX_FMT_BGRA;
    case PixelFormat::nv12:
      return AV_PIX_FMT_NV12;
  }
  detail::refuse(fmt::format("there is no pixel format {}", static_cast<int>(format)));
}

std::size_t bytes_per_pixel(PixelFormat format) {
  if (format == PixelFormat::nv12) return 1;
  return format == PixelFormat::rgb24 || format == PixelFormat::bgr24 ? 3 : 4;
}

std::size_t checked_stride(std::size_t stride_bytes, std::size_t row_bytes, const char* name) {
  constexpr std::size_t most = std::size_t{1} << 30;
  if (stride_bytes == 0) return row_bytes;
  if (stride_bytes < row_bytes || stride_bytes > most) {
    detail::refuse(fmt::format("{} is {}; a row has {} bytes, and at most {} are allowed", name,
                               stride_bytes, row_bytes, most));
  }
  return stride_bytes;
}

}  // namespace

class PixelReader::Impl {
 public:
  Frame read(const PixelView& view) {
    const bool is_nv12 = view.format == PixelFormat::nv12;
    const AVPixelFormat format = libav_format(view.format);
    if (view.width < 1 || view.height < 1 || view.width > max_side || view.height > max_side) {
      detail::refuse(fmt::format("a picture of {} x {}; both sides may be 1 to {}", view.width,
                                 view.height, max_side));
    }
    if (is_nv12 && (view.width % 2 != 0 || view.height % 2 != 0)) {
      detail::refuse(fmt::format("an NV12 picture of {} x {}; both sides must be even", view.width,
                                 view.height));
    }
    if (view.pixels == nullptr) detail::refuse("the picture's pixels are null");
    const std::size_t row_bytes =
        static_cast<std::size_t>(view.width) * bytes_per_pixel(view.format);
    const std::size_t stride = checked_stride(view.stride_bytes, row_bytes, "stride_bytes");
    const std::size_t chroma_stride =
        view.chroma_stride_bytes == 0
            ? stride
            : checked_stride(view.chroma_stride_bytes, row_bytes, "chroma_stride_bytes");
    if (view.format == PixelFormat::rgb24) return copy(view, row_bytes, stride);

    // swscale's vector code reads past the end of a row: it gets rows with room behind them.
    if (!picture_ || picture_->width != view.width || picture_->height != view.height ||
        picture_->format != format) {
      picture_ = libav::make_frame(format, view.width, view.height);
    }
    picture_->color_range = view.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    fill(0, view.pixels, stride, row_bytes, view.height);
    if (is_nv12) {
      const std::uint8_t* const behind =
          view.pixels + stride * static_cast<std::size_t>(view.height);
      fill(1, view.chroma != nullptr ? view.chroma : behind, chroma_stride, row_bytes,
           view.height / 2);
    }
    return to_rgb_(*picture_);
  }

 private:
  static Frame copy(const PixelView& view, std::size_t row_bytes, std::size_t stride) {
    Frame frame{view.width, view.height, {}, 0};
    frame.rgb.resize(row_bytes * static_cast<std::size_t>(view.height));
    libav::copy_rows(frame.rgb.data(), static_cast<std::ptrdiff_t>(row_bytes), view.pixels,
                     static_cast<std::ptrdiff_t>(stride), row_bytes, view.height);
    return frame;
  }

  void fill(int plane, const std::uint8_t* from, std::size_t stride, std::size_t row_bytes,
            int rows) {
    libav::copy_rows(picture_->data[plane], picture_->linesize[plane], from,
                     static_cast<std::ptrdiff_t>(stride), row_bytes, rows);
  }

  libav::FramePtr picture_;
  libav::ToRgb to_rgb_;
};

PixelReader::PixelReader() : impl_(std::make_unique<Impl>()) {}
PixelReader::~PixelReader() = default;

Frame PixelReader::read(const PixelView& view) {
  return impl_->read(view);
}

}  // namespace ams
