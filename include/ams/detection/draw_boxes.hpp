#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/frame.hpp"
#include "ams/detection/box.hpp"
#include "ams/segmentation/palette.hpp"

namespace ams {

/// The frame with an outline around each box, in the colour of its class (class_colour()), the
/// surest on top. Lines are a pixel wide, and one more for every 256 pixels of the frame's height.
/// names: of the classes, for colours; may be empty. Boxes with a score below `min_score` are left
/// out. Throws Error(invalid_argument) for a frame whose bytes do not fit its size, and as
/// check_boxes().
inline Frame draw_boxes(Frame frame, const BoxSet& set, std::span<const std::string> names = {},
                        double min_score = 0) {
  if (frame.width < 1 || frame.height < 1 ||
      frame.rgb.size() !=
          3 * static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height)) {
    detail::refuse(fmt::format("a frame of {} x {} has {} bytes; width * height * 3 are needed",
                               frame.width, frame.height, frame.rgb.size()));
  }
  check_boxes(set, 65536, "what is drawn");
  BoxSet sorted = set;
  std::stable_sort(sorted.boxes.begin(), sorted.boxes.end(),
                   [](const Box& a, const Box& b) { return a.score < b.score; });
  const int line = 1 + frame.height / 256;
  for (const Box& box : sorted.boxes) {
    if (static_cast<double>(box.score) < min_score) continue;
    const Colour colour = class_colour(
        box.class_id < names.size() ? std::string_view(names[box.class_id]) : std::string_view(),
        box.class_id);
    const auto first = [](float edge, int size) {
      return std::min(size - 1, static_cast<int>(edge * static_cast<float>(size)));
    };
    const auto last = [](float edge, int size) {
      return std::max(0, static_cast<int>(std::ceil(edge * static_cast<float>(size))) - 1);
    };
    const int x0 = first(box.left, frame.width), x1 = last(box.right, frame.width);
    const int y0 = first(box.top, frame.height), y1 = last(box.bottom, frame.height);
    for (int y = y0; y <= y1; ++y) {
      const bool is_edge = y < y0 + line || y > y1 - line;
      for (int x = x0; x <= x1; ++x) {
        if (!is_edge && x == x0 + line) x = std::max(x, x1 - line + 1);
        const auto at = 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(frame.width) +
                             static_cast<std::size_t>(x));
        frame.rgb[at] = colour.r;
        frame.rgb[at + 1] = colour.g;
        frame.rgb[at + 2] = colour.b;
      }
    }
  }
  return frame;
}

}  // namespace ams
