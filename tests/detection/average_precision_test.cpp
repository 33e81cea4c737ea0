#include "ams/detection/average_precision.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "detection/random_boxes.hpp"

using namespace ams;

namespace {

struct Picture {
  BoxSet prediction, truth;
};

/// By the definition, one class and IoU after another; nothing is shared with the header.
std::optional<double> slow_precision(const std::vector<Picture>& pictures, std::uint16_t class_id,
                                     double least_iou, std::size_t most) {
  struct Found {
    float score;
    bool is_right;
  };
  std::vector<Found> all;
  double truths = 0;
  for (const Picture& picture : pictures) {
    std::vector<Box> predicted, wanted;
    for (const Box& box : picture.prediction.boxes)
      if (box.class_id == class_id) predicted.push_back(box);
    for (const Box& box : picture.truth.boxes)
      if (box.class_id == class_id) wanted.push_back(box);
    truths += static_cast<double>(wanted.size());
    std::stable_sort(predicted.begin(), predicted.end(),
                     [](const Box& a, const Box& b) { return a.score > b.score; });
    if (predicted.size() > most) predicted.resize(most);
    for (const Box& box : predicted) {
      std::size_t best = wanted.size();
      double best_iou = least_iou;
      for (std::size_t k = 0; k < wanted.size(); ++k) {
        if (box_iou(box, wanted[k]) >= best_iou) {
          best = k;
          best_iou = box_iou(box, wanted[k]);
        }
      }
      all.push_back({box.score, best < wanted.size()});
      if (best < wanted.size()) wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(best));
    }
  }
  if (truths == 0) return std::nullopt;
  std::stable_sort(all.begin(), all.end(),
                   [](const Found& a, const Found& b) { return a.score > b.score; });
  double sum = 0;
  for (int point = 0; point <= 100; ++point) {
    double best = 0, right = 0;
    for (std::size_t n = 0; n < all.size(); ++n) {
      right += all[n].is_right;
      if (right / truths >= 0.01 * point) best = std::max(best, right / static_cast<double>(n + 1));
    }
    sum += best / 101;
  }
  return sum;
}

const Box whole{0, 0, 1, 1};

}  // namespace

TEST_CASE("no box, one box, and boxes that touch") {
  const BoxSet none, one{{whole}};
  {
    AveragePrecision precision(2);
    CHECK_FALSE(precision.summary().ap50);
    precision.add(one, none);  // nothing to find
    CHECK_FALSE(precision.summary().ap50);
    CHECK_FALSE(precision.of_class(0).ap50_95);
    CHECK(precision.pictures() == 1);
  }
  {
    AveragePrecision precision(1);
    precision.add(one, one);
    CHECK(*precision.summary().ap50 == doctest::Approx(1));
    CHECK(*precision.summary().ap50_95 == doctest::Approx(1));
    precision.add(none, one);  // recall is 1/2: 51 of 101 points
    CHECK(*precision.summary().ap50 == doctest::Approx(51.0 / 101));
  }
  {
    AveragePrecision precision(1);
    precision.add(none, one);
    CHECK(*precision.summary().ap50 == 0);
  }
  {
    AveragePrecision precision(1);
    precision.add(BoxSet{{{0, 0, 0.5F, 1}}}, BoxSet{{{0.5F, 0, 1, 1}}});
    CHECK(*precision.summary().ap50 == 0);
  }
}

TEST_CASE("an IoU of exactly the threshold is enough, and a box is found once") {
  AveragePrecision precision(1);
  const Box half{0, 0, 0.5F, 1, 0, 0.9F}, also_half{0, 0, 0.5F, 1, 0, 0.8F};
  precision.add(BoxSet{{half, also_half}}, BoxSet{{whole}});
  CHECK(*precision.summary().ap50 == doctest::Approx(1));
  CHECK(*precision.summary().ap50_95 == doctest::Approx(0.1));
}

TEST_CASE("classes count alike, those that do not occur not at all") {
  AveragePrecision precision(3);
  const Box other{0, 0, 1, 1, 1};
  precision.add(BoxSet{{whole, {0, 0, 1, 1, 2}}}, BoxSet{{whole, other, other}});
  CHECK(*precision.of_class(0).ap50 == doctest::Approx(1));
  CHECK(*precision.of_class(1).ap50 == 0);
  CHECK_FALSE(precision.of_class(2).ap50);
  CHECK(*precision.summary().ap50 == doctest::Approx(0.5));
  CHECK_THROWS_AS(precision.of_class(3), Error);
}

TEST_CASE("what cannot be scored is refused, and nothing has changed then") {
  AveragePrecision precision(1);
  precision.add(BoxSet{{whole}}, BoxSet{{whole}});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(precision.add(BoxSet{{{0, 0, 1, 1, 0, nan}}}, BoxSet{}), Error);
  CHECK_THROWS_AS(precision.add(BoxSet{{{0, 0, 1, 1, 1}}}, BoxSet{}), Error);
  CHECK_THROWS_AS(precision.add(BoxSet{}, BoxSet{{{0, 0, nan, 1}}}), Error);
  CHECK(precision.pictures() == 1);
  CHECK_THROWS_AS(AveragePrecision(0), Error);
  CHECK_THROWS_AS(AveragePrecision(1, 0), Error);
  CHECK_THROWS_AS(SlidingPrecision(1, {.window_seconds = 0}), Error);
  SlidingPrecision sliding(1);
  sliding.add(BoxSet{}, BoxSet{}, 5);
  CHECK_THROWS_AS(sliding.add(BoxSet{}, BoxSet{}, 4), Error);
  CHECK_THROWS_AS(sliding.add(BoxSet{}, BoxSet{}, std::numeric_limits<double>::infinity()), Error);
}

TEST_CASE("random pictures against a slow reference") {
  Random random(7);
  for (int run = 0; run < 25; ++run) {
    const std::size_t most = run % 3 == 0 ? 2 : 100;
    const std::uint64_t cells = run % 2 == 0 ? 4 : 30;
    std::vector<Picture> pictures(1 + random.below(12));
    AveragePrecision precision(3, most);
    for (Picture& picture : pictures) {
      picture.truth = random_boxes(random, 6, 2, cells);
      picture.prediction = random_boxes(random, 8, 3, cells);
      for (const Box& box : picture.truth.boxes) {  // some of them nearly found
        if (random.below(2) == 0) continue;
        Box near = box;
        near.right = std::min(1.0F, near.right + static_cast<float>(random.below(4)) * 0.03F);
        near.score = static_cast<float>(random.below(20)) / 19;
        picture.prediction.boxes.push_back(near);
      }
      precision.add(picture.prediction, picture.truth);
    }
    double sum50 = 0, sum = 0, classes = 0;
    for (std::uint16_t c = 0; c < 3; ++c) {
      const auto ap50 = slow_precision(pictures, c, 0.5, most);
      REQUIRE(precision.of_class(c).ap50.has_value() == ap50.has_value());
      if (!ap50) continue;
      double mean = 0;
      for (int k = 0; k < 10; ++k) mean += *slow_precision(pictures, c, 0.5 + 0.05 * k, most) / 10;
      CHECK(*precision.of_class(c).ap50 == doctest::Approx(*ap50));
      CHECK(*precision.of_class(c).ap50_95 == doctest::Approx(mean));
      sum50 += *ap50;
      sum += mean;
      ++classes;
    }
    if (classes == 0) continue;
    CHECK(*precision.summary().ap50 == doctest::Approx(sum50 / classes));
    CHECK(*precision.summary().ap50_95 == doctest::Approx(sum / classes));
  }
}

TEST_CASE("the window of a video holds its latest seconds; the summary is the mean over frames") {
  Random random(9);
  SlidingPrecision sliding(2, {.window_seconds = 3});
  std::vector<std::pair<double, Picture>> frames;
  double sum50 = 0, sum = 0, count = 0;
  for (int n = 0; n < 30; ++n) {
    const double time = 0.5 * n;
    Picture picture{random_boxes(random, 5, 2, 4), random_boxes(random, 3, 2, 4)};
    if (n < 3) picture.truth = {};
    frames.emplace_back(time, picture);
    AveragePrecision window(2);
    for (const auto& [then, kept] : frames)
      if (then > time - 3) window.add(kept.prediction, kept.truth);
    const PrecisionSummary now = sliding.add(picture.prediction, picture.truth, time);
    REQUIRE(now.ap50.has_value() == window.summary().ap50.has_value());
    if (!now.ap50) continue;
    CHECK(*now.ap50 == doctest::Approx(*window.summary().ap50));
    sum50 += *now.ap50;
    sum += *now.ap50_95;
    ++count;
  }
  CHECK(*sliding.summary().ap50 == doctest::Approx(sum50 / count));
  CHECK(*sliding.summary().ap50_95 == doctest::Approx(sum / count));
  CHECK_FALSE(SlidingPrecision(1).summary().ap50);
}
