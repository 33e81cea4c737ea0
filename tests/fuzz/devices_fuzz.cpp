// Reads hostile files of devices. What is taken, is written and read as the same devices.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ams/core/error.hpp"
#include "ams/net/device_credentials.hpp"
#include "scratch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto file = scratch() / "devices";
  write_file(file, std::as_bytes(std::span(data, size)));
  ams::DeviceCredentials devices;
  try {
    devices = ams::DeviceCredentials::read(file);
  } catch (const ams::Error&) {
    return 0;
  }
  static const auto copy = scratch() / "copy";
  devices.write(copy);
  const auto again = ams::DeviceCredentials::read(copy);
  if (again.devices() != devices.devices() || again.revoked() != devices.revoked() ||
      !again.changed_since(devices).empty()) {
    std::abort();
  }
  return 0;
}
