#pragma once

#include <cstddef>

#include "ams/core/error.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

/// The label map in another size, nearest neighbour by pixel centres: class ids cannot be averaged.
/// Throws Error(invalid_argument) unless both sizes are at least 1 x 1 and ids has width * height
/// values.
inline LabelMap resize_nearest(const LabelMap& labels, int width, int height) {
  if (labels.width < 1 || labels.height < 1 || width < 1 || height < 1 ||
      labels.ids.size() !=
          static_cast<std::size_t>(labels.width) * static_cast<std::size_t>(labels.height)) {
    throw Error(
        ErrorCode::invalid_argument,
        "resize_nearest: sizes must be at least 1 x 1 and the map must have width * height ids");
  }
  if (labels.width == width && labels.height == height) return labels;
  LabelMap result{width, height, {}};
  result.ids.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  auto* out = result.ids.data();
  for (int y = 0; y < height; ++y) {
    // The source pixel that holds the target pixel's centre, in integers so that all machines
    // agree.
    const auto from_y = (2LL * y + 1) * labels.height / (2LL * height);
    const auto* row = labels.ids.data() + from_y * labels.width;
    for (int x = 0; x < width; ++x) *out++ = row[(2LL * x + 1) * labels.width / (2LL * width)];
  }
  return result;
}

}  // namespace ams
