#include "ams/video/video_writer.hpp"

#include <fmt/format.h>

#include "muxer.hpp"
#include "pixel_conversion.hpp"

#ifdef AMS_WITH_X264
#include <cstring>

#include "x264_encoder.hpp"
#endif

namespace ams {

#ifdef AMS_WITH_X264

namespace {

x264_param_t parameters_of(int width, int height, const VideoWriterOptions& o) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::invalid_argument, message);
  };
  if (width < 16 || height < 16 || width > 8192 || height > 8192 || width % 2 != 0 ||
      height % 2 != 0) {
    refuse(
        fmt::format("a video of {} x {}; both sides must be even and 16 to 8192", width, height));
  }
  if (!(o.fps >= 0.01 && o.fps <= 1000)) refuse(fmt::format("fps {}: may be 0.01 to 1000", o.fps));
  if (!(o.crf >= 0 && o.crf <= 51)) refuse(fmt::format("crf {}: may be 0 to 51", o.crf));
  if (o.keyframe_interval < 1 || o.keyframe_interval > 100'000) {
    refuse(fmt::format("keyframe_interval {}: may be 1 to 100000", o.keyframe_interval));
  }
  x264_param_t p = x264_parameters(o.preset, width, height);
  const AVRational rate = av_d2q(o.fps, 100'000);
  p.i_fps_num = static_cast<std::uint32_t>(rate.num);
  p.i_fps_den = static_cast<std::uint32_t>(rate.den);
  p.i_timebase_num = p.i_fps_den;
  p.i_timebase_den = p.i_fps_num;
  p.b_vfr_input = 0;
  p.i_keyint_max = o.keyframe_interval;
  p.rc.i_rc_method = X264_RC_CRF;
  p.rc.f_rf_constant = static_cast<float>(o.crf);
  x264_param_apply_profile(&p, "high");
  return p;
}

}  // namespace

struct VideoWriter::Impl {
  Impl(const std::filesystem::path& path, int w, int h, const VideoWriterOptions& options)
      : width(w),
        height(h),
        parameters(parameters_of(w, h, options)),
        encoder(parameters),
        to_yuv(w, h),
        muxer(path, "mp4"),
        tick{static_cast<int>(parameters.i_timebase_num),
             static_cast<int>(parameters.i_timebase_den)} {
    AVStream& stream = muxer.stream();
    AVCodecParameters& codec = *stream.codecpar;
    codec.codec_type = AVMEDIA_TYPE_VIDEO;
    codec.codec_id = AV_CODEC_ID_H264;
    codec.width = w;
    codec.height = h;
    codec.format = AV_PIX_FMT_YUV420P;
    codec.color_range = AVCOL_RANGE_MPEG;
    codec.color_primaries = AVCOL_PRI_BT709;
    codec.color_trc = AVCOL_TRC_BT709;
    codec.color_space = AVCOL_SPC_BT709;
    const std::vector<std::byte> headers = encoder.headers();
    codec.extradata =
        static_cast<std::uint8_t*>(av_mallocz(headers.size() + AV_INPUT_BUFFER_PADDING_SIZE));
    if (codec.extradata == nullptr) throw std::bad_alloc();
    codec.extradata_size = static_cast<int>(headers.size());
    std::memcpy(codec.extradata, headers.data(), headers.size());
    stream.time_base = tick;
    stream.avg_frame_rate = {tick.den, tick.num};
    muxer.write_header("movflags", "faststart");
  }

  bool write(const std::optional<X264Encoder::AccessUnit>& unit) {
    if (!unit) return false;
    const libav::PacketPtr packet = libav::make_packet();
    libav::check(av_new_packet(packet.get(), static_cast<int>(unit->bytes.size())),
                 "cannot allocate a packet");
    std::memcpy(packet->data, unit->bytes.data(), unit->bytes.size());
    packet->pts = unit->pts;
    packet->dts = unit->dts;
    packet->duration = 1;
    if (unit->keyframe) packet->flags |= AV_PKT_FLAG_KEY;
    muxer.write(*packet, tick);
    return true;
  }

  int width, height;
  x264_param_t parameters;
  X264Encoder encoder;
  libav::ToYuv420 to_yuv;
  libav::Muxer muxer;
  AVRational tick;
  std::int64_t frames = 0;
  bool finished = false;
};

VideoWriter::VideoWriter(const std::filesystem::path& path, int width, int height,
                         const VideoWriterOptions& options)
    : impl_(std::make_unique<Impl>(path, width, height, options)) {}

void VideoWriter::add(const Frame& frame) {
  if (impl_->finished) throw Error(ErrorCode::invalid_argument, "a frame added after finish()");
  if (frame.width != impl_->width || frame.height != impl_->height) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("a frame of {} x {} in a video of {} x {}", frame.width, frame.height,
                            impl_->width, impl_->height));
  }
  impl_->write(impl_->encoder.encode(impl_->to_yuv(frame), impl_->frames));
  ++impl_->frames;
}

void VideoWriter::finish() {
  if (impl_->finished) throw Error(ErrorCode::invalid_argument, "finish() called twice");
  if (impl_->frames == 0) throw Error(ErrorCode::invalid_argument, "a video without a frame");
  while (impl_->write(impl_->encoder.flush())) {
  }
  impl_->muxer.finish();
  impl_->finished = true;
}

std::int64_t VideoWriter::frames() const noexcept {
  return impl_->frames;
}

#else

struct VideoWriter::Impl {};

VideoWriter::VideoWriter(const std::filesystem::path&, int, int, const VideoWriterOptions&) {
  throw Error(
      ErrorCode::unavailable,
      "this build of libams encodes no video: configure with -DAMS_WITH_X264=ON (needs x264, GPL)");
}
void VideoWriter::add(const Frame&) {}
void VideoWriter::finish() {}
std::int64_t VideoWriter::frames() const noexcept {
  return 0;
}

#endif

VideoWriter::~VideoWriter() = default;
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;

}  // namespace ams
