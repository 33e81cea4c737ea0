#include "libav.hpp"

#include <cerrno>
#include <mutex>
#include <new>

extern "C" {
#include <libavutil/log.h>
}

namespace ams::libav {
FramePtr make_frame() {
  FramePtr frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

FramePtr make_frame(AVPixelFormat format, int width, int height) {
  FramePtr frame = make_frame();
  frame->format = format;
  frame->width = width;
  frame->height = height;
  check(av_frame_get_buffer(frame.get(), 0), "cannot allocate a picture");
  return frame;
}

std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return text;
}

ErrorCode error_code(int code) {
  switch (code) {
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_ENCODER_NOT_FOUND:
    case AVERROR_MUXER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR(ENOSYS):
    case AVERROR_PATCHWELCOME:
      return ErrorCode::unavailable;
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
      return ErrorCode::unauthorized;
    case AVERROR_HTTP_BAD_REQUEST:
    case AVERROR_HTTP_NOT_FOUND:
    case AVERROR_HTTP_OTHER_4XX:
    case AVERROR_HTTP_SERVER_ERROR:
    case AVERROR_EXIT:
      return ErrorCode::io_error;
    case AVERROR(EINVAL):
    case AVERROR(ENOMEM):
    case AVERROR(ERANGE):
    case AVERROR(EAGAIN):
      return ErrorCode::malformed_data;
    default:
      // Small numbers are errno values; libav's own codes are four-letter tags.
      return -code < 4096 ? ErrorCode::io_error : ErrorCode::malformed_data;
  }
}

void raise(int code, const std::string& what) {
  throw Error(error_code(code), what + ": " + error_text(code));
}

void quiet() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
  });
}

}  // namespace ams::libav
