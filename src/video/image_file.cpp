#include "ams/video/image_file.hpp"

#include <fstream>
#include <system_error>

#include "pixel_conversion.hpp"

namespace ams {

void write_png(const std::filesystem::path& path, const Frame& frame) {
  libav::require_valid(frame);
  libav::quiet();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  if (codec == nullptr) throw Error(ErrorCode::unavailable, "this libavcodec has no PNG encoder");
  const libav::CodecPtr encoder = libav::make_codec(codec);
  encoder->width = frame.width;
  encoder->height = frame.height;
  encoder->pix_fmt = AV_PIX_FMT_RGB24;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  libav::check(avcodec_open2(encoder.get(), codec, nullptr), "cannot start the PNG encoder");

  const libav::FramePtr picture = libav::make_frame(AV_PIX_FMT_RGB24, frame.width, frame.height);
  const std::size_t row_bytes = static_cast<std::size_t>(frame.width) * 3;
  libav::copy_rows(picture->data[0], picture->linesize[0], frame.rgb.data(),
                   static_cast<std::ptrdiff_t>(row_bytes), row_bytes, frame.height);
  picture->pts = 0;
  const libav::PacketPtr packet = libav::make_packet();
  libav::check(avcodec_send_frame(encoder.get(), picture.get()), "cannot code a PNG image");
  libav::check(avcodec_send_frame(encoder.get(), nullptr), "cannot code a PNG image");
  libav::check(avcodec_receive_packet(encoder.get(), packet.get()), "cannot code a PNG image");

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
