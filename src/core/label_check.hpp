#pragma once

#include <fmt/format.h>

#include <cstddef>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// Throws Error(invalid_argument) unless both maps have the same width and height and that many
/// ids.
inline void require_same_size(const LabelMap& prediction, const LabelMap& truth) {
  const auto check = [](const LabelMap& map, const char* name) {
    const bool sized = map.width >= 0 && map.height >= 0 &&
                       map.ids.size() == static_cast<std::size_t>(map.width) *
                                             static_cast<std::size_t>(map.height);
    if (!sized) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{} label map says {} x {} but holds {} ids; width * height are needed", name,
                      map.width, map.height, map.ids.size()));
    }
  };
  check(prediction, "prediction's");
  check(truth, "ground truth's");
  if (prediction.width != truth.width || prediction.height != truth.height) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("label maps differ in size: prediction {} x {}, ground truth {} x {} (width x "
                    "height); they must be equal",
                    prediction.width, prediction.height, truth.width, truth.height));
  }
}

}  // namespace ams
