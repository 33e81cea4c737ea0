#include <ams/core/update_codec.hpp>
#include <cstdio>

#if !defined(HOST_FMT) || !defined(HOST_ZSTD)
#error libams took another fmt or zstd than that of the host
#endif

std::size_t size_of_a_second_update();

int main() {
  auto manifest = std::make_shared<const ams::Manifest>(std::vector<ams::TensorSpec>{{"w", {8}}});
  ams::ModelState server(manifest, std::vector<float>(8, 1.0F)), device = server;
  const std::vector<float> trained(8, 2.0F);
  const auto update =
      ams::encode_update(server, trained, ams::CoordinateSet::from_sorted(8, {1, 5}));
  ams::apply_update(update, device);
  std::printf("updates of %zu and %zu bytes\n", update.size(), size_of_a_second_update());
  return device.version() == server.version() ? 0 : 1;
}
