#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/detection/box.hpp"

namespace ams {

/// Share of two sets of boxes that differs, in [0, 1]:
///     1 - 2 S / (n + m),  S: the IoU of matched boxes, summed;  n, m: numbers of boxes.
/// Boxes of one class are matched one to one, the pair of largest IoU first. 0: the same boxes, or
/// none in both sets. 1: no two boxes meet, or one set alone is empty. The same both ways round,
/// and whatever order the boxes have. Scores do not count. The sets must be valid (check_boxes).
inline double box_disagreement(const BoxSet& a, const BoxSet& b) {
  const auto key = [](const Box& box) {
    return std::tie(box.class_id, box.left, box.top, box.right, box.bottom);
  };
  const auto is_less = [&](const Box& x, const Box& y) { return key(x) < key(y); };
  // Both in one order, so that equal IoUs are matched alike whatever came first.
  std::vector<Box> first = a.boxes, second = b.boxes;
  std::sort(first.begin(), first.end(), is_less);
  std::sort(second.begin(), second.end(), is_less);
  if (std::lexicographical_compare(second.begin(), second.end(), first.begin(), first.end(),
                                   is_less)) {
    std::swap(first, second);
  }
  const std::size_t count = first.size() + second.size();
  if (count == 0) return 0;

  struct Pair {
    double iou;
    std::size_t i, j;
  };
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (std::size_t j = 0; j < second.size(); ++j) {
      if (first[i].class_id != second[j].class_id) continue;
      const double iou = box_iou(first[i], second[j]);
      if (iou > 0) pairs.push_back({iou, i, j});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& x, const Pair& y) { return x.iou > y.iou; });
  std::vector<bool> is_taken(first.size()), is_other_taken(second.size());
  double sum = 0;
  for (const Pair& pair : pairs) {
    if (is_taken[pair.i] || is_other_taken[pair.j]) continue;
    is_taken[pair.i] = is_other_taken[pair.j] = true;
    sum += pair.iou;
  }
  return std::max(0.0, 1 - 2 * sum / static_cast<double>(count));
}

/// The detection task's loss on hard labels: what differs (box_disagreement), in the unit of
/// HardLabelCrossEntropy, so that phi_target and eta_r of sampling_rate.hpp mean the same:
///     loss = -ln(floor) * box_disagreement,  in [0, -ln(floor)].
class HardBoxLoss {
 public:
  static constexpr double default_floor = 0.01;

  /// floor in (0, 1), else Error(invalid_argument).
  explicit HardBoxLoss(double floor = default_floor) {
    if (!(floor > 0 && floor < 1))
      detail::refuse(fmt::format("box loss: floor is {}; allowed is (0, 1)", floor));
    largest_loss_ = -std::log(floor);
  }

  /// The loss of two valid sets; finite.
  double operator()(const BoxSet& prediction, const BoxSet& truth) const {
    return largest_loss_ * box_disagreement(prediction, truth);
  }

  /// -ln(floor): of two sets that have nothing in common.
  double largest_loss() const noexcept { return largest_loss_; }

 private:
  double largest_loss_;
};

}  // namespace ams
