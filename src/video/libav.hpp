#pragma once

// Owners and error texts for libav's C objects. Private to ams::video.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "ams/core/error.hpp"

namespace ams::libav {

struct Deleter {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};
struct InputDeleter {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
};
/// Closes the file as well, if one was opened.
struct OutputDeleter {
  void operator()(AVFormatContext* p) const {
    if (p != nullptr && p->pb != nullptr) avio_closep(&p->pb);
    avformat_free_context(p);
  }
};

using CodecPtr = std::unique_ptr<AVCodecContext, Deleter>;
using FramePtr = std::unique_ptr<AVFrame, Deleter>;
using PacketPtr = std::unique_ptr<AVPacket, Deleter>;
using ScalerPtr = std::unique_ptr<SwsContext, Deleter>;
using InputPtr = std::unique_ptr<AVFormatContext, InputDeleter>;
using OutputPtr = std::unique_ptr<AVFormatContext, OutputDeleter>;

FramePtr make_frame();
PacketPtr make_packet();
CodecPtr make_codec(const AVCodec* codec);

/// Opens a file to read its packets, as the container `format` where one is named. Nothing else
/// that the file may name is opened. Throws Error(io_error, malformed_data, unavailable).
InputPtr open_file(const std::filesystem::path& path, const char* format = nullptr);

/// A frame with its own buffer, rows padded as libav's vector code wants them.
FramePtr make_frame(AVPixelFormat format, int width, int height);

/// For AVCodecContext::max_pixels, which counts pictures padded to whole blocks and vectors: the
/// limit that lets every picture of this size through. What comes out must be checked itself.
constexpr std::int64_t pixels_with_padding(int width, int height) {
  return (static_cast<std::int64_t>(width) + 128) * (static_cast<std::int64_t>(height) + 128);
}

/// libav's words for an error code.
std::string error_text(int code);

/// Which of our codes a libav error is: the operating system's -> io_error, else malformed_data.
ErrorCode error_code(int code);

/// Throws Error(error_code(code), "<what>: <libav's words>").
[[noreturn]] void raise(int code, const std::string& what);

/// raise() when `code` is negative; otherwise returns it.
inline int check(int code, const std::string& what) {
  if (code < 0) raise(code, what);
  return code;
}

/// libav writes its log to stderr by default. What matters is in our exceptions, so the log is
/// switched off, once; an application that has set a level of its own keeps it.
void quiet();

}  // namespace ams::libav
