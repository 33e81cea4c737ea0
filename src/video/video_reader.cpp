#include "ams/video/video_reader.hpp"

#include <fmt/format.h>

#include <functional>
#include <utility>

#include "ams/core/error.hpp"
#include "image_sequence.hpp"
#include "source_address.hpp"
#include "stream_reader.hpp"

namespace ams {
namespace {

void require_valid(const VideoReaderOptions& o) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::invalid_argument, message);
  };
  if ((o.width == 0) != (o.height == 0) || o.width < 0 || o.height < 0 || o.width > 16384 ||
      o.height > 16384) {
    refuse(fmt::format("frame size {} x {}: give 1 to 16384 for both, or 0 x 0 for the video's own",
                       o.width, o.height));
  }
  if (!(o.fps >= 0) || o.fps > 1000) {
    refuse(fmt::format("fps {}: may be above 0, up to 1000, or 0 for the video's own", o.fps));
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

std::unique_ptr<FrameSource> open(const std::string& source, const VideoReaderOptions& options) {
  SourceAddress address = SourceAddress::parse(source);
  using Kind = SourceAddress::Kind;
  if (options.live && (address.kind == Kind::file || address.kind == Kind::camera)) {
    throw Error(ErrorCode::invalid_argument,
                address.name +
                    ": live may be given for addresses and pipes; a file is a "
                    "recording, and a camera is live");
  }
  if (address.kind == Kind::file) {
    if (auto pictures = find_pictures(source); !pictures.empty()) {
      return std::make_unique<ImageSequence>(source, std::move(pictures), options);
    }
  }
  return std::make_unique<StreamReader>(std::move(address), options);
}

}  // namespace

struct VideoReader::Impl {
  Impl(const std::string& name, VideoReaderOptions options)
      : linked(std::move(options.stop), [this] { stop.request_stop(); }) {
    options.stop = stop.get_token();
    source = open(name, options);
  }

  std::stop_source stop;
  std::stop_callback<std::function<void()>> linked;
  std::unique_ptr<FrameSource> source;
};

VideoReader::VideoReader(const std::string& source, const VideoReaderOptions& options) {
  require_valid(options);
  impl_ = std::make_unique<Impl>(source, options);
}
VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;

std::optional<Frame> VideoReader::next() {
  return impl_->source->next();
}
void VideoReader::cancel() noexcept {
  impl_->stop.request_stop();
}
const std::string& VideoReader::name() const noexcept {
  return impl_->source->name();
}
int VideoReader::width() const noexcept {
  return impl_->source->width();
}
int VideoReader::height() const noexcept {
  return impl_->source->height();
}
double VideoReader::fps() const noexcept {
  return impl_->source->fps();
}
std::optional<std::int64_t> VideoReader::frame_count() const noexcept {
  return impl_->source->frame_count();
}
std::optional<double> VideoReader::duration_seconds() const noexcept {
  return impl_->source->duration_seconds();
}
bool VideoReader::live() const noexcept {
  return impl_->source->live();
}
bool VideoReader::reopenable() const noexcept {
  return impl_->source->reopenable();
}
bool VideoReader::still_picture() const noexcept {
  return impl_->source->still_picture();
}
std::int64_t VideoReader::refused_packets() const noexcept {
  return impl_->source->refused_packets();
}

}  // namespace ams
