#include "source_address.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "ams/core/error.hpp"

namespace ams {
namespace {

struct Scheme {
  std::string_view name;
  const char* protocols;
};
constexpr std::array schemes{
    Scheme{"rtsp", "rtp,rtsp,rtsps,tcp,tls,udp"},
    Scheme{"rtsps", "rtp,rtsp,rtsps,tcp,tls,udp"},
    Scheme{"http", "http,https,httpproxy,tcp,tls,crypto,data"},
    Scheme{"https", "http,https,httpproxy,tcp,tls,crypto,data"},
    Scheme{"rtmp", "rtmp,tcp"},
    Scheme{"rtmps", "rtmps,tls,tcp"},
    Scheme{"rtp", "rtp,udp"},
    Scheme{"udp", "udp"},
    Scheme{"tcp", "tcp"},
    Scheme{"srt", "srt"},
};

/// The scheme of an address; empty where it has none.
std::string_view scheme_of(std::string_view source) {
  const auto end = source.find("://");
  if (end == std::string_view::npos || end < 2) return {};
  const std::string_view scheme = source.substr(0, end);
  for (const char c : scheme) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '+' && c != '-') return {};
  }
  return scheme;
}

/// An address without its user and password. The last '@' ends them, wherever it is: a password may
/// hold anything, and hiding too much of an address does no harm.
std::string masked(const std::string& address) {
  const auto begin = address.find("://") + 3;
  const auto at = address.rfind('@');
  if (at == std::string::npos || at < begin) return address;
  return address.substr(0, begin) + "***" + address.substr(at);
}

std::string camera_device(const std::string& source) {
  if (!source.starts_with("camera:")) return source;
  const std::string number = source.substr(7);
  if (number.empty() || number.size() > 3 ||
      number.find_first_not_of("0123456789") != std::string::npos) {
    throw Error(
        ErrorCode::invalid_argument,
        source + ": a camera is camera:<number>, e.g. camera:0, or a path /dev/video<number>");
  }
  return "/dev/video" + number;
}

}  // namespace

SourceAddress SourceAddress::parse(const std::string& source) {
  SourceAddress result;
  result.name = source;
  if (source.starts_with("camera:") || source.starts_with("/dev/video")) {
    result.kind = Kind::camera;
    result.url = camera_device(source);
    return result;
  }
  const std::string path = source == "-" ? "/dev/stdin" : source;
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  using Type = std::filesystem::file_type;
  if (const auto scheme = scheme_of(source); !scheme.empty() && type == Type::not_found) {
    for (const Scheme& known : schemes) {
      if (known.name != scheme) continue;
      result.kind = Kind::network;
      result.name = masked(source);
      result.url = source;
      result.protocols = known.protocols;
      result.rtsp = scheme.starts_with("rtsp");
      result.http = scheme.starts_with("http");
      return result;
    }
    std::string allowed;
    for (const Scheme& known : schemes) {
      allowed += fmt::format("{}{}://", allowed.empty() ? "" : ", ", known.name);
    }
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: addresses of {}:// are not read; allowed are {}, a file, a pipe "
                            "and camera:0",
                            masked(source), scheme, allowed));
  }
  if (type == Type::fifo || type == Type::character || type == Type::socket) {
    result.kind = Kind::pipe;
    result.url = path;
    result.reopenable = !path.starts_with("/dev/") && !path.starts_with("/proc/");
    return result;
  }
  result.url = "file:" + path;
  result.protocols = "file";
  return result;
}

}  // namespace ams
