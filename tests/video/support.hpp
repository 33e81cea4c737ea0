#pragma once

// What the tests of ams::video share: made-up frames, scratch folders, and a video writer on bare
// libav.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
}

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams::test {

/// A folder that goes away with everything in it.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ams-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_),
                                                  std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

/// The name of the code of the Error that `body` throws; "none" when it throws none.
inline std::string error_of(const std::function<void()>& body, std::string* message = nullptr) {
  try {
    body();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return to_string(error.code());
  }
  return "none";
}

/// A smooth scene with some texture that moves with `time`; compresses like video, not like noise.
inline Frame scene(int width, int height, int time, double texture = 12) {
  Frame frame;
  frame.width = width;
  frame.height = height;
  frame.rgb.resize(static_cast<std::size_t>(width) * height * 3);
  Random random(17);
  std::vector<double> grain(64 * 64);
  for (double& g : grain) g = texture * (2 * random.uniform() - 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double sx = x + 3.0 * time;
      const double sy = y + 1.0 * time;
      const double noise = grain[static_cast<std::size_t>((static_cast<int>(sy) & 63) * 64 +
                                                          (static_cast<int>(sx) & 63))];
      std::uint8_t* pixel = &frame.rgb[(static_cast<std::size_t>(y) * width + x) * 3];
      const auto shade = [noise](double wave) {
        return static_cast<std::uint8_t>(std::clamp(128 + 70 * wave + noise, 0.0, 255.0));
      };
      pixel[0] = shade(std::sin(sx / 23));
      pixel[1] = shade(std::sin(sy / 17));
      pixel[2] = shade(std::sin((sx + sy) / 31));
    }
  }
  return frame;
}

inline Frame solid(int width, int height, std::uint8_t r, std::uint8_t g, std::uint8_t b) {
  Frame frame;
  frame.width = width;
  frame.height = height;
  for (int i = 0; i < width * height; ++i) frame.rgb.insert(frame.rgb.end(), {r, g, b});
  return frame;
}

inline double psnr(const Frame& a, const Frame& b) {
  REQUIRE(a.rgb.size() == b.rgb.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) {
    const double d = static_cast<double>(a.rgb[i]) - b.rgb[i];
    sum += d * d;
  }
  return sum == 0 ? 99 : 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / sum);
}

inline LabelMap random_labels(int width, int height, int classes, Random& random) {
  LabelMap labels{width, height, {}};
  labels.ids.resize(static_cast<std::size_t>(width) * height);
  for (auto& id : labels.ids)
    id = static_cast<std::uint8_t>(random.below(static_cast<std::uint64_t>(classes)));
  return labels;
}

inline std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

template <typename Bytes>
void write_bytes(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

/// A planar picture for libav: one byte per sample.
struct Picture {
  std::int64_t pts = 0;
  std::vector<std::vector<std::uint8_t>> planes;
};

struct BareVideo {
  const char* container = "matroska";
  AVCodecID codec = AV_CODEC_ID_FFV1;
  AVPixelFormat format = AV_PIX_FMT_YUV420P;
  int width = 64, height = 64;
  AVRational tick{1, 1000};
  AVColorSpace matrix = AVCOL_SPC_UNSPECIFIED;
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  int gop = 1;
  int b_frames = 0;
  double rotation_degrees = 0;  // clockwise, as the container asks the player
  std::optional<std::array<std::int32_t, 9>> display_matrix;  // in place of rotation_degrees
  const char* muxer_flags = nullptr;                          // movflags
};

/// Writes a video with bare libav calls.
inline void write_bare(const std::filesystem::path& path, const BareVideo& video,
                       const std::vector<Picture>& pictures) {
  const auto check = [](int code) {
    if (code < 0) throw std::runtime_error("libav refused in a test: " + std::to_string(code));
  };
  av_log_set_level(AV_LOG_QUIET);
  AVFormatContext* raw_output = nullptr;
  check(avformat_alloc_output_context2(&raw_output, nullptr, video.container, path.c_str()));
  const std::unique_ptr<AVFormatContext, void (*)(AVFormatContext*)> output(raw_output,
                                                                            avformat_free_context);
  const AVCodec* codec = avcodec_find_encoder(video.codec);
  REQUIRE(codec != nullptr);
  const auto free_codec = [](AVCodecContext* c) { avcodec_free_context(&c); };
  const std::unique_ptr<AVCodecContext, void (*)(AVCodecContext*)> encoder(
      avcodec_alloc_context3(codec), free_codec);
  encoder->width = video.width;
  encoder->height = video.height;
  encoder->pix_fmt = video.format;
  encoder->time_base = video.tick;
  encoder->gop_size = video.gop;
  encoder->max_b_frames = video.b_frames;
  encoder->colorspace = video.matrix;
  encoder->color_range = video.range;
  encoder->thread_count = 1;
  if ((output->oformat->flags & AVFMT_GLOBALHEADER) != 0)
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  check(avcodec_open2(encoder.get(), codec, nullptr));
  AVStream* stream = avformat_new_stream(output.get(), nullptr);
  check(avcodec_parameters_from_context(stream->codecpar, encoder.get()));
  stream->time_base = video.tick;
  if (video.rotation_degrees != 0 || video.display_matrix) {
    auto* matrix = reinterpret_cast<std::int32_t*>(
        av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(std::int32_t)));
    av_display_rotation_set(matrix, video.rotation_degrees);
    if (video.display_matrix) std::copy_n(video.display_matrix->data(), 9, matrix);
  }
  check(avio_open(&output->pb, path.c_str(), AVIO_FLAG_WRITE));
  AVDictionary* muxing = nullptr;
  if (video.muxer_flags != nullptr) av_dict_set(&muxing, "movflags", video.muxer_flags, 0);
  const int header = avformat_write_header(output.get(), &muxing);
  av_dict_free(&muxing);
  check(header);
  const auto free_packet = [](AVPacket* p) { av_packet_free(&p); };
  const std::unique_ptr<AVPacket, void (*)(AVPacket*)> packet(av_packet_alloc(), free_packet);
  const auto drain = [&](const AVFrame* frame) {
    check(avcodec_send_frame(encoder.get(), frame));
    while (avcodec_receive_packet(encoder.get(), packet.get()) == 0) {
      packet->stream_index = 0;
      if (packet->duration == 0) packet->duration = 1;
      av_packet_rescale_ts(packet.get(), video.tick, stream->time_base);
      check(av_interleaved_write_frame(output.get(), packet.get()));
    }
  };
  for (const Picture& picture : pictures) {
    const auto free_frame = [](AVFrame* f) { av_frame_free(&f); };
    const std::unique_ptr<AVFrame, void (*)(AVFrame*)> frame(av_frame_alloc(), free_frame);
    frame->format = video.format;
    frame->width = video.width;
    frame->height = video.height;
    frame->pts = picture.pts;
    check(av_frame_get_buffer(frame.get(), 0));
    for (std::size_t p = 0; p < picture.planes.size(); ++p) {
      const bool halved = video.format == AV_PIX_FMT_YUV420P || video.format == AV_PIX_FMT_YUVJ420P;
      const int shift = p > 0 && halved ? 1 : 0;
      const int w = video.width >> shift;
      const int h = video.height >> shift;
      REQUIRE(picture.planes[p].size() == static_cast<std::size_t>(w) * h);
      for (int y = 0; y < h; ++y) {
        std::memcpy(frame->data[p] + y * frame->linesize[p],
                    &picture.planes[p][static_cast<std::size_t>(y) * w],
                    static_cast<std::size_t>(w));
      }
    }
    drain(frame.get());
  }
  drain(nullptr);
  check(av_write_trailer(output.get()));
  check(avio_closep(&output->pb));
}

/// One colour, in YUV 4:2:0.
inline Picture flat_picture(int width, int height, std::uint8_t y, std::uint8_t u, std::uint8_t v,
                            std::int64_t pts = 0) {
  const auto size = static_cast<std::size_t>(width) * height;
  return {pts,
          {std::vector<std::uint8_t>(size, y), std::vector<std::uint8_t>(size / 4, u),
           std::vector<std::uint8_t>(size / 4, v)}};
}

/// Where optional real data is; nothing, with a message, when it is not there.
inline std::optional<std::filesystem::path> data_folder() {
  const char* named = std::getenv("AMS_DATA_DIR");
  const std::filesystem::path folder =
      named != nullptr ? std::filesystem::path(named)
                       : std::filesystem::path(AMS_SOURCE_DIR).parent_path() / "shared" / "data";
  if (std::filesystem::is_directory(folder / "clips")) return folder;
  MESSAGE("skipped: no recorded clips in " << folder.string() << "; set AMS_DATA_DIR");
  return std::nullopt;
}

}  // namespace ams::test
