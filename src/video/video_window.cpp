#include "ams/video/video_window.hpp"

extern "C" {
#include <libavutil/opt.h>
}

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "avdevice.hpp"
#include "libav.hpp"
#include "pixel_conversion.hpp"

namespace ams {
namespace {

/// SDL would otherwise show its pictures to nobody.
bool has_display() {
  for (const char* name : {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}

}  // namespace

struct VideoWindow::Impl {
  Impl(const std::string& title, int w, int h) : width(w), height(h) {
    if (w < 16 || h < 16 || w > 8192 || h > 8192) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a window of {} x {}; both sides must be 16 to 8192", w, h));
    }
    if (!has_display()) {
      throw Error(ErrorCode::unavailable,
                  "cannot open a window: there is no display (DISPLAY, WAYLAND_DISPLAY and "
                  "SDL_VIDEODRIVER are not set)");
    }
    libav::quiet();
    libav::register_devices("a window");
    AVFormatContext* context = nullptr;
    if (avformat_alloc_output_context2(&context, nullptr, "sdl2", title.c_str()) < 0) {
      throw Error(ErrorCode::unavailable, "this libavdevice opens no windows: it has no SDL");
    }
    output.reset(context);
    AVStream* const stream = avformat_new_stream(output.get(), nullptr);
    if (stream == nullptr) throw std::bad_alloc();
    stream->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    stream->codecpar->codec_id = AV_CODEC_ID_RAWVIDEO;
    stream->codecpar->format = AV_PIX_FMT_RGB24;
    stream->codecpar->width = w;
    stream->codecpar->height = h;
    // libavdevice 59 says that all is well where SDL finds no display; then the size stays unset.
    int shown_width = 0, shown_height = 0;
    if (avformat_write_header(output.get(), nullptr) < 0 ||
        av_opt_get_image_size(output->priv_data, "window_size", 0, &shown_width, &shown_height) <
            0 ||
        shown_width == 0) {
      throw Error(ErrorCode::unavailable, "cannot open a window: SDL finds no display");
    }
    is_open = true;
  }

  ~Impl() {
    if (is_open) av_write_trailer(output.get());
  }

  bool show(const Frame& frame) {
    libav::require_valid(frame);
    if (frame.width != width || frame.height != height) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a picture of {} x {} in a window of {} x {}", frame.width,
                              frame.height, width, height));
    }
    if (!is_open) return false;
    const libav::PacketPtr packet = libav::make_packet();
    libav::check(av_new_packet(packet.get(), static_cast<int>(frame.rgb.size())),
                 "cannot allocate a packet");
    std::memcpy(packet->data, frame.rgb.data(), frame.rgb.size());
    packet->pts = packet->dts = pictures++;
    // Closed by its user, the window has written its own trailer.
    is_open = av_write_frame(output.get(), packet.get()) >= 0;
    return is_open;
  }

  int width, height;
  libav::OutputPtr output;
  std::int64_t pictures = 0;
  bool is_open = false;
};

VideoWindow::VideoWindow(const std::string& title, int width, int height)
    : impl_(std::make_unique<Impl>(title, width, height)) {}
VideoWindow::~VideoWindow() = default;
VideoWindow::VideoWindow(VideoWindow&&) noexcept = default;
VideoWindow& VideoWindow::operator=(VideoWindow&&) noexcept = default;

bool VideoWindow::show(const Frame& frame) {
  return impl_->show(frame);
}

}  // namespace ams
