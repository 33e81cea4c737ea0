#include <ams/core/update_codec.hpp>
#include <cstdio>

int main() {
  auto manifest = std::make_shared<const ams::Manifest>(
      std::vector<ams::TensorSpec>{{"layer.weight", {100, 10}}});
  ams::ModelState server(manifest, std::vector<float>(1000, 0.5F)), device = server;
  const std::vector<float> trained(1000, 0.75F);
  const auto coordinates = ams::CoordinateSet::from_sorted(1000, {3, 14, 159});
  const std::vector<std::byte> update = ams::encode_update(server, trained, coordinates);
  ams::apply_update(update, device);  // all of it, or an ams::Error and nothing
  std::printf("%zu bytes; the same model on both ends: %s\n", update.size(),
              server.version() == device.version() ? "yes" : "no");
}
