#include "ams/video/video_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <string_view>
#include <utility>

#include "pixel_conversion.hpp"

extern "C" {
#include <libavdevice/avdevice.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
}

namespace ams {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int max_refused_in_a_row = 256;
constexpr double fallback_fps = 25;
constexpr double max_plausible_fps = 1000;

enum class SourceKind { file, camera, rtsp, http };

SourceKind kind_of(std::string_view source) {
  if (source.starts_with("camera:") || source.starts_with("/dev/video")) return SourceKind::camera;
  if (source.starts_with("rtsp://") || source.starts_with("rtsps://")) return SourceKind::rtsp;
  if (source.starts_with("http://") || source.starts_with("https://")) return SourceKind::http;
  return SourceKind::file;
}

/// An address without its user and password. The last '@' ends them, wherever it is: a password may
/// hold anything, and hiding too much of an address does no harm.
std::string masked(const std::string& source) {
  const auto scheme = source.find("://");
  const auto at = source.rfind('@');
  if (kind_of(source) == SourceKind::file || scheme == std::string::npos ||
      at == std::string::npos || at < scheme) {
    return source;
  }
  return source.substr(0, scheme + 3) + "***" + source.substr(at);
}

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
  AVDictionary** handle() { return &entries_; }

 private:
  AVDictionary* entries_ = nullptr;
};

void require_valid(const VideoReaderOptions& o) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::invalid_argument, message);
  };
  if ((o.width == 0) != (o.height == 0) || o.width < 0 || o.height < 0 || o.width > 16384 ||
      o.height > 16384) {
    refuse(fmt::format("frame size {} x {}: give 1 to 16384 for both, or 0 x 0 for the video's own",
                       o.width, o.height));
  }
  if (!(o.timeout_seconds > 0) || o.timeout_seconds > 86400) {
    refuse(fmt::format("timeout_seconds {}: may be above 0, up to 86400", o.timeout_seconds));
  }
  if (o.camera_width < 0 || o.camera_height < 0 ||
      (o.camera_width == 0) != (o.camera_height == 0) || !(o.camera_fps >= 0)) {
    refuse(fmt::format(
        "camera size {} x {} at {} fps: give positive values, or 0 for the camera's own",
        o.camera_width, o.camera_height, o.camera_fps));
  }
  if (o.max_width < 1 || o.max_width > 16384 || o.max_height < 1 || o.max_height > 16384) {
    refuse(fmt::format("max size {} x {}: may be 1 to 16384", o.max_width, o.max_height));
  }
  if (o.threads < 1 || o.threads > 64) refuse(fmt::format("threads {}: may be 1 to 64", o.threads));
}

/// Quarter turns, clockwise, that the container asks the player to apply.
int quarter_turns(const AVStream& stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  const AVPacketSideData* data =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  const auto* matrix =
      data == nullptr ? nullptr : reinterpret_cast<const std::int32_t*>(data->data);
#else
  const auto* matrix = reinterpret_cast<const std::int32_t*>(
      av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
#endif
  if (matrix == nullptr) return 0;
  const double counterclockwise = av_display_rotation_get(matrix);
  if (!std::isfinite(counterclockwise)) return 0;
  return (static_cast<int>(std::lround(-counterclockwise / 90)) % 4 + 4) % 4;
}

Frame rotated(Frame frame, int turns) {
  if (turns == 0) return frame;
  Frame out;
  out.width = turns == 2 ? frame.width : frame.height;
  out.height = turns == 2 ? frame.height : frame.width;
  out.rgb.resize(frame.rgb.size());
  const int w = frame.width;
  const int h = frame.height;
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int from_x = y, from_y = h - 1 - x;  // one turn clockwise
      if (turns == 2) {
        from_x = w - 1 - x;
        from_y = h - 1 - y;
      } else if (turns == 3) {
        from_x = w - 1 - y;
        from_y = x;
      }
      const std::uint8_t* from = &frame.rgb[(static_cast<std::size_t>(from_y) * w + from_x) * 3];
      std::copy(from, from + 3, &out.rgb[(static_cast<std::size_t>(y) * out.width + x) * 3]);
    }
  }
  return out;
}

/// Turns timestamps into strictly ascending seconds from 0; see VideoReader's docstring.
class Timeline {
 public:
  Timeline(double tick_seconds, double interval_seconds)
      : tick_seconds_(tick_seconds), interval_seconds_(interval_seconds) {}

  double place(std::int64_t timestamp) {
    const bool known = timestamp != AV_NOPTS_VALUE;
    const double at = known ? static_cast<double>(timestamp) * tick_seconds_ : 0;
    if (!last_) {
      origin_ = known ? at : 0;
      anchored_ = known;
      return *(last_ = 0.0);
    }
    double seconds = *last_ + interval_seconds_;
    if (known && !anchored_) {
      origin_ = at - seconds;
      anchored_ = true;
    } else if (known) {
      const double claimed = at - origin_;
      if (claimed > *last_) {
        seconds = claimed;
      } else if (claimed > *last_ - 1) {
        seconds = *last_ + interval_seconds_ / 16;  // jitter: stay near the claim
      } else {
        origin_ = at - seconds;
      }
    }
    return *(last_ = seconds);
  }

 private:
  double tick_seconds_, interval_seconds_;
  double origin_ = 0;
  bool anchored_ = false;
  std::optional<double> last_;
};

}  // namespace

struct VideoReader::Impl {
  Impl(const std::string& source_name, const VideoReaderOptions& opts)
      : source(source_name), name(masked(source_name)), options(opts), kind(kind_of(source_name)) {}

  void open();
  std::optional<Frame> next();
  bool pull_packet();
  void start_waiting() {
    deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(options.timeout_seconds));
  }
  [[noreturn]] void fail(int code, const std::string& doing) const {
    // Protocols report the interruption in words of their own.
    if (stopped()) throw Error(ErrorCode::io_error, name + ": stopped while it was opened");
    if (code == AVERROR_EXIT || out_of_time()) {
      throw Error(ErrorCode::io_error,
                  fmt::format("{}: nothing came for {} s", name, options.timeout_seconds));
    }
    libav::raise(code, fmt::format("{}: {}", name, doing));
  }
  void require_size(int w, int h) const {
    if (w > options.max_width || h > options.max_height) {
      throw Error(ErrorCode::limit_exceeded,
                  fmt::format("{}: pictures of {} x {}; up to {} x {} are read", name, w, h,
                              options.max_width, options.max_height));
    }
  }

  /// Opens the file itself and nothing else that its content may name.
  static int open_only_the_file(AVFormatContext* context, AVIOContext** io, const char* url,
                                int flags, AVDictionary** io_options) {
    const auto* impl = static_cast<const Impl*>(context->opaque);
    if (impl->file_url != url || (flags & AVIO_FLAG_WRITE) != 0) return AVERROR(EACCES);
    return impl->usual_open(context, io, url, flags, io_options);
  }

  bool stopped() const {
    return cancelled.load(std::memory_order_relaxed) || options.stop.stop_requested();
  }
  bool out_of_time() const { return kind != SourceKind::file && Clock::now() > deadline; }

  static int interrupted(void* self) {
    const auto* impl = static_cast<const Impl*>(self);
    return impl->stopped() || impl->out_of_time() ? 1 : 0;
  }

  std::string source;
  std::string name;  // for people
  VideoReaderOptions options;
  SourceKind kind;
  std::string file_url;
  int (*usual_open)(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) = nullptr;
  std::atomic<bool> cancelled{false};
  Clock::time_point deadline{};

  libav::InputPtr input;
  const AVStream* stream = nullptr;
  libav::CodecPtr decoder;
  libav::PacketPtr packet = libav::make_packet();
  libav::FramePtr picture = libav::make_frame();
  std::optional<libav::ToRgb> to_rgb;
  std::optional<Timeline> timeline;
  double fps = fallback_fps;
  int turns = 0;
  int width = 0, height = 0;
  bool draining = false;
  bool ended = false;
  std::int64_t frames = 0;
  std::int64_t refused = 0;
  int refused_in_a_row = 0;
};

void VideoReader::Impl::open() {
  libav::quiet();
  Dictionary settings;
  const AVInputFormat* format = nullptr;
  std::string url = source;
  switch (kind) {
    case SourceKind::file:
      url = "file:" + source;
      settings.set("protocol_whitelist", "file");
      break;
    case SourceKind::camera: {
      avdevice_register_all();
      format = av_find_input_format("v4l2");
      if (format == nullptr) {
        throw Error(ErrorCode::unavailable,
                    name + ": this libavdevice reads no Video4Linux cameras");
      }
      if (source.starts_with("camera:")) {
        const std::string number = source.substr(7);
        if (number.empty() || number.size() > 3 ||
            number.find_first_not_of("0123456789") != std::string::npos) {
          throw Error(
              ErrorCode::invalid_argument,
              name + ": a camera is camera:<number>, e.g. camera:0, or a path /dev/video<number>");
        }
        url = "/dev/video" + number;
      }
      if (options.camera_width > 0) {
        settings.set("video_size",
                     fmt::format("{}x{}", options.camera_width, options.camera_height));
      }
      if (options.camera_fps > 0) settings.set("framerate", fmt::format("{}", options.camera_fps));
      break;
    }
    case SourceKind::rtsp:
      avformat_network_init();
      settings.set("rtsp_transport", "tcp");
      settings.set("protocol_whitelist", "rtp,rtsp,rtsps,tcp,tls,udp");
      break;
    case SourceKind::http:
      avformat_network_init();
      settings.set("protocol_whitelist", "http,https,httpproxy,tcp,tls,crypto,data");
      break;
  }

  AVFormatContext* context = avformat_alloc_context();
  if (context == nullptr) throw std::bad_alloc();
  context->interrupt_callback = {&Impl::interrupted, this};
  if (kind == SourceKind::file) {
    file_url = url;
    usual_open = context->io_open;
    context->opaque = this;
    context->io_open = &Impl::open_only_the_file;
  }
  start_waiting();
  // On failure avformat_open_input frees the context itself.
  if (const int code = avformat_open_input(&context, url.c_str(), format, settings.handle());
      code < 0) {
    fail(code, "cannot open");
  }
  input.reset(context);
  start_waiting();
  if (const int code = avformat_find_stream_info(input.get(), nullptr); code < 0) {
    fail(code, "cannot find out what is in it");
  }
  if (stopped()) fail(AVERROR_EXIT, "cannot open");

  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  if (index == AVERROR_DECODER_NOT_FOUND) {
    // A stream that was found but not described (a cut file) is damage; one of an unknown kind is
    // not.
    for (unsigned i = 0; i < input->nb_streams; ++i) {
      const AVCodecParameters& found = *input->streams[i]->codecpar;
      if (found.codec_type == AVMEDIA_TYPE_VIDEO && found.codec_id != AV_CODEC_ID_NONE) {
        fail(index, fmt::format("cannot decode its video ({})", avcodec_get_name(found.codec_id)));
      }
    }
  }
  if (index < 0) throw Error(ErrorCode::malformed_data, name + ": holds no video stream");
  for (unsigned i = 0; i < input->nb_streams; ++i) {
    if (static_cast<int>(i) != index) input->streams[i]->discard = AVDISCARD_ALL;
  }
  stream = input->streams[index];

  require_size(stream->codecpar->width, stream->codecpar->height);
  decoder = libav::make_codec(codec);
  libav::check(avcodec_parameters_to_context(decoder.get(), stream->codecpar), name);
  decoder->pkt_timebase = stream->time_base;
  decoder->thread_count = options.threads;
  decoder->max_pixels = libav::pixels_with_padding(options.max_width, options.max_height);
  if (const int code = avcodec_open2(decoder.get(), codec, nullptr); code < 0) {
    fail(code, "cannot start the decoder");
  }

  const AVRational rate =
      stream->avg_frame_rate.num > 0 ? stream->avg_frame_rate : stream->r_frame_rate;
  if (rate.num > 0 && rate.den > 0 && av_q2d(rate) <= max_plausible_fps) fps = av_q2d(rate);
  const double tick = stream->time_base.den > 0 ? av_q2d(stream->time_base) : 0;
  timeline.emplace(tick, 1 / fps);

  // The turn is applied last, so the converter must give the size before the turn.
  turns = quarter_turns(*stream);
  const bool sideways = turns % 2 == 1;
  to_rgb.emplace(sideways ? options.height : options.width,
                 sideways ? options.width : options.height, options.scaling);
  width = options.width;
  height = options.height;
  if (width == 0) {
    width = sideways ? stream->codecpar->height : stream->codecpar->width;
    height = sideways ? stream->codecpar->width : stream->codecpar->height;
  }
}

/// Feeds the decoder one packet, or tells it that there are no more. False once stopped.
bool VideoReader::Impl::pull_packet() {
  const int code = av_read_frame(input.get(), packet.get());
  if (stopped()) return false;
  if (code == AVERROR_EOF) {
    draining = true;
    avcodec_send_packet(decoder.get(), nullptr);
    return true;
  }
  if (code == AVERROR(EAGAIN)) return true;
  if (code < 0) fail(code, "cannot read on");
  const bool ours = packet->stream_index == stream->index;
  const int sent = ours ? avcodec_send_packet(decoder.get(), packet.get()) : 0;
  av_packet_unref(packet.get());
  if (sent < 0 && sent != AVERROR(EAGAIN)) {
    ++refused;
    if (++refused_in_a_row >= max_refused_in_a_row) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("{}: {} packets in a row cannot be decoded, the last one: {}", name,
                              refused_in_a_row, libav::error_text(sent)));
    }
  }
  return true;
}

std::optional<Frame> VideoReader::Impl::next() {
  start_waiting();
  while (!ended && !stopped()) {
    const int code = avcodec_receive_frame(decoder.get(), picture.get());
    if (code == 0) {
      refused_in_a_row = 0;
      require_size(picture->width, picture->height);
      Frame frame = rotated((*to_rgb)(*picture), turns);
      const std::int64_t timestamp =
          picture->pts != AV_NOPTS_VALUE ? picture->pts : picture->best_effort_timestamp;
      frame.capture_seconds = timeline->place(timestamp);
      av_frame_unref(picture.get());
      ++frames;
      return frame;
    }
    if (code == AVERROR_EOF || (draining && code == AVERROR(EAGAIN))) {
      ended = true;
      if (frames == 0) {
        throw Error(ErrorCode::malformed_data,
                    name + ": its video stream holds no frame that can be decoded");
      }
    } else if (code == AVERROR(EAGAIN)) {
      if (!pull_packet()) ended = true;
    } else if (++refused, ++refused_in_a_row >= max_refused_in_a_row) {
      fail(AVERROR_INVALIDDATA, "cannot decode on");
    }
  }
  return std::nullopt;
}

VideoReader::VideoReader(const std::string& source, const VideoReaderOptions& options) {
  require_valid(options);
  impl_ = std::make_unique<Impl>(source, options);
  impl_->open();
}
VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;

std::optional<Frame> VideoReader::next() {
  return impl_->next();
}
void VideoReader::cancel() noexcept {
  impl_->cancelled = true;
}
const std::string& VideoReader::name() const noexcept {
  return impl_->name;
}
int VideoReader::width() const noexcept {
  return impl_->width;
}
int VideoReader::height() const noexcept {
  return impl_->height;
}
double VideoReader::fps() const noexcept {
  return impl_->fps;
}
bool VideoReader::live() const noexcept {
  return impl_->kind == SourceKind::camera || impl_->kind == SourceKind::rtsp;
}
std::int64_t VideoReader::refused_packets() const noexcept {
  return impl_->refused;
}

std::optional<std::int64_t> VideoReader::frame_count() const noexcept {
  if (live() || impl_->stream->nb_frames <= 0) return std::nullopt;
  return impl_->stream->nb_frames;
}

std::optional<double> VideoReader::duration_seconds() const noexcept {
  if (live()) return std::nullopt;
  if (impl_->stream->duration > 0) {
    return static_cast<double>(impl_->stream->duration) * av_q2d(impl_->stream->time_base);
  }
  if (impl_->input->duration > 0) return static_cast<double>(impl_->input->duration) / AV_TIME_BASE;
  return std::nullopt;
}

}  // namespace ams
