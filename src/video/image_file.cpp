#include "ams/video/image_file.hpp"

#include <fstream>
#include <new>
#include <string>
#include <system_error>

#include "pixel_conversion.hpp"

namespace ams {

namespace {

constexpr int jpeg_quantizer = 4;  // of 2 (best) to 31: hard to tell from the source

/// What the encoder makes of one picture.
libav::PacketPtr encode_image(const AVFrame& picture, AVCodecID id, const char* name) {
  const std::string failed = std::string("cannot code a ") + name + " image";
  const AVCodec* codec = avcodec_find_encoder(id);
  if (codec == nullptr) {
    throw Error(ErrorCode::unavailable, std::string("this libavcodec has no ") + name + " encoder");
  }
  const libav::CodecPtr encoder = libav::make_codec(codec);
  encoder->width = picture.width;
  encoder->height = picture.height;
  encoder->pix_fmt = static_cast<AVPixelFormat>(picture.format);
  encoder->color_range = picture.color_range;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  encoder->flags |= AV_CODEC_FLAG_QSCALE;
  encoder->global_quality = picture.quality;
  libav::check(avcodec_open2(encoder.get(), codec, nullptr), failed);
  libav::PacketPtr packet = libav::make_packet();
  libav::check(avcodec_send_frame(encoder.get(), &picture), failed);
  libav::check(avcodec_send_frame(encoder.get(), nullptr), failed);
  libav::check(avcodec_receive_packet(encoder.get(), packet.get()), failed);
  return packet;
}

}  // namespace

std::vector<std::byte> encode_jpeg(const Frame& frame) {
  libav::require_valid(frame);
  libav::quiet();
  // JPEG files are BT.601 in full range, which swscale takes the deprecated format for.
  const libav::FramePtr picture = libav::make_frame(AV_PIX_FMT_YUVJ420P, frame.width, frame.height);
  const libav::ScalerPtr scaler(sws_getContext(frame.width, frame.height, AV_PIX_FMT_RGB24,
                                               frame.width, frame.height, AV_PIX_FMT_YUVJ420P,
                                               SWS_BILINEAR, nullptr, nullptr, nullptr));
  if (!scaler) throw std::bad_alloc();
  const std::uint8_t* const rgb = frame.rgb.data();
  const int row_bytes = frame.width * 3;
  sws_scale(scaler.get(), &rgb, &row_bytes, 0, frame.height, picture->data, picture->linesize);
  picture->color_range = AVCOL_RANGE_JPEG;
  picture->quality = jpeg_quantizer * FF_QP2LAMBDA;
  picture->pts = 0;
  const libav::PacketPtr packet = encode_image(*picture, AV_CODEC_ID_MJPEG, "JPEG");
  const auto* const begin = reinterpret_cast<const std::byte*>(packet->data);
  return {begin, begin + packet->size};
}

void write_png(const std::filesystem::path& path, const Frame& frame) {
  libav::require_valid(frame);
  libav::quiet();
  const libav::FramePtr picture = libav::make_frame(AV_PIX_FMT_RGB24, frame.width, frame.height);
  const std::size_t row_bytes = static_cast<std::size_t>(frame.width) * 3;
  libav::copy_rows(picture->data[0], picture->linesize[0], frame.rgb.data(),
                   static_cast<std::ptrdiff_t>(row_bytes), row_bytes, frame.height);
  picture->pts = 0;
  const libav::PacketPtr packet = encode_image(*picture, AV_CODEC_ID_PNG, "PNG");

  std::filesystem::path partial = path;
  partial += ".partial";
  std::ofstream file(partial, std::ios::binary);
  file.write(reinterpret_cast<const char*>(packet->data), packet->size);
  file.close();
  std::error_code error;
  if (file) {
    std::filesystem::rename(partial, path, error);
    if (!error) return;
  }
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  throw Error(ErrorCode::io_error, "cannot write " + path.string());
}

}  // namespace ams
