// What libav.hpp has for packets, codecs and containers. Apart from frames: who only encodes with x264
// links neither libavcodec nor libavformat.

#include <cerrno>
#include <new>

#include "libav.hpp"

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

PacketPtr make_packet() {
  return owned<PacketPtr>(av_packet_alloc());
}
CodecPtr make_codec(const AVCodec* codec) {
  return owned<CodecPtr>(avcodec_alloc_context3(codec));
}

}  // namespace ams::libav
