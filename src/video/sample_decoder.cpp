#include "ams/video/sample_decoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

#include "pixel_conversion.hpp"

namespace ams {
namespace {

constexpr std::size_t max_slices_per_picture = 32;

[[noreturn]] void malformed(const std::string& message) {
  throw Error(ErrorCode::malformed_data, "H.264 samples: " + message);
}

/// Where the next 00 00 01 begins at or after `from`; the size if nowhere.
std::size_t find_start_code(std::span<const std::byte> bytes, std::size_t from) {
  for (std::size_t i = from; i + 3 <= bytes.size(); ++i) {
    if (bytes[i] == std::byte{0} && bytes[i + 1] == std::byte{0} && bytes[i + 2] == std::byte{1})
      return i;
  }
  return bytes.size();
}

struct Range {
  std::size_t begin, end;
};

/// Cuts an Annex B bitstream (H.264 Annex B, 7.4.1.2.3) into access units: one begins with the
/// first unit that is not a slice after a slice, or with a slice whose first macroblock is number
/// 0. Refuses unit types that encode_samples() has no use for: data partitions, auxiliary pictures,
/// extensions.
std::vector<Range> split_access_units(std::span<const std::byte> bytes, std::size_t max_units) {
  enum : unsigned {
    slice = 1,
    idr_slice = 5,
    sei = 6,
    sps = 7,
    pps = 8,
    delimiter = 9,
    end_of_stream = 11,
    filler = 12
  };
  std::vector<Range> units;
  std::size_t at = find_start_code(bytes, 0);
  if (at == bytes.size() || at > 1 || bytes[0] != std::byte{0}) {
    malformed("does not begin with a start code");
  }
  std::size_t unit_begin = 0;
  std::size_t slices = 0;
  while (at < bytes.size()) {
    const std::size_t header = at + 3;
    if (header + 1 >= bytes.size()) malformed("ends inside a unit");
    const auto first_byte = std::to_integer<unsigned>(bytes[header]);
    if ((first_byte & 0x80) != 0) malformed("a unit with the forbidden bit set");
    const unsigned type = first_byte & 31;
    const bool is_slice = type == slice || type == idr_slice;
    if (!is_slice && (type < sei || type > filler)) {
      malformed(
          fmt::format("a unit of type {}; allowed are slices (1, 5) and types 6 to 12", type));
    }
    // first_mb_in_slice is Exp-Golomb coded: a leading 1 bit is the number 0.
    const bool opens_picture = is_slice && (bytes[header + 1] & std::byte{0x80}) != std::byte{0};
    const bool opens_unit = opens_picture || (!is_slice && type < end_of_stream - 1);
    if (slices > 0 && opens_unit) {
      units.push_back({unit_begin, at});
      unit_begin = at;
      slices = 0;
    }
    if (is_slice) {
      if (slices == 0 && !opens_picture) malformed("a picture without its first slice");
      if (slices == 0 && units.size() == max_units) {
        malformed(fmt::format("more than {} pictures, the number announced", max_units));
      }
      if (++slices > max_slices_per_picture) {
        malformed(fmt::format("a picture of more than {} slices", max_slices_per_picture));
      }
    }
    at = find_start_code(bytes, header);
  }
  if (slices == 0) malformed("ends without a picture");
  units.push_back({unit_begin, bytes.size()});
  return units;
}

class Decoder {
 public:
  Decoder(std::size_t expected, const SampleDecoderLimits& limits)
      : expected_(expected), limits_(limits) {
    const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_H264);
    if (codec == nullptr)
      throw Error(ErrorCode::unavailable, "this libavcodec has no H.264 decoder");
    context_ = libav::make_codec(codec);
    context_->thread_count = 1;
    parsed_ = libav::make_codec(codec);
    parser_.reset(av_parser_init(AV_CODEC_ID_H264));
    if (!parser_) throw Error(ErrorCode::unavailable, "this libavcodec has no H.264 parser");
    parser_->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    context_->max_pixels = libav::pixels_with_padding(limits.max_width, limits.max_height);
    context_->err_recognition = AV_EF_EXPLODE | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_CAREFUL;
    context_->error_concealment = 0;
    libav::check(avcodec_open2(context_.get(), codec, nullptr), "cannot start the H.264 decoder");
  }

  void feed(std::span<const std::byte> unit) {
    libav::PacketPtr packet = libav::make_packet();
    libav::check(av_new_packet(packet.get(), static_cast<int>(unit.size())),
                 "cannot allocate a packet");
    std::memcpy(packet->data, unit.data(), unit.size());
    check_size(*packet);
    send(packet.get());
  }
  void finish() { send(nullptr); }

  std::vector<Frame> frames;

 private:
  /// The size in its header, before the decoder allocates memory for it. Whole macroblocks count.
  void check_size(const AVPacket& packet) {
    std::uint8_t* out = nullptr;
    int out_size = 0;
    av_parser_parse2(parser_.get(), parsed_.get(), &out, &out_size, packet.data, packet.size,
                     AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);
    constexpr int block = 16, pair_of_blocks = 32;
    const int width = parser_->coded_width - (block - 1);
    const int height = parser_->coded_height - (pair_of_blocks - 1);
    require_size(std::max(width, 0), std::max(height, 0));
  }

  void require_size(int width, int height) const {
    if (width > limits_.max_width || height > limits_.max_height) {
      throw Error(ErrorCode::limit_exceeded,
                  fmt::format("H.264 samples of {} x {} pixels; up to {} x {} are accepted", width,
                              height, limits_.max_width, limits_.max_height));
    }
    const std::size_t bytes =
        std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    if (bytes > limits_.max_rgb_bytes / expected_) {
      throw Error(ErrorCode::limit_exceeded,
                  fmt::format("{} H.264 samples of {} x {} pixels take more than {} bytes",
                              expected_, width, height, limits_.max_rgb_bytes));
    }
  }

  void send(const AVPacket* packet) {
    if (const int code = avcodec_send_packet(context_.get(), packet); code < 0) refuse(code);
    for (;;) {
      const int code = avcodec_receive_frame(context_.get(), picture_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      if (code < 0) refuse(code);
      take(*picture_);
      av_frame_unref(picture_.get());
    }
  }

  [[noreturn]] void refuse(int code) const {
    malformed(fmt::format("picture {}: {}", frames.size() + 1, libav::error_text(code)));
  }

  void take(const AVFrame& picture) {
    if (frames.size() == expected_) malformed(fmt::format("more than {} pictures", expected_));
    if ((picture.flags & AV_FRAME_FLAG_CORRUPT) != 0 || picture.decode_error_flags != 0) {
      malformed(fmt::format("picture {} is damaged", frames.size() + 1));
    }
    require_size(picture.width, picture.height);
    if (frames.empty()) {
      frames.reserve(expected_);
    } else if (picture.width != frames[0].width || picture.height != frames[0].height) {
      malformed(fmt::format("a picture of {} x {} after one of {} x {}", picture.width,
                            picture.height, frames[0].width, frames[0].height));
    }
    frames.push_back(to_rgb_(picture));
  }

  struct CloseParser {
    void operator()(AVCodecParserContext* parser) const noexcept { av_parser_close(parser); }
  };

  std::size_t expected_;
  SampleDecoderLimits limits_;
  libav::CodecPtr context_, parsed_;
  std::unique_ptr<AVCodecParserContext, CloseParser> parser_;
  libav::FramePtr picture_ = libav::make_frame();
  libav::ToRgb to_rgb_;
};

}  // namespace

std::vector<Frame> decode_samples(std::span<const std::byte> bitstream, std::size_t expected_frames,
                                  const SampleDecoderLimits& limits) {
  if (expected_frames == 0) {
    throw Error(ErrorCode::invalid_argument,
                "expected_frames is 0; a buffer holds at least one frame");
  }
  if (expected_frames > limits.max_frames) {
    throw Error(ErrorCode::limit_exceeded,
                fmt::format("{} frames in one buffer; up to {} are accepted", expected_frames,
                            limits.max_frames));
  }
  if (bitstream.size() > limits.max_bytes) {
    throw Error(ErrorCode::limit_exceeded, fmt::format("{} bytes of samples; up to {} are accepted",
                                                       bitstream.size(), limits.max_bytes));
  }
  libav::quiet();
  const std::vector<Range> units = split_access_units(bitstream, expected_frames);
  if (units.size() != expected_frames) {
    malformed(fmt::format("{} pictures where {} were announced", units.size(), expected_frames));
  }
  Decoder decoder(expected_frames, limits);
  for (const Range& unit : units)
    decoder.feed(bitstream.subspan(unit.begin, unit.end - unit.begin));
  decoder.finish();
  if (decoder.frames.size() != expected_frames) {
    malformed(fmt::format("{} pictures could be decoded where {} were announced",
                          decoder.frames.size(), expected_frames));
  }
  return std::move(decoder.frames);
}

}  // namespace ams
