#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ams/core/random.hpp"
#include "ams/segmentation/label_map.hpp"

/// Label maps for tests.
namespace ams::test {

inline LabelMap label_map(int width, int height, std::vector<std::uint8_t> ids) {
  return {width, height, std::move(ids)};
}

/// Runs of equal ids of random length (1 to max_run), drawn from `ids`: even areas and ragged
/// borders.
inline LabelMap random_label_map(int width, int height, const std::vector<std::uint8_t>& ids,
                                 std::uint64_t max_run, Random& random) {
  LabelMap map{width, height, {}};
  const auto pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  while (map.ids.size() < pixels) {
    const std::uint8_t id = ids[random.below(ids.size())];
    for (std::uint64_t run = 1 + random.below(max_run); run > 0 && map.ids.size() < pixels; --run) {
      map.ids.push_back(id);
    }
  }
  return map;
}

}  // namespace ams::test
