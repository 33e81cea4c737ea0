#include <ams/core/update_codec.hpp>
#include <cstdio>

int main() {
  auto manifest = std::make_shared<const ams::Manifest>(std::vector<ams::TensorSpec>{{"w", {8}}});
  ams::ModelState server(manifest, std::vector<float>(8, 1.0F)), device = server;
  const std::vector<float> trained(8, 2.0F);
  const auto update =
      ams::encode_update(server, trained, ams::CoordinateSet::from_sorted(8, {1, 5}));
  ams::apply_update(update, device);
  std::printf("update of %zu bytes, digests %s\n", update.size(),
              device.version() == server.version() ? "equal" : "differ");
  return device.version() == server.version() ? 0 : 1;
}
