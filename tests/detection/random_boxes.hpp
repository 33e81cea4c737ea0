#pragma once

#include <cstddef>
#include <cstdint>

#include "ams/core/random.hpp"
#include "ams/detection/box.hpp"

namespace ams {

/// A valid box on a grid of `cells` a side: on a coarse one, equal boxes and edges are common.
inline Box random_box(Random& random, std::size_t class_count, std::uint64_t cells) {
  const auto share = [cells](std::uint64_t cell) {
    return static_cast<float>(cell) / static_cast<float>(cells);
  };
  Box box;
  const std::uint64_t x = random.below(cells), y = random.below(cells);
  box.left = share(x);
  box.top = share(y);
  box.right = share(x + 1 + random.below(cells - x));
  box.bottom = share(y + 1 + random.below(cells - y));
  box.class_id = static_cast<std::uint16_t>(random.below(class_count));
  box.score = static_cast<float>(random.below(20)) / 19.0F;
  return box;
}

inline BoxSet random_boxes(Random& random, std::size_t most, std::size_t class_count,
                           std::uint64_t cells) {
  BoxSet set;
  for (std::uint64_t n = random.below(most + 1); n > 0; --n)
    set.boxes.push_back(random_box(random, class_count, cells));
  return set;
}

}  // namespace ams
