#include "ams/net/server_address.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace ams {

ServerAddress parse_server_address(const std::string& text) {
  const auto colon = std::min(text.rfind(':'), text.size());
  const char* const begin = text.data() + std::min(colon + 1, text.size());
  const char* const end = text.data() + text.size();
  ServerAddress address{text.substr(0, colon)};
  std::string& host = address.host;
  const auto parsed = std::from_chars(begin, end, address.port);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  const bool ambiguous = !in_brackets && host.find(':') != std::string::npos;
  if (host.empty() || ambiguous || parsed.ec != std::errc() || parsed.ptr != end ||
      address.port == 0) {
    throw Error(ErrorCode::invalid_argument,
                "the server '" + text +
                    "' is not HOST:PORT with a port from 1 to 65535, e.g. 127.0.0.1:8443 or "
                    "[::1]:8443");
  }
  return address;
}

}  // namespace ams
