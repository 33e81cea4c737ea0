#pragma once

#include <array>
#include <cstdint>

#include "street_math.hpp"

namespace ams::street {

/// Tileable noise textures of 256 x 256 texels with coarser levels for distance.
struct NoiseTables {
  static constexpr int size = 256;
  static constexpr int levels = 5;

  /// Smooth fractal noise, mean about 0.5.
  std::array<std::uint8_t, size * size> smooth;
  /// Leaf clumps: level l is averaged over 2^l texels.
  std::array<std::array<std::uint8_t, size * size>, levels> leaf;

  NoiseTables();
};

/// Built on first use; the same for every street.
const NoiseTables& noise_tables();

/// Bilinear lookup of the smooth noise, 0 to 1; the texture repeats every 256 units.
inline float smooth_noise(const NoiseTables& tables, float u, float v) {
  const int iu = floor_int(u), iv = floor_int(v);
  const float fu = u - static_cast<float>(iu), fv = v - static_cast<float>(iv);
  const int u0 = iu & 255, u1 = (iu + 1) & 255, v0 = (iv & 255) << 8, v1 = ((iv + 1) & 255) << 8;
  const auto& t = tables.smooth;
  const float a = lerp(static_cast<float>(t[v0 | u0]), static_cast<float>(t[v0 | u1]), fu);
  const float b = lerp(static_cast<float>(t[v1 | u0]), static_cast<float>(t[v1 | u1]), fu);
  return lerp(a, b, fv) * (1.0f / 255.0f);
}

/// Bilinear lookup of the leaf texture, 0 to 1: rougher than smooth_noise, detail down to one unit.
inline float rough_noise(const NoiseTables& tables, float u, float v, std::size_t level = 0) {
  const int iu = floor_int(u), iv = floor_int(v);
  const float fu = u - static_cast<float>(iu), fv = v - static_cast<float>(iv);
  const int u0 = iu & 255, u1 = (iu + 1) & 255, v0 = (iv & 255) << 8, v1 = ((iv + 1) & 255) << 8;
  const auto& t = tables.leaf[level];
  const auto at = [&t](int k) { return static_cast<float>(t[static_cast<std::size_t>(k)]); };
  return lerp(lerp(at(v0 | u0), at(v0 | u1), fu), lerp(at(v1 | u0), at(v1 | u1), fu), fv) *
         (1.0f / 255.0f);
}

}  // namespace ams::street
