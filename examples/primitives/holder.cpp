#include <ams/core/model_holder.hpp>
#include <cstdio>
#include <thread>
#include <vector>

int main() {
  ams::DoubleBufferedHolder<std::vector<float>> holder(std::vector<float>(1000, 0.0F));
  std::jthread inference([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      const auto model = holder.read();  // never waits, never sees half of an update
      if (model->front() != model->back()) std::abort();
    }
  });
  for (int version = 1; version <= 100; ++version) {
    holder.modify(
        [&](std::vector<float>& values) { values.assign(values.size(), float(version)); });
  }
  std::printf("version %.0f is active\n", holder.read()->front());
}
