#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/detection/box.hpp"

namespace ams {

/// Maps that an anchor-free head has besides one for each class: dx, dy, log width, log height.
constexpr std::size_t centre_geometry_maps = 4;

struct DecodeOptions {
  float min_score = 0.05F;      ///< [0, 1]; boxes below are left out
  std::size_t max_boxes = 100;  ///< 1 to BoxSet::max_boxes; the surest ones of all classes
};

/// The boxes that an anchor-free head sees (objects as points, Zhou et al. 2019).
///
/// maps: float [class_count + 4, height, width], rows from the top. Map c is the logit that a cell
/// has the centre of an object of class c. The last four are the box of an object there: how far
/// its centre is right of and below the cell's top left corner, and the natural logarithms of its
/// width and height, all in cells. A centre is a cell whose logit is above those of its eight
/// neighbours (of equal ones the first); its score is the logistic function of it. What is not
/// finite is no object. Boxes are cut at the picture's edges, and are in order of falling score.
///
/// Throws Error(invalid_argument) for maps of another size, and options out of range.
inline BoxSet decode_centre_maps(std::span<const float> maps, std::size_t class_count,
                                 std::size_t height, std::size_t width,
                                 const DecodeOptions& options = {}) {
  constexpr std::size_t max_side = 4096;
  if (class_count < 1 || class_count > 65535 || height < 1 || width < 1 || height > max_side ||
      width > max_side || maps.size() != (class_count + centre_geometry_maps) * height * width) {
    detail::refuse(fmt::format(
        "{} values are no maps of {} classes, {} x {} cells; allowed are (classes + 4) * width * "
        "height values, 1 to 65535 classes, 1 to {} cells a side",
        maps.size(), class_count, width, height, max_side));
  }
  if (!(options.min_score >= 0 && options.min_score <= 1) || options.max_boxes < 1 ||
      options.max_boxes > BoxSet::max_boxes) {
    detail::refuse(
        fmt::format("decoding: min_score is {} and max_boxes {}; allowed are 0 to 1, and 1 to {}",
                    options.min_score, options.max_boxes, BoxSet::max_boxes));
  }
  const std::size_t cells = height * width;
  struct Peak {
    float logit;
    std::size_t index;  // of the value in maps
  };
  // -ln(1 / p - 1), so that most cells need no exponential.
  const float least = options.min_score > 0 ? -std::log(1 / options.min_score - 1)
                                            : -std::numeric_limits<float>::infinity();
  const auto is_centre = [&](const float* map, std::size_t y, std::size_t x) {
    const float value = map[y * width + x];
    if (!std::isfinite(value) || value < least) return false;
    for (std::size_t ny = y > 0 ? y - 1 : 0; ny <= std::min(y + 1, height - 1); ++ny) {
      for (std::size_t nx = x > 0 ? x - 1 : 0; nx <= std::min(x + 1, width - 1); ++nx) {
        const std::size_t other = ny * width + nx, own = y * width + x;
        if (map[other] > value || (map[other] == value && other < own)) return false;
      }
    }
    return true;
  };
  std::vector<Peak> peaks;
  for (std::size_t c = 0; c < class_count; ++c) {
    const float* const map = maps.data() + c * cells;
    for (std::size_t y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        if (is_centre(map, y, x))
          peaks.push_back({map[y * width + x], (c * height + y) * width + x});
      }
    }
  }
  std::stable_sort(peaks.begin(), peaks.end(),
                   [](const Peak& a, const Peak& b) { return a.logit > b.logit; });

  BoxSet set;
  const float* const geometry = maps.data() + class_count * cells;
  const auto cut = [](double low, double high, std::size_t size, float& from, float& to) {
    const auto scale = static_cast<double>(size);
    from = static_cast<float>(std::clamp(low / scale, 0.0, 1.0));
    to = static_cast<float>(std::clamp(high / scale, 0.0, 1.0));
    return from < to;  // also false where a value was not finite
  };
  for (const Peak& peak : peaks) {
    if (set.boxes.size() == options.max_boxes) break;
    const std::size_t cell = peak.index % cells;
    const auto value = [&](std::size_t map) {
      return static_cast<double>(geometry[map * cells + cell]);
    };
    const double x = static_cast<double>(cell % width) + value(0);
    const double y = static_cast<double>(cell / width) + value(1);
    const double half_width = 0.5 * std::exp(value(2)), half_height = 0.5 * std::exp(value(3));
    Box box;
    box.class_id = static_cast<std::uint16_t>(peak.index / cells);
    box.score = 1 / (1 + std::exp(-peak.logit));
    if (!std::isfinite(x + y + half_width + half_height) ||
        !cut(x - half_width, x + half_width, width, box.left, box.right) ||
        !cut(y - half_height, y + half_height, height, box.top, box.bottom)) {
      continue;
    }
    set.boxes.push_back(box);
  }
  return set;
}

}  // namespace ams
