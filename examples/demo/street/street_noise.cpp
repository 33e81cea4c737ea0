#include "street_noise.hpp"

#include <vector>

namespace ams::street {
namespace {

constexpr int size = NoiseTables::size;

/// Adds value noise with `cells` cells per tile, smoothly interpolated.
void add_octave(std::vector<float>& field, int cells, float weight, std::uint32_t seed) {
  const int step = size / cells;
  for (int y = 0; y < size; ++y) {
    const int cy = y / step;
    const float fy = smoothstep(0, 1, static_cast<float>(y % step) / static_cast<float>(step));
    for (int x = 0; x < size; ++x) {
      const int cx = x / step;
      const float fx = smoothstep(0, 1, static_cast<float>(x % step) / static_cast<float>(step));
      const auto corner = [&](int i, int j) { return unit(hash32(seed, i % cells, j % cells)); };
      const float top = lerp(corner(cx, cy), corner(cx + 1, cy), fx);
      const float bottom = lerp(corner(cx, cy + 1), corner(cx + 1, cy + 1), fx);
      field[static_cast<std::size_t>(y * size + x)] += weight * lerp(top, bottom, fy);
    }
  }
}

/// Stretches to the full range of a byte.
template <class Table>
void store(const std::vector<float>& field, Table& table) {
  const auto [low, high] = std::minmax_element(field.begin(), field.end());
  const float scale = 255.0f / (*high - *low);
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::uint8_t>((field[i] - *low) * scale);
  }
}

}  // namespace

NoiseTables::NoiseTables() {
  std::vector<float> field(size * size, 0.0f);
  for (int octave = 0; octave < 5; ++octave) {
    add_octave(field, 8 << octave, 1.0f / static_cast<float>(1 << octave), 11U + octave);
  }
  store(field, smooth);

  field.assign(field.size(), 0.0f);
  add_octave(field, 16, 0.7f, 31);
  add_octave(field, 32, 0.9f, 32);
  add_octave(field, 64, 1.0f, 33);
  add_octave(field, 128, 0.8f, 34);
  add_octave(field, 256, 0.4f, 35);
  store(field, leaf[0]);
  for (int level = 1; level < levels; ++level) {
    // Box average of 2 x 2 texels that are 2^(level-1) apart, kept at full resolution.
    const int step = 1 << (level - 1);
    const auto& fine = leaf[static_cast<std::size_t>(level - 1)];
    auto& coarse = leaf[static_cast<std::size_t>(level)];
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        const int x1 = (x + step) & 255, y1 = (y + step) & 255;
        const auto at = [&](int i, int j) {
          return int{fine[static_cast<std::size_t>(j * size + i)]};
        };
        coarse[static_cast<std::size_t>(y * size + x)] =
            static_cast<std::uint8_t>((at(x, y) + at(x1, y) + at(x, y1) + at(x1, y1) + 2) / 4);
      }
    }
  }
}

const NoiseTables& noise_tables() {
  static const NoiseTables tables;
  return tables;
}

}  // namespace ams::street
