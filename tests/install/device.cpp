#include <ams/device/device.hpp>
#include <ams/net/server_address.hpp>
#include <cstdio>

int main() {
  const ams::ServerAddress address = ams::parse_server_address("[::1]:8443");
  const ams::DeviceOptions options{.link = {.host = address.host, .port = address.port}};
  std::printf("a device of [%s]:%d\n", options.link.host.c_str(), options.link.port);
}
