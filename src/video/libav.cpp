#include "libav.hpp"

#include <cerrno>
#include <mutex>
#include <new>

extern "C" {
#include <libavutil/log.h>
}

namespace ams::libav {
namespace {

template <typename Owner>
Owner owned(typename Owner::pointer pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return Owner(pointer);
}

int open_only_the_file(AVFormatContext* context, AVIOContext** io, const char* url, int flags,
                       AVDictionary** options) {
  if (io != &context->pb || (flags & AVIO_FLAG_WRITE) != 0) return AVERROR(EACCES);
  return avio_open2(io, url, flags, &context->interrupt_callback, options);
}

}  // namespace

InputPtr open_file(const std::filesystem::path& path, const char* format) {
  quiet();
  AVFormatContext* context = avformat_alloc_context();
  if (context == nullptr) throw std::bad_alloc();
  context->io_open = open_only_the_file;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  // On failure avformat_open_input frees the context itself.
  const int code =
      avformat_open_input(&context, ("file:" + path.string()).c_str(),
                          format == nullptr ? nullptr : av_find_input_format(format), &options);
  av_dict_free(&options);
  const std::string kind = format == nullptr ? "" : std::string(" as ") + format;
  check(code, path.string() + ": cannot open" + kind);
  return InputPtr(context);
}

FramePtr make_frame() {
  return owned<FramePtr>(av_frame_alloc());
}
PacketPtr make_packet() {
  return owned<PacketPtr>(av_packet_alloc());
}
CodecPtr make_codec(const AVCodec* codec) {
  return owned<CodecPtr>(avcodec_alloc_context3(codec));
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
