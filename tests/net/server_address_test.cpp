#include "ams/net/server_address.hpp"

#include <doctest/doctest.h>

#include <string>

#include "core/expect_error.hpp"

using namespace ams;

TEST_CASE("names, IPv4 and IPv6 addresses") {
  const auto reads = [](const std::string& text, const std::string& host, int port) {
    CAPTURE(text);
    const ServerAddress address = parse_server_address(text);
    CHECK(address.host == host);
    CHECK(address.port == port);
  };
  reads("ams.example.org:8443", "ams.example.org", 8443);
  reads("127.0.0.1:1", "127.0.0.1", 1);
  reads("[::1]:65535", "::1", 65535);
}

TEST_CASE("anything else is refused, with what is allowed") {
  for (const std::string text :
       {"", ":", "host", "host:", ":8443", "host:0", "host:65536", "host:-1", "host:1x", "host: 1",
        "::1:8443", "[]:1", "[::1]", "host:99999999999999999999"}) {
    CAPTURE(text);
    test::expect_error(
        ErrorCode::invalid_argument, [&] { parse_server_address(text); }, "'" + text + "'",
        "HOST:PORT");
  }
}
