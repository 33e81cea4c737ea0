#include <ams/net/wire.hpp>
#include <cstdio>

int main() {
  const ams::Ack ack{{.number = 7, .digest = 42}};
  const ams::Bytes bytes = ams::encode_message(ams::DeviceMessage(ack));
  const auto back = std::get<ams::Ack>(ams::decode_device_message(bytes));
  std::printf("an Ack takes %zu bytes\n", bytes.size());
  return back.held == ack.held ? 0 : 1;
}
