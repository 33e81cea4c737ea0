#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "ams/bundle/student_bundle.hpp"
#include "ams/core/frame.hpp"
#include "ams/core/random.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/segmentation/label_map.hpp"

/// For tests of runtimes with a student of 32 x 32 pixels that says which of red, green and blue is
/// largest: a 1 x 1 convolution with the identity, whose tensor is the first one, and batch norm.
namespace ams::test {

/// The values of the tiny student with the first two classes exchanged.
inline std::vector<float> exchanged(const StudentBundle& bundle) {
  std::vector<float> values = bundle.values;
  std::swap_ranges(values.begin(), values.begin() + 3, values.begin() + 3);
  return values;
}

inline Frame noise(int width, int height) {
  Random random(3);
  Frame frame{width, height, {}, 0};
  for (int i = 0; i < 3 * width * height; ++i) {
    frame.rgb.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  return frame;
}

inline std::vector<std::uint8_t> ids(Predictor& predictor, const Frame& frame) {
  return predictor.predict(Handle::make(frame)).as<LabelMap>().ids;
}

/// What the tiny student shall say of a frame of its size.
inline std::vector<std::uint8_t> largest(const Frame& frame, bool are_exchanged = false) {
  std::vector<std::uint8_t> result;
  for (std::size_t i = 0; i < frame.rgb.size(); i += 3) {
    std::array<std::uint8_t, 3> pixel{frame.rgb[i], frame.rgb[i + 1], frame.rgb[i + 2]};
    if (are_exchanged) std::swap(pixel[0], pixel[1]);
    const auto best = std::max_element(pixel.begin(), pixel.end()) - pixel.begin();
    result.push_back(static_cast<std::uint8_t>(best));
  }
  return result;
}

}  // namespace ams::test
