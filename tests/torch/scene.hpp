#pragma once

#include <cstdint>
#include <memory>

#include "ams/core/handle.hpp"
#include "ams/core/random.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/runtime/teacher.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams::testing {

/// A small picture that a network can learn: a horizon, a coloured box, noise; classes 0 to 2. Some
/// pixels are left to be ignored.
inline LabelledFramePtr make_scene(std::uint64_t seed, int width = 64, int height = 32) {
  Random random(seed);
  auto sample = std::make_shared<LabelledFrame>();
  sample->frame.width = sample->labels.width = width;
  sample->frame.height = sample->labels.height = height;
  const int horizon =
      height / 4 + static_cast<int>(random.below(static_cast<std::uint64_t>(height) / 2));
  const int left = static_cast<int>(random.below(static_cast<std::uint64_t>(width) * 3 / 4));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool box = x >= left && x < left + width / 4 && y >= horizon - height / 8 &&
                       y < horizon + height / 8;
      const int label = box ? 2 : (y < horizon ? 1 : 0);
      const auto noisy = [&](int value) {
        return static_cast<std::uint8_t>(value + static_cast<int>(random.below(30)));
      };
      sample->frame.rgb.push_back(noisy(label == 2 ? 200 : 40));
      sample->frame.rgb.push_back(noisy(label == 1 ? 150 : 60));
      sample->frame.rgb.push_back(noisy(label == 1 ? 220 : 30));
      sample->labels.ids.push_back(y == 0 ? LabelMap::default_ignore_id
                                          : static_cast<std::uint8_t>(label));
    }
  }
  return sample;
}

inline LabelMap predict(Predictor& predictor, const Frame& frame) {
  return predictor.predict(Handle::make(frame)).as<LabelMap>();
}

inline LabelMap label(Teacher& teacher, const Frame& frame) {
  return teacher.label(Handle::make(frame), frame.capture_seconds).as<LabelMap>();
}

}  // namespace ams::testing
