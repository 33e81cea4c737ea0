#include "pixel_conversion.hpp"

#include <fmt/format.h>

#include <cstring>

namespace ams {
namespace libav {
namespace {

constexpr int max_side = 16384;

int scaler_flags(Scaling scaling) {
  return (scaling == Scaling::area ? SWS_AREA : SWS_BICUBIC) | SWS_FULL_CHR_H_INT |
         SWS_FULL_CHR_H_INP | SWS_ACCURATE_RND | SWS_BITEXACT;
}

/// The yuvj formats say "full range" in the format; swscale wants it said apart.
AVPixelFormat without_range(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    default:
      return format;
  }
}

ScalerPtr make_scaler(int from_width, int from_height, AVPixelFormat from, int to_width,
                      int to_height, AVPixelFormat to, Scaling scaling) {
  quiet();
  ScalerPtr scaler(sws_getContext(from_width, from_height, from, to_width, to_height, to,
                                  scaler_flags(scaling), nullptr, nullptr, nullptr));
  if (!scaler) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("cannot convert {} x {} pixels to {} x {}: libswscale does not read this pixel "
                    "format",
                    from_width, from_height, to_width, to_height));
  }
  return scaler;
}

}  // namespace

void require_valid(const Frame& frame) {
  if (frame.width < 1 || frame.height < 1 || frame.width > max_side || frame.height > max_side) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("a frame of {} x {}; both sides may be 1 to {}", frame.width,
                            frame.height, max_side));
  }
  const std::size_t bytes = static_cast<std::size_t>(frame.width) * frame.height * 3;
  if (frame.rgb.size() != bytes) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("a frame of {} x {} holds {} bytes, not {}", frame.width, frame.height,
                            frame.rgb.size(), bytes));
  }
}

void copy_rows(std::uint8_t* to, std::ptrdiff_t to_stride, const std::uint8_t* from,
               std::ptrdiff_t from_stride, std::size_t row_bytes, int rows) {
  for (int y = 0; y < rows; ++y) std::memcpy(to + y * to_stride, from + y * from_stride, row_bytes);
}

Frame ToRgb::operator()(const AVFrame& picture) {
  Source source;
  source.width = picture.width;
  source.height = picture.height;
  source.format = picture.format;
  source.matrix = picture.colorspace;
  if (source.matrix == AVCOL_SPC_UNSPECIFIED) {
    source.matrix = picture.height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
  }
  const auto format = static_cast<AVPixelFormat>(picture.format);
  const AVPixelFormat plain = without_range(format);
  source.full_range = picture.color_range == AVCOL_RANGE_JPEG || plain != format;

  const int width = width_ > 0 ? width_ : picture.width;
  const int height = height_ > 0 ? height_ : picture.height;
  if (!scaler_ || source != source_) {
    scaler_.reset();
    output_ = make_frame(AV_PIX_FMT_RGB24, width, height);
    scaler_ = make_scaler(picture.width, picture.height, plain, width, height, AV_PIX_FMT_RGB24,
                          scaling_);
    // Refused for RGB sources, which have no matrix; then there is nothing to set.
    sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(source.matrix), source.full_range,
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    source_ = source;
  }
  check(sws_scale(scaler_.get(), picture.data, picture.linesize, 0, picture.height, output_->data,
                  output_->linesize),
        "cannot convert a picture to RGB");

  Frame frame;
  frame.width = width;
  frame.height = height;
  const std::size_t row_bytes = static_cast<std::size_t>(width) * 3;
  frame.rgb.resize(row_bytes * height);
  copy_rows(frame.rgb.data(), static_cast<std::ptrdiff_t>(row_bytes), output_->data[0],
            output_->linesize[0], row_bytes, height);
  return frame;
}

const AVFrame& ToYuv420::operator()(const Frame& frame) {
  require_valid(frame);
  if (!input_ || input_->width != frame.width || input_->height != frame.height) {
    scaler_.reset();
    input_ = make_frame(AV_PIX_FMT_RGB24, frame.width, frame.height);
    output_ = make_frame(AV_PIX_FMT_YUV420P, width_, height_);
    scaler_ = make_scaler(frame.width, frame.height, AV_PIX_FMT_RGB24, width_, height_,
                          AV_PIX_FMT_YUV420P, scaling_);
    check(sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(SWS_CS_DEFAULT), 1,
                                   sws_getCoefficients(SWS_CS_ITU709), 0, 0, 1 << 16, 1 << 16),
          "cannot set the colour matrix");
  }
  // swscale's vector code reads past the end of a row; the packed frame has no room there.
  const std::size_t row_bytes = static_cast<std::size_t>(frame.width) * 3;
  copy_rows(input_->data[0], input_->linesize[0], frame.rgb.data(),
            static_cast<std::ptrdiff_t>(row_bytes), row_bytes, frame.height);
  check(sws_scale(scaler_.get(), input_->data, input_->linesize, 0, frame.height, output_->data,
                  output_->linesize),
        "cannot convert a frame to YUV");
  return *output_;
}

}  // namespace libav

Frame scale_frame(const Frame& frame, int width, int height, Scaling scaling) {
  libav::require_valid(frame);
  if (width < 1 || height < 1 || width > libav::max_side || height > libav::max_side) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("cannot scale to {} x {}; both sides may be 1 to {}", width, height,
                            libav::max_side));
  }
  if (width == frame.width && height == frame.height) return frame;
  const libav::FramePtr picture = libav::make_frame(AV_PIX_FMT_RGB24, frame.width, frame.height);
  const std::size_t row_bytes = static_cast<std::size_t>(frame.width) * 3;
  libav::copy_rows(picture->data[0], picture->linesize[0], frame.rgb.data(),
                   static_cast<std::ptrdiff_t>(row_bytes), row_bytes, frame.height);
  Frame scaled = libav::ToRgb(width, height, scaling)(*picture);
  scaled.capture_seconds = frame.capture_seconds;
  return scaled;
}

}  // namespace ams
