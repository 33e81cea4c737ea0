#include "ams/detection/box_loss.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "detection/random_boxes.hpp"

using namespace ams;

namespace {

/// The largest sum of IoUs over all ways to match, by trying each.
double best_sum(const std::vector<Box>& a, std::vector<Box> b) {
  if (a.size() > b.size()) return best_sum(b, a);
  std::vector<std::size_t> order(b.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  double best = 0;
  do {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const Box& other = b[order[i]];
      if (a[i].class_id == other.class_id) sum += box_iou(a[i], other);
    }
    best = std::max(best, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

}  // namespace

TEST_CASE("the same boxes differ by nothing, others by all") {
  const BoxSet none, one{{{0, 0, 0.5F, 0.5F}}}, far{{{0.5F, 0.5F, 1, 1}}};
  const BoxSet other_class{{{0, 0, 0.5F, 0.5F, 1}}};
  CHECK(box_disagreement(none, none) == 0);
  CHECK(box_disagreement(one, one) == 0);
  CHECK(box_disagreement(one, none) == 1);
  CHECK(box_disagreement(none, one) == 1);
  CHECK(box_disagreement(one, far) == 1);
  CHECK(box_disagreement(one, other_class) == 1);
  const BoxSet two{{{0.5F, 0.5F, 1, 1}, {0, 0, 0.5F, 0.5F, 0, 0.1F}}};
  CHECK(box_disagreement(one, two) == doctest::Approx(1.0 / 3));
  CHECK(box_disagreement(BoxSet{{{0, 0, 1, 1}}}, BoxSet{{{0, 0, 0.5F, 1}}}) == 0.5);
  const HardBoxLoss loss;
  CHECK(loss(one, none) == doctest::Approx(-std::log(0.01)));
  CHECK(loss(none, none) == 0);
  CHECK(HardBoxLoss(0.5).largest_loss() == doctest::Approx(std::log(2.0)));
  for (const double floor : {0.0, 1.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_AS(HardBoxLoss{floor}, Error);
}

TEST_CASE("random sets: symmetric, whatever their order, and close to the best matching") {
  Random random(11);
  for (int run = 0; run < 200; ++run) {
    BoxSet a = random_boxes(random, 5, 2, run % 2 == 0 ? 3 : 40);
    BoxSet b = random_boxes(random, 5, 2, run % 2 == 0 ? 3 : 40);
    const double value = box_disagreement(a, b);
    CHECK(value >= 0);
    CHECK(value <= 1);
    CHECK(box_disagreement(b, a) == value);
    std::reverse(a.boxes.begin(), a.boxes.end());
    std::rotate(b.boxes.begin(), b.boxes.begin() + static_cast<std::ptrdiff_t>(b.boxes.size() / 2),
                b.boxes.end());
    CHECK(box_disagreement(a, b) == value);
    CHECK(box_disagreement(a, a) == doctest::Approx(0));
    const std::size_t count = a.boxes.size() + b.boxes.size();
    if (count == 0) continue;
    // A greedy matching has at least half of the best sum.
    const double sum = (1 - value) * static_cast<double>(count) / 2;
    const double best = best_sum(a.boxes, b.boxes);
    CHECK(sum <= best + 1e-9);
    CHECK(sum >= best / 2 - 1e-9);
  }
}
