#pragma once

#include <cstdint>
#include <string>

#include "ams/core/error.hpp"

namespace ams {

/// Where a server is.
struct ServerAddress {
  std::string host;  ///< name or IP address, an IPv6 address without brackets
  std::uint16_t port = 0;
};

/// Reads "HOST:PORT"; an IPv6 address is in brackets: "[::1]:8443". Throws Error(invalid_argument).
ServerAddress parse_server_address(const std::string& text);

}  // namespace ams
