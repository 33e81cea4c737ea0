#include "stream_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include "avdevice.hpp"
#include "not_a_video.hpp"

extern "C" {
#include <libavutil/avstring.h>
#include <libavutil/display.h>
}

namespace ams {
namespace {

constexpr int max_refused_in_a_row = 256;
constexpr double fallback_fps = 25;
constexpr double max_plausible_fps = 1000;
constexpr std::size_t telling_bytes = 4096;
/// What libav may read to recognise a stream that may be slow; of JPEGs it would want a megabyte.
constexpr const char* slow_probe_bytes = "65536";

/// Key-value options for libav; what the callee does not take stays in it and is freed here.
class Dictionary {
 public:
  Dictionary() = default;
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;
  ~Dictionary() { av_dict_free(&entries_); }
  void set(const char* key, const std::string& value) {
    av_dict_set(&entries_, key, value.c_str(), 0);
  }
  bool has(const char* key) const { return av_dict_get(entries_, key, nullptr, 0) != nullptr; }
  AVDictionary** handle() { return &entries_; }

 private:
  AVDictionary* entries_ = nullptr;
};

const std::int32_t* display_matrix(const AVStream& stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  const AVPacketSideData* data =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  return data == nullptr ? nullptr : reinterpret_cast<const std::int32_t*>(data->data);
#else
  return reinterpret_cast<const std::int32_t*>(
      av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
#endif
}

bool is_picture_of_a_cover(const AVStream& stream) {
  return (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
}

/// Containers whose timestamps are the sender's. What the others have is made up by libav from a
/// frame rate that it assumes.
constexpr std::array<const char*, 15> formats_with_times{
    "rtsp",     "rtp", "sdp",  "hls", "dash", "mpegts", "mpeg", "flv",
    "live_flv", "nut", "webm", "mp4", "ogg",  "asf",    "v4l2"};

}  // namespace

StreamReader::StreamReader(SourceAddress address, const VideoReaderOptions& options)
    : address_(std::move(address)),
      options_(options),
      to_rgb_(options.width, options.height, options.scaling),
      fps_(options.fps > 0 ? options.fps : fallback_fps) {
  libav::quiet();
  open_input();
  choose_stream();
  open_decoder();
  width_ = options_.width;
  height_ = options_.height;
  if (width_ == 0) {
    width_ = stream_->codecpar->width;
    height_ = stream_->codecpar->height;
    if (of_stream_.transposed) std::swap(width_, height_);
  }
  if (live_) return;
  first_ = decode();
  if (!first_) return;  // stopped
  width_ = first_->width;
  height_ = first_->height;
}

void StreamReader::open_input() {
  Dictionary settings;
  const AVInputFormat* format = nullptr;
  if (!address_.protocols.empty()) settings.set("protocol_whitelist", address_.protocols);
  if (address_.kind == Kind::camera) {
    libav::register_devices(name());
    format = av_find_input_format("v4l2");
    if (format == nullptr) {
      throw Error(ErrorCode::unavailable,
                  name() + ": this libavdevice reads no Video4Linux cameras");
    }
    if (options_.camera_width > 0) {
      settings.set("video_size",
                   fmt::format("{}x{}", options_.camera_width, options_.camera_height));
    }
    if (options_.camera_fps > 0) settings.set("framerate", fmt::format("{}", options_.camera_fps));
  } else {
    settings.set("format_whitelist", demuxers_of_videos());
    settings.set("pattern_type", "none");  // of pictures: a '%' in a file's name is a '%'
    if (options_.fps > 0) settings.set("framerate", fmt::format("{}", options_.fps));
    if (address_.kind != Kind::file) settings.set("formatprobesize", slow_probe_bytes);
  }
  if (address_.kind == Kind::network) avformat_network_init();
  if (address_.rtsp) settings.set("rtsp_transport", "tcp");

  AVFormatContext* context = avformat_alloc_context();
  if (context == nullptr) throw std::bad_alloc();
  input_.reset(context);
  context->interrupt_callback = {&StreamReader::interrupted, this};
  if (address_.kind == Kind::pipe) {
    pipe_.emplace(address_.url, context->interrupt_callback);
    context->pb = pipe_->context();
    context->flags |= AVFMT_FLAG_CUSTOM_IO;
  } else if (address_.kind == Kind::file) {
    usual_open_ = context->io_open;
    context->opaque = this;
    context->io_open = &StreamReader::open_only_the_file;
  }
  start_waiting();
  // On failure avformat_open_input frees the context itself.
  static_cast<void>(input_.release());
  if (const int code =
          avformat_open_input(&context, address_.url.c_str(), format, settings.handle());
      code < 0) {
    fail(code, "cannot open");
  }
  input_.reset(context);
  if (options_.fps > 0 && (settings.has("framerate") || address_.kind == Kind::camera)) {
    throw Error(ErrorCode::invalid_argument,
                name() + ": has times of its own; fps is for pictures and for streams without");
  }
  const auto duration_at_open = static_cast<double>(input_->duration);
  const bool own_times = std::any_of(formats_with_times.begin(), formats_with_times.end(),
                                     [this](const char* with) { return format_is(with); });
  if (address_.kind != Kind::file && !own_times) input_->fps_probe_size = 0;  // there is none
  start_waiting();
  if (const int code = avformat_find_stream_info(input_.get(), nullptr); code < 0) {
    fail(code, "cannot find out what is in it");
  }
  if (stopped()) fail(AVERROR_EXIT, "cannot open");
  live_ = is_live(duration_at_open);
  if (live_ && !own_times) {
    if (options_.fps > 0) {
      throw Error(ErrorCode::invalid_argument,
                  name() +
                      ": a live source; its frames have the times at which they come. Give "
                      "no fps, or say that it is not live (--live no)");
    }
    arrivals_.emplace();
  }
}

void StreamReader::choose_stream() {
  int index = av_find_best_stream(input_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec_, 0);
  bool sound = false, cover = false;
  for (unsigned i = 0; i < input_->nb_streams; ++i) {
    const AVStream& stream = *input_->streams[i];
    const AVCodecParameters& found = *stream.codecpar;
    sound = sound || found.codec_type == AVMEDIA_TYPE_AUDIO;
    if (found.codec_type != AVMEDIA_TYPE_VIDEO) continue;
    cover = cover || is_picture_of_a_cover(stream);
    // A stream that was found but not described (a cut file) is damage; one of an unknown kind is
    // not.
    if (index == AVERROR_DECODER_NOT_FOUND && found.codec_id != AV_CODEC_ID_NONE) {
      fail(index, fmt::format("cannot decode its video ({})", avcodec_get_name(found.codec_id)));
    }
  }
  if (index >= 0 && is_picture_of_a_cover(*input_->streams[index])) {
    index = -1;
    for (unsigned i = 0; i < input_->nb_streams && index < 0; ++i) {
      const AVStream& stream = *input_->streams[i];
      if (stream.codecpar->codec_type != AVMEDIA_TYPE_VIDEO || is_picture_of_a_cover(stream)) {
        continue;
      }
      codec_ = avcodec_find_decoder(stream.codecpar->codec_id);
      if (codec_ != nullptr) index = static_cast<int>(i);
    }
  }
  if (index < 0) {
    refuse(cover   ? "holds sound and a picture of its cover, but no video"
           : sound ? "holds sound, but no video"
                   : "holds no video");
  }
  for (unsigned i = 0; i < input_->nb_streams; ++i) {
    if (static_cast<int>(i) != index) input_->streams[i]->discard = AVDISCARD_ALL;
  }
  stream_ = input_->streams[index];
}

void StreamReader::open_decoder() {
  require_size(stream_->codecpar->width, stream_->codecpar->height);
  decoder_ = libav::make_codec(codec_);
  libav::check(avcodec_parameters_to_context(decoder_.get(), stream_->codecpar), name());
  decoder_->pkt_timebase = stream_->time_base;
  decoder_->thread_count = options_.threads;
  decoder_->max_pixels = libav::pixels_with_padding(options_.max_width, options_.max_height);
  if (const int code = avcodec_open2(decoder_.get(), codec_, nullptr); code < 0) {
    fail(code, "cannot start the decoder");
  }
  const AVRational rate =
      stream_->avg_frame_rate.num > 0 ? stream_->avg_frame_rate : stream_->r_frame_rate;
  if (options_.fps == 0 && rate.num > 0 && rate.den > 0 && av_q2d(rate) <= max_plausible_fps) {
    fps_ = av_q2d(rate);
  }
  const double tick = stream_->time_base.den > 0 ? av_q2d(stream_->time_base) : 0;
  timeline_.emplace(tick, 1 / fps_);
  of_stream_ = orientation_of(display_matrix(*stream_));
}

/// A network stream or pipe whose end is unknown: see VideoReader's docstring.
bool StreamReader::is_live(double duration_at_open) const {
  if (address_.kind == Kind::camera) return true;
  if (address_.kind == Kind::file) return false;
  if (options_.live) return *options_.live;
  if (address_.rtsp || format_is("mpjpeg")) return true;
  // What a fragmented MP4 claims later is what has come so far; FLV claims it in its packets.
  if (duration_at_open > 0 || (format_is("flv") && input_->duration > 0)) return false;
  if (comes_in_segments() || input_->pb == nullptr) return true;
  return avio_size(input_->pb) <= 0;
}

bool StreamReader::format_is(const char* name) const {
  return av_match_name(name, input_->iformat->name) != 0;
}

bool StreamReader::comes_in_segments() const {
  return format_is("hls") || format_is("dash");
}

bool StreamReader::still_picture() const noexcept {
  const std::string_view format = input_->iformat->name;
  return !live_ && (format == "image2" || format.ends_with("_pipe"));
}

double StreamReader::fps() const noexcept {
  return arrivals_ ? arrivals_->fps().value_or(fps_) : fps_;
}

std::optional<std::int64_t> StreamReader::frame_count() const noexcept {
  if (ended_) return frames_;
  if (live_ || stream_->nb_frames <= 0) return std::nullopt;
  if (!format_is("mp4")) return stream_->nb_frames;
  // An edit list may leave samples out, and a file that is cut has not got all of them.
  const std::int64_t size = input_->pb == nullptr ? -1 : avio_size(input_->pb);
  std::int64_t playable = 0;
  const int samples = avformat_index_get_entries_count(stream_);
  for (int i = 0; i < samples; ++i) {
    const AVIndexEntry& sample = *avformat_index_get_entry(const_cast<AVStream*>(stream_), i);
    if ((sample.flags & AVINDEX_DISCARD_FRAME) == 0 &&
        (size <= 0 || sample.pos + sample.size <= size)) {
      ++playable;
    }
  }
  return playable;
}

std::optional<double> StreamReader::duration_seconds() const noexcept {
  if (live_) return std::nullopt;
  if (stream_->duration > 0) {
    return static_cast<double>(stream_->duration) * av_q2d(stream_->time_base);
  }
  if (input_->duration > 0) return static_cast<double>(input_->duration) / AV_TIME_BASE;
  return std::nullopt;
}

std::optional<Frame> StreamReader::next() {
  if (stopped()) return std::nullopt;
  if (first_) return std::exchange(first_, std::nullopt);
  auto frame = decode();
  if (frame && live_ && comes_in_segments()) wait_until_due(frame->capture_seconds);
  return frame;
}

std::optional<Frame> StreamReader::decode() {
  start_waiting();
  while (!ended_ && !stopped()) {
    const int code = avcodec_receive_frame(decoder_.get(), picture_.get());
    if (code == 0) {
      Frame frame = finish(*picture_);
      av_frame_unref(picture_.get());
      return frame;
    }
    if (code == AVERROR_EOF || (draining_ && code == AVERROR(EAGAIN))) {
      if (frames_ == 0) {
        refuse("its video stream holds no frame that can be decoded");
      }
      ended_ = true;
    } else if (code == AVERROR(EAGAIN)) {
      if (!pull_packet()) return std::nullopt;
    } else if (++refused_, ++refused_in_a_row_ >= max_refused_in_a_row) {
      fail(AVERROR_INVALIDDATA, "cannot decode on");
    }
  }
  return std::nullopt;
}

/// Feeds the decoder one packet, or tells it that there are no more. False once stopped.
bool StreamReader::pull_packet() {
  const int code = av_read_frame(input_.get(), packet_.get());
  if (stopped()) return false;
  if (code == AVERROR(EAGAIN)) return true;
  if (code < 0) {
    // Some demuxers call an end in the midst of a frame damage; others call a lost line an end.
    const AVIOContext* io = input_->pb;
    const bool at_end = io != nullptr && io->eof_reached != 0;
    const bool lost = at_end && io->error < 0 && io->error != AVERROR_EOF;
    if (lost) fail(io->error, "the line was lost");
    const bool cut = at_end && (live_ || format_is("mpjpeg"));
    if (code != AVERROR_EOF && !cut) fail(code, "cannot read on");
    draining_ = true;
    avcodec_send_packet(decoder_.get(), nullptr);
    return true;
  }
  const bool ours = packet_->stream_index == stream_->index;
  const int sent = ours ? avcodec_send_packet(decoder_.get(), packet_.get()) : 0;
  av_packet_unref(packet_.get());
  if (sent < 0 && sent != AVERROR(EAGAIN)) {
    ++refused_;
    if (++refused_in_a_row_ >= max_refused_in_a_row) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("{}: {} packets in a row cannot be decoded, the last one: {}", name(),
                              refused_in_a_row_, libav::error_text(sent)));
    }
  }
  return true;
}

Frame StreamReader::finish(const AVFrame& picture) {
  refused_in_a_row_ = 0;
  require_size(picture.width, picture.height);
  // A picture's own orientation (JPEG's EXIF, H.264's SEI) goes before its stream's.
  const AVFrameSideData* own = av_frame_get_side_data(&picture, AV_FRAME_DATA_DISPLAYMATRIX);
  const Orientation orientation =
      own == nullptr ? of_stream_
                     : orientation_of(reinterpret_cast<const std::int32_t*>(own->data));
  shown_width_ = picture.width;
  shown_height_ = picture.height;
  if (orientation.transposed) std::swap(shown_width_, shown_height_);
  if (orientation.transposed != of_picture_.transposed) {
    // Sides are exchanged last, so the converter must give the size before that.
    const bool sideways = orientation.transposed;
    to_rgb_ = libav::ToRgb(sideways ? options_.height : options_.width,
                           sideways ? options_.width : options_.height, options_.scaling);
  }
  of_picture_ = orientation;
  Frame frame = oriented(to_rgb_(picture), orientation);
  if (arrivals_) {
    frame.capture_seconds =
        arrivals_->place(std::chrono::duration<double>(Clock::now().time_since_epoch()).count());
  } else {
    const std::int64_t timestamp =
        picture.pts != AV_NOPTS_VALUE ? picture.pts : picture.best_effort_timestamp;
    frame.capture_seconds =
        timeline_->place(timestamp == AV_NOPTS_VALUE ? std::nullopt : std::optional(timestamp));
  }
  ++frames_;
  return frame;
}

/// Of a stream that comes in segments, many frames at once: waits for each one's time. After a
/// stall time goes on from there.
void StreamReader::wait_until_due(double capture_seconds) {
  const auto offset =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(capture_seconds));
  const auto now = Clock::now();
  if (!play_start_ || *play_start_ + offset < now) play_start_ = now - offset;
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never;
  never.wait_until(lock, options_.stop, *play_start_ + offset, [] { return false; });
}

void StreamReader::fail(int code, const std::string& doing) {
  // Protocols report the interruption in words of their own.
  if (stopped()) throw Error(ErrorCode::io_error, name() + ": stopped while it was opened");
  if (code == AVERROR_EXIT || out_of_time()) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: nothing came for {} s", name(), options_.timeout_seconds));
  }
  const std::string words = fmt::format("{}: {}", doing, libav::error_text(code));
  const bool unknown = code == AVERROR_INVALIDDATA || code == AVERROR(EINVAL);
  if (unknown && stream_ == nullptr) {
    refuse(fmt::format("not a video that libav knows ({})", words));
  }
  throw Error(libav::error_code(code), fmt::format("{}: {}", name(), words));
}

/// Says what it is if its first bytes tell, and `otherwise` if not.
void StreamReader::refuse(const std::string& otherwise) {
  const auto bytes = first_bytes();
  const auto told = bytes ? told_by(*bytes) : std::nullopt;
  throw Error(ErrorCode::malformed_data,
              told ? fmt::format("{}: not a video: it is {}", name(), *told)
                   : fmt::format("{}: {}", name(), otherwise));
}

/// Of a file or of what an HTTP server sends; nothing where they cannot be had.
std::optional<std::string> StreamReader::first_bytes() {
  if (address_.kind != Kind::file && !address_.http) return std::nullopt;
  Dictionary settings;
  settings.set("protocol_whitelist", address_.protocols);
  const AVIOInterruptCB callback{&StreamReader::interrupted, this};
  AVIOContext* io = nullptr;
  start_waiting();
  if (avio_open2(&io, address_.url.c_str(), AVIO_FLAG_READ, &callback, settings.handle()) < 0) {
    return std::nullopt;
  }
  std::string bytes(telling_bytes, '\0');
  const int count =
      avio_read(io, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  avio_closep(&io);
  if (count < 0 && count != AVERROR_EOF) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(std::max(count, 0)));
  return bytes;
}

void StreamReader::require_size(int w, int h) const {
  if (w > options_.max_width || h > options_.max_height) {
    throw Error(ErrorCode::limit_exceeded,
                fmt::format("{}: pictures of {} x {}; up to {} x {} are read", name(), w, h,
                            options_.max_width, options_.max_height));
  }
}

void StreamReader::start_waiting() {
  deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(options_.timeout_seconds));
}

bool StreamReader::out_of_time() const {
  return address_.kind != Kind::file && Clock::now() > deadline_;
}

int StreamReader::interrupted(void* self) {
  const auto& reader = *static_cast<const StreamReader*>(self);
  return reader.stopped() || reader.out_of_time() ? 1 : 0;
}

/// Opens the file itself and nothing else that its content may name.
int StreamReader::open_only_the_file(AVFormatContext* context, AVIOContext** io, const char* url,
                                     int flags, AVDictionary** io_options) {
  const auto& reader = *static_cast<const StreamReader*>(context->opaque);
  if (reader.address_.url != url || (flags & AVIO_FLAG_WRITE) != 0) return AVERROR(EACCES);
  return reader.usual_open_(context, io, url, flags, io_options);
}

}  // namespace ams
