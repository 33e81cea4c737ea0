#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// One class id per pixel, rows from the top.
struct LabelMap {
  static constexpr std::uint8_t default_ignore_id = 255;

  int width = 0;                  ///< pixels
  int height = 0;                 ///< pixels
  std::vector<std::uint8_t> ids;  ///< height * width class ids
};

/// A frame with its teacher's labels; what the replay buffer keeps and the trainer reads.
/// Frame and label map may differ in size. Immutable once shared, so safe to read from any thread.
struct LabelledFrame {
  Frame frame;
  LabelMap labels;
};

using LabelledFramePtr = std::shared_ptr<const LabelledFrame>;

namespace detail {

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

}  // namespace detail

}  // namespace ams
