#pragma once

// A video file with one stream, written under a temporary name. Private to ams::video.

#include <filesystem>

#include "libav.hpp"

namespace ams::libav {

/// Writes `<path>.partial`; finish() gives the file its name, so that nobody ever sees half of one.
/// Destroyed without finish(), it leaves nothing behind.
class Muxer {
 public:
  /// @param format  libav's name of the container, e.g. "mp4", "matroska"
  Muxer(std::filesystem::path path, const char* format);
  ~Muxer();
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;

  AVStream& stream() { return *stream_; }
  bool wants_global_headers() const;

  /// After stream() is described. `option` = `value` goes to the container, if not null.
  void write_header(const char* option = nullptr, const char* value = nullptr);

  /// Times in `time_base`. Takes the packet's content.
  void write(AVPacket& packet, AVRational time_base);

  void finish();

 private:
  [[noreturn]] void fail(int code) const;

  std::filesystem::path path_, partial_;
  OutputPtr output_;
  AVStream* stream_ = nullptr;
  bool finished_ = false;
};

}  // namespace ams::libav
