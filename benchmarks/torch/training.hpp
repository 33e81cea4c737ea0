#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "ams/core/random.hpp"
#include "ams/segmentation/label_map.hpp"
#include "harness.hpp"

/// What the benchmarks of training share.
namespace ams::benchmark {

/// Multiply-adds of one forward for each pixel of the input.
inline constexpr double edanet_multiplications_per_pixel = 16847;

/// Multiply-adds per second of libtorch's matrix product with the threads that are set.
inline double multiplications_per_second() {
  const torch::NoGradGuard no_gradients;
  constexpr std::int64_t n = 768;
  const torch::Tensor a = torch::rand({n, n}), b = torch::rand({n, n});
  torch::Tensor c = torch::empty({n, n});
  return static_cast<double>(n * n * n) / median_seconds([&] { torch::mm_out(c, a, b); });
}

inline LabelledFramePtr noise(int width, int height, std::uint64_t seed) {
  Random random(seed);
  auto sample = std::make_shared<LabelledFrame>();
  const auto pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  sample->frame = {width, height, std::vector<std::uint8_t>(3 * pixels), 0};
  sample->labels = {width, height, std::vector<std::uint8_t>(pixels)};
  for (auto& value : sample->frame.rgb) value = static_cast<std::uint8_t>(random.below(256));
  for (auto& id : sample->labels.ids) id = static_cast<std::uint8_t>(random.below(19));
  return sample;
}

/// A field of /proc/self/status, in bytes; 0 where there is none.
inline double status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return 1024 * std::stod(line.substr(field.size() + 1));
  }
  return 0;
}

/// How far memory in use rises above where it was while f() runs; 0 where that cannot be told.
template <class F>
double peak_bytes(F&& f) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";  // forgets the highest so far
  const double before = status_bytes("VmRSS");
  f();
  return status_bytes("VmHWM") - before;
}

}  // namespace ams::benchmark
