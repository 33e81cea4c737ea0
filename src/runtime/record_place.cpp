#include "record_place.hpp"

#include <sys/un.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

#include "ams/core/error.hpp"
#include "ams/runtime/record_sink.hpp"

namespace ams::detail {
namespace {

constexpr std::size_t max_name_bytes = 250;

/// HOST:PORT, with an IPv6 address in brackets.
bool split(std::string_view text, RecordPlace& place) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  place.port = text.substr(colon + 1);
  std::uint16_t port = 0;
  const char* const end = place.port.data() + place.port.size();
  const auto parsed = std::from_chars(place.port.data(), end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return false;
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (in_brackets) host = host.substr(1, host.size() - 2);
  place.name = host;
  return !host.empty() && (in_brackets || host.find(':') == std::string_view::npos);
}

/// "name:" as URLs begin, which no file that somebody means is called.
bool has_scheme(std::string_view text) {
  const auto colon = text.find(':');
  return colon != std::string_view::npos && colon > 0 &&
         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                     [](unsigned char c) { return std::isalnum(c) != 0; });
}

}  // namespace

RecordPlace parse_record_place(const std::string& where) {
  using Kind = RecordPlace::Kind;
  const auto refuse_because = [&](const std::string& reason) {
    refuse("'" + where + "' " + reason);
  };
  const std::string_view text = where;
  const auto behind = [&](std::string_view scheme) { return where.substr(scheme.size()); };
  if (where == "-" || where == "/dev/stdout") return {Kind::standard_output, {}, {}};
  if (text.starts_with("unix:")) {
    RecordPlace place{Kind::local_socket, behind("unix:"), {}};
    constexpr std::size_t most = sizeof(sockaddr_un::sun_path) - 1;
    if (place.name.empty() || place.name.size() > most) {
      refuse_because("names no local socket: give unix:PATH, with a path of 1 to " +
                     std::to_string(most) + " bytes");
    }
    return place;
  }
  if (text.starts_with("tcp:")) {
    RecordPlace place{Kind::tcp_socket, {}, {}};
    if (!split(text.substr(4), place)) {
      refuse_because("is not tcp:HOST:PORT, e.g. tcp:127.0.0.1:9000 or tcp:[::1]:9000");
    }
    return place;
  }
  if (text.starts_with("shm:")) {
    RecordPlace place{Kind::shared_memory, behind("shm:"), {}};
    const bool fits = !place.name.empty() && place.name.size() <= max_name_bytes &&
                      !place.name.starts_with('.') &&
                      std::all_of(place.name.begin(), place.name.end(), [](unsigned char c) {
                        return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                      });
    if (!fits) {
      refuse_because("names no shared memory: give shm:NAME, a name of 1 to " +
                     std::to_string(max_name_bytes) + " letters, digits and . _ -");
    }
    return place;
  }
  if (where.empty() || has_scheme(text)) {
    refuse_because(
        "is no place for records: give a path, - for standard output, unix:PATH, tcp:HOST:PORT or "
        "shm:NAME");
  }
  return {Kind::file, where, {}};
}

}  // namespace ams::detail

namespace ams {

void require_record_place(const std::string& where) {
  detail::parse_record_place(where);
}

}  // namespace ams
