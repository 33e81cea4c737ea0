#include "ams/video/label_track.hpp"

#include <fmt/format.h>

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "muxer.hpp"
#include "pixel_conversion.hpp"

extern "C" {
#include <libavutil/crc.h>
}

namespace ams {
namespace {

/// True when a frame is a row of FFV1 slices with checksums (version 3, "ec" = 1), all of them
/// right. Such a slice ends with its size (3 bytes, without these 8), a status byte, and a CRC-32
/// that makes the CRC of the whole slice 0 (RFC 9043, 4.9).
bool slices_are_sound(std::span<const std::uint8_t> frame) {
  constexpr std::size_t footer_bytes = 8;
  const AVCRC* table = av_crc_get_table(AV_CRC_32_IEEE);
  while (!frame.empty()) {
    if (frame.size() < footer_bytes) return false;
    const std::uint8_t* footer = frame.data() + frame.size() - footer_bytes;
    const std::size_t bytes =
        (static_cast<std::size_t>(footer[0]) << 16 | footer[1] << 8 | footer[2]) + footer_bytes;
    if (bytes > frame.size()) return false;
    if (av_crc(table, 0, frame.data() + frame.size() - bytes, bytes) != 0) return false;
    frame = frame.first(frame.size() - bytes);
  }
  return true;
}

}  // namespace

struct LabelTrackReader::Impl {
  std::string name;
  std::vector<libav::PacketPtr> packets;
  libav::CodecPtr decoder;
  libav::FramePtr picture = libav::make_frame();
  // A slice whose checksum fails is filled in by the decoder, without a word, so they are checked
  // here.
  std::vector<bool> sound;
  bool has_checksums = false;
  LabelMap current;
  std::optional<std::size_t> current_index;
  int width = 0, height = 0;
  double fps = 0;

  [[noreturn]] void malformed(const std::string& what) const {
    throw Error(ErrorCode::malformed_data, fmt::format("{}: {}", name, what));
  }

  void load(const std::filesystem::path& path, const LabelTrackLimits& limits) {
    name = path.string();
    const libav::InputPtr input = libav::open_file(path, "matroska");
    const int index = av_find_best_stream(input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (index < 0) malformed("holds no video stream");
    const AVStream& stream = *input->streams[index];
    if (stream.codecpar->codec_id != AV_CODEC_ID_FFV1) {
      malformed(fmt::format("a label track is coded as FFV1, not {}",
                            avcodec_get_name(stream.codecpar->codec_id)));
    }
    width = stream.codecpar->width;
    height = stream.codecpar->height;
    if (width > limits.max_width || height > limits.max_height) {
      throw Error(ErrorCode::limit_exceeded,
                  fmt::format("{}: labels of {} x {}; up to {} x {} are read", name, width, height,
                              limits.max_width, limits.max_height));
    }
    if (width < 1 || height < 1) malformed("names no picture size");
    if (stream.avg_frame_rate.num > 0 && stream.avg_frame_rate.den > 0)
      fps = av_q2d(stream.avg_frame_rate);

    const AVCodec* codec = avcodec_find_decoder(AV_CODEC_ID_FFV1);
    if (codec == nullptr)
      throw Error(ErrorCode::unavailable, "this libavcodec has no FFV1 decoder");
    decoder = libav::make_codec(codec);
    libav::check(avcodec_parameters_to_context(decoder.get(), stream.codecpar), name);
    decoder->thread_count = 1;
    decoder->max_pixels = libav::pixels_with_padding(width, height);
    decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    libav::check(avcodec_open2(decoder.get(), codec, nullptr),
                 name + ": cannot start the FFV1 decoder");

    std::size_t bytes = 0;
    for (;;) {
      libav::PacketPtr packet = libav::make_packet();
      const int code = av_read_frame(input.get(), packet.get());
      if (code == AVERROR_EOF) break;
      libav::check(code, name + ": cannot read on");
      if (packet->stream_index != index) continue;
      bytes += static_cast<std::size_t>(packet->size);
      if (packets.size() == limits.max_frames || bytes > limits.max_compressed_bytes) {
        throw Error(ErrorCode::limit_exceeded,
                    fmt::format("{}: up to {} label frames and {} bytes are read", name,
                                limits.max_frames, limits.max_compressed_bytes));
      }
      libav::check(av_packet_make_refcounted(packet.get()), name);
      sound.push_back(slices_are_sound({packet->data, static_cast<std::size_t>(packet->size)}));
      has_checksums = has_checksums || sound.back();
      packets.push_back(std::move(packet));
    }
    if (packets.empty()) malformed("holds no label frame");
    decode(0);
  }

  /// FFV1 carries its statistics from a key frame to the frames behind it, so decoding starts at
  /// one.
  void decode(std::size_t index) {
    if (current_index == index) return;
    std::size_t first = index;
    while (first > 0 && (packets[first]->flags & AV_PKT_FLAG_KEY) == 0) --first;
    if (current_index && *current_index < index && *current_index >= first) {
      first = *current_index + 1;
    } else {
      avcodec_flush_buffers(decoder.get());
    }
    current_index.reset();
    for (std::size_t i = first; i <= index; ++i) decode_next(i);
    const std::size_t row_bytes = static_cast<std::size_t>(width);
    current.width = width;
    current.height = height;
    current.ids.resize(row_bytes * height);
    libav::copy_rows(current.ids.data(), static_cast<std::ptrdiff_t>(row_bytes), picture->data[0],
                     picture->linesize[0], row_bytes, height);
    current_index = index;
  }

  void decode_next(std::size_t index) {
    const auto refuse = [&](int code) {
      malformed(fmt::format("label frame {} is damaged: {}", index, libav::error_text(code)));
    };
    if (has_checksums && !sound[index]) {
      malformed(fmt::format("label frame {} is damaged: its checksum is wrong", index));
    }
    av_frame_unref(picture.get());
    if (const int code = avcodec_send_packet(decoder.get(), packets[index].get()); code < 0)
      refuse(code);
    if (const int code = avcodec_receive_frame(decoder.get(), picture.get()); code < 0)
      refuse(code);
    if (picture->decode_error_flags != 0 || (picture->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      malformed(fmt::format("label frame {} is damaged", index));
    }
    if (picture->format != AV_PIX_FMT_GRAY8)
      malformed("a label track has 8-bit grey pictures (gray8)");
    if (picture->width != width || picture->height != height) {
      malformed(fmt::format("label frame {} is {} x {}, not {} x {}", index, picture->width,
                            picture->height, width, height));
    }
  }
};

LabelTrackReader::LabelTrackReader(const std::filesystem::path& path,
                                   const LabelTrackLimits& limits)
    : impl_(std::make_unique<Impl>()) {
  impl_->load(path, limits);
}
LabelTrackReader::~LabelTrackReader() = default;
LabelTrackReader::LabelTrackReader(LabelTrackReader&&) noexcept = default;
LabelTrackReader& LabelTrackReader::operator=(LabelTrackReader&&) noexcept = default;

int LabelTrackReader::width() const noexcept {
  return impl_->width;
}
int LabelTrackReader::height() const noexcept {
  return impl_->height;
}
std::size_t LabelTrackReader::size() const noexcept {
  return impl_->packets.size();
}
double LabelTrackReader::fps() const noexcept {
  return impl_->fps;
}

LabelMap LabelTrackReader::at(std::size_t index) {
  if (index >= size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: label frame {}; it has 0 to {}", impl_->name, index, size() - 1));
  }
  impl_->decode(index);
  return impl_->current;
}

struct LabelTrackWriter::Impl {
  Impl(const std::filesystem::path& path, int w, int h, double fps)
      : width(w), height(h), tick(av_inv_q(checked_rate(w, h, fps))), muxer(path, "matroska") {
    const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_FFV1);
    if (codec == nullptr)
      throw Error(ErrorCode::unavailable, "this libavcodec has no FFV1 encoder");
    encoder = libav::make_codec(codec);
    encoder->width = w;
    encoder->height = h;
    encoder->pix_fmt = AV_PIX_FMT_GRAY8;
    encoder->time_base = tick;
    encoder->framerate = av_inv_q(tick);
    encoder->gop_size = 1;
    encoder->level = 3;
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    if (muxer.wants_global_headers()) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "slicecrc", "1", 0);
    const int opened = avcodec_open2(encoder.get(), codec, &options);
    av_dict_free(&options);
    libav::check(opened, "cannot start the FFV1 encoder");
    AVStream& stream = muxer.stream();
    libav::check(avcodec_parameters_from_context(stream.codecpar, encoder.get()),
                 "FFV1 parameters");
    stream.time_base = tick;
    stream.avg_frame_rate = av_inv_q(tick);
    muxer.write_header();
  }

  static AVRational checked_rate(int w, int h, double fps) {
    if (w < min_label_track_side || h < min_label_track_side || w > 4096 || h > 4096) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a label track of {} x {}; both sides may be {} to 4096", w, h,
                              min_label_track_side));
    }
    if (!(fps > 0) || fps > 1000) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a label track at {} fps; above 0, up to 1000", fps));
    }
    const AVRational rate = av_d2q(fps, 1'000'000);
    return rate.num > 0 ? rate : AVRational{1, 1'000'000};
  }

  void send(const AVFrame* picture) {
    libav::check(avcodec_send_frame(encoder.get(), picture), "cannot code a label frame");
    const libav::PacketPtr packet = libav::make_packet();
    for (;;) {
      const int code = avcodec_receive_packet(encoder.get(), packet.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      libav::check(code, "cannot code a label frame");
      packet->duration = 1;
      muxer.write(*packet, tick);
    }
  }

  int width, height;
  AVRational tick;
  libav::Muxer muxer;
  libav::CodecPtr encoder;
  std::size_t frames = 0;
  bool finished = false;
};

LabelTrackWriter::LabelTrackWriter(const std::filesystem::path& path, int width, int height,
                                   double fps)
    : impl_(std::make_unique<Impl>(path, width, height, fps)) {}
LabelTrackWriter::~LabelTrackWriter() = default;
LabelTrackWriter::LabelTrackWriter(LabelTrackWriter&&) noexcept = default;
LabelTrackWriter& LabelTrackWriter::operator=(LabelTrackWriter&&) noexcept = default;

void LabelTrackWriter::add(const LabelMap& labels) {
  Impl& impl = *impl_;
  if (impl.finished) throw Error(ErrorCode::invalid_argument, "a label frame added after finish()");
  const std::size_t bytes = static_cast<std::size_t>(impl.width) * impl.height;
  if (labels.width != impl.width || labels.height != impl.height || labels.ids.size() != bytes) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("labels of {} x {} ({} ids) in a track of {} x {}", labels.width,
                            labels.height, labels.ids.size(), impl.width, impl.height));
  }
  const libav::FramePtr picture = libav::make_frame(AV_PIX_FMT_GRAY8, impl.width, impl.height);
  libav::copy_rows(picture->data[0], picture->linesize[0], labels.ids.data(), impl.width,
                   static_cast<std::size_t>(impl.width), impl.height);
  picture->pts = static_cast<std::int64_t>(impl.frames);
  impl.send(picture.get());
  ++impl.frames;
}

std::size_t LabelTrackWriter::size() const noexcept {
  return impl_->frames;
}

void LabelTrackWriter::finish() {
  if (impl_->finished) throw Error(ErrorCode::invalid_argument, "finish() called twice");
  if (impl_->frames == 0) throw Error(ErrorCode::invalid_argument, "a label track without a frame");
  impl_->send(nullptr);
  impl_->muxer.finish();
  impl_->finished = true;
}

}  // namespace ams
