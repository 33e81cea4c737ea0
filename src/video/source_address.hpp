#pragma once

// What a video's address leads to. Private to ams::video.

#include <string>

namespace ams {

struct SourceAddress {
  enum class Kind { file, pipe, camera, network };
  Kind kind = Kind::file;
  std::string name;       ///< for people: user and password are masked
  std::string url;        ///< for libav; of a pipe its path
  std::string protocols;  ///< that libav may use for it, comma-separated; empty: any
  bool rtsp = false;
  bool http = false;
  bool reopenable = true;  ///< false for standard input and other pipes without a name

  /// Looks at the file system to tell a pipe from a file. Throws Error(invalid_argument) for a
  /// camera without a number and for a scheme that is not read.
  static SourceAddress parse(const std::string& source);
};

}  // namespace ams
