#include <ams/core/gradient_guided_adam.hpp>
#include <ams/core/update_codec.hpp>
#include <cstdio>

int main() {
  auto manifest = std::make_shared<const ams::Manifest>(
      std::vector<ams::TensorSpec>{{"layer.weight", {100, 10}}});
  ams::ModelState server(manifest, std::vector<float>(1000, 0.5F)), device = server;
  std::vector<float> trained(1000, 0.5F), gradients(1000, 0.1F);  // the gradients of your network
  ams::GradientGuidedAdam adam(manifest, 0.05);                   // trains 5% of the parameters
  adam.begin_phase();
  for (int step = 0; step < 20; ++step) adam.step(trained, gradients);
  const auto update = ams::encode_update(server, trained, adam.coordinates());
  ams::apply_update(update, device);  // all of it, or an ams::Error and nothing
  std::printf("%zu bytes; device equals server: %d\n", update.size(),
              device.version() == server.version());
}
