#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// One object in a picture. Edges are shares of the picture's width and height, from its top left
/// corner, so that a box fits the picture in any size.
struct Box {
  float left = 0, top = 0, right = 0, bottom = 0;  ///< 0 <= left < right <= 1; top, bottom likewise
  std::uint16_t class_id = 0;
  float score = 1;  ///< how sure, in [0, 1]; 1 in a label
  friend bool operator==(const Box&, const Box&) = default;
};

/// All objects of one picture, in any order: a label, or a prediction. Empty: nothing is there.
struct BoxSet {
  /// A set has no more than this; what is done with two sets may take their product of steps.
  static constexpr std::size_t max_boxes = 1000;

  std::vector<Box> boxes;
  friend bool operator==(const BoxSet&, const BoxSet&) = default;
};

/// A frame with its teacher's boxes; what the replay buffer keeps and the trainer reads. Immutable
/// once shared, so safe to read from any thread.
struct BoxedFrame {
  Frame frame;
  BoxSet label;
};

/// Throws Error(invalid_argument), naming the box and what is allowed, unless there are at most
/// max_boxes boxes, each within the picture, wider and higher than 0, with a class below
/// `class_count` and a score in [0, 1]. `name`: of the set, for the message.
inline void check_boxes(const BoxSet& set, std::size_t class_count, const char* name) {
  if (set.boxes.size() > BoxSet::max_boxes) {
    detail::refuse(fmt::format("{} has {} boxes; allowed are at most {}", name, set.boxes.size(),
                               BoxSet::max_boxes));
  }
  // A NaN fails each of these comparisons.
  const auto is_span = [](float low, float high) { return low >= 0 && low < high && high <= 1; };
  for (std::size_t i = 0; i < set.boxes.size(); ++i) {
    const Box& box = set.boxes[i];
    if (!is_span(box.left, box.right) || !is_span(box.top, box.bottom)) {
      detail::refuse(fmt::format(
          "box {} of {} is ({}, {}, {}, {}); allowed are 0 <= left < right <= 1 and 0 <= top < "
          "bottom <= 1, shares of the picture's width and height",
          i, name, box.left, box.top, box.right, box.bottom));
    }
    if (box.class_id >= class_count) {
      detail::refuse(fmt::format("box {} of {} has class {}; allowed are 0 to {}", i, name,
                                 box.class_id, class_count - 1));
    }
    if (!(box.score >= 0 && box.score <= 1)) {
      detail::refuse(
          fmt::format("box {} of {} has score {}; allowed is 0 to 1", i, name, box.score));
    }
  }
}

/// Intersection over union of two valid boxes, in [0, 1]; 0 for boxes that only touch. Classes do
/// not count. The same both ways round.
inline double box_iou(const Box& a, const Box& b) {
  const auto overlap = [](float low, float high, float other_low, float other_high) {
    return std::max(0.0, static_cast<double>(std::min(high, other_high)) -
                             static_cast<double>(std::max(low, other_low)));
  };
  const auto area = [](const Box& box) {
    return (static_cast<double>(box.right) - static_cast<double>(box.left)) *
           (static_cast<double>(box.bottom) - static_cast<double>(box.top));
  };
  const double both =
      overlap(a.left, a.right, b.left, b.right) * overlap(a.top, a.bottom, b.top, b.bottom);
  return both > 0 ? both / (area(a) + area(b) - both) : 0;
}

}  // namespace ams
