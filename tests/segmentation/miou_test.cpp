#include "ams/segmentation/miou.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>
#include <vector>

#include "ams/core/error.hpp"
#include "segmentation/label_maps.hpp"

using namespace ams;
using test::label_map;
using test::random_label_map;

namespace {

using Frames = std::vector<std::pair<LabelMap, LabelMap>>;  // prediction, truth

// IoU of one class from sets of pixels, over all frames together.
std::optional<double> slow_iou(const Frames& frames, const std::vector<std::uint8_t>& ids,
                               std::uint8_t id) {
  std::set<std::pair<std::size_t, std::size_t>> truth, predicted, both, either;
  for (std::size_t f = 0; f < frames.size(); ++f) {
    const auto& [p, t] = frames[f];
    for (std::size_t i = 0; i < t.ids.size(); ++i) {
      if (std::find(ids.begin(), ids.end(), t.ids[i]) == ids.end()) continue;
      if (t.ids[i] == id) truth.emplace(f, i);
      if (p.ids[i] == id) predicted.emplace(f, i);
    }
  }
  std::set_intersection(truth.begin(), truth.end(), predicted.begin(), predicted.end(),
                        std::inserter(both, both.end()));
  std::set_union(truth.begin(), truth.end(), predicted.begin(), predicted.end(),
                 std::inserter(either, either.end()));
  if (either.empty()) return std::nullopt;
  return static_cast<double>(both.size()) / static_cast<double>(either.size());
}

std::optional<double> slow_miou(const Frames& frames, const std::vector<std::uint8_t>& ids) {
  double sum = 0;
  int count = 0;
  for (const std::uint8_t id : ids) {
    if (const auto value = slow_iou(frames, ids, id)) {
      sum += *value;
      ++count;
    }
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

void check_same(std::optional<double> actual, std::optional<double> expected) {
  REQUIRE(actual.has_value() == expected.has_value());
  if (expected) CHECK(*actual == doctest::Approx(*expected).epsilon(1e-12));
}

}  // namespace

TEST_CASE("a small example by hand") {
  ConfusionMatrix confusion(ClassSubset({0, 5, 9}));
  //                     hit miss-as-5 hit hit outside ignored-truth unselected-truth
  //                     ignore-predicted
  confusion.add(label_map(8, 1, {0, 5, 5, 5, 7, 0, 5, 255}),
                label_map(8, 1, {0, 0, 5, 5, 0, 255, 7, 5}));
  CHECK(confusion.pixels() == 6);
  CHECK(confusion.count(0, 0) == 1);
  CHECK(confusion.count(0, 1) == 1);
  CHECK(confusion.count(1, 1) == 2);
  CHECK(confusion.count(0, 3) == 1);  // outside
  CHECK(confusion.count(1, 3) == 1);  // the ignore id is outside, too
  CHECK(confusion.iou(0).value() == doctest::Approx(1.0 / 3));
  CHECK(confusion.iou(1).value() == doctest::Approx(2.0 / 4));
  CHECK_FALSE(confusion.iou(2).has_value());
  CHECK(confusion.mean_iou().value() == doctest::Approx((1.0 / 3 + 0.5) / 2));
}

TEST_CASE("a class that is only predicted occurs, with an IoU of 0") {
  ConfusionMatrix confusion(ClassSubset({0, 1, 2}));
  confusion.add(label_map(2, 1, {0, 1}), label_map(2, 1, {0, 0}));
  CHECK(confusion.iou(1).value() == 0);
  CHECK_FALSE(confusion.iou(2).has_value());
  CHECK(confusion.mean_iou().value() == doctest::Approx(0.25));
}

TEST_CASE("no pixel that counts: no mIoU") {
  ConfusionMatrix confusion(ClassSubset({3}));
  CHECK_FALSE(confusion.mean_iou().has_value());
  confusion.add(label_map(1, 2, {3, 3}), label_map(1, 2, {255, 4}));
  CHECK_FALSE(confusion.mean_iou().has_value());
  confusion.add(LabelMap{}, LabelMap{});
  CHECK(confusion.pixels() == 0);
}

TEST_CASE("random maps against sets of pixels") {
  Random random(21);
  for (int run = 0; run < 60; ++run) {
    std::vector<std::uint8_t> ids;
    for (int id = 0; id < 20; ++id) {
      if (random.below(3) == 0) ids.push_back(static_cast<std::uint8_t>(id));
    }
    ids.push_back(200);
    std::vector<std::uint8_t> drawn = ids;
    drawn.push_back(255);
    drawn.push_back(77);
    ConfusionMatrix confusion{ClassSubset(ids)};
    Frames frames;
    const int width = static_cast<int>(random.below(40));
    const int height = static_cast<int>(random.below(12));
    for (int f = 0; f < 3; ++f) {
      const std::uint64_t max_run = 1 + random.below(40);
      LabelMap truth = random_label_map(width, height, drawn, max_run, random);
      LabelMap prediction = truth;
      for (auto& id : prediction.ids) {
        if (random.below(6) == 0) id = drawn[random.below(drawn.size())];
      }
      confusion.add(prediction, truth);
      frames.emplace_back(std::move(prediction), std::move(truth));
    }
    check_same(confusion.mean_iou(), slow_miou(frames, ids));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      check_same(confusion.iou(i), slow_iou(frames, ids, ids[i]));
    }
  }
}

TEST_CASE("every byte value, with even words and ragged ones") {
  // Each pair (prediction, truth) once as a run of eight and once alone.
  const ClassSubset classes = ClassSubset::first(255);
  ConfusionMatrix confusion(classes);
  LabelMap prediction{9 * 256, 1, {}}, truth{9 * 256, 1, {}};
  for (int t = 0; t < 256; ++t) {
    prediction.ids.clear();
    truth.ids.clear();
    for (int p = 0; p < 256; ++p) {
      prediction.ids.insert(prediction.ids.end(), 8, static_cast<std::uint8_t>(p));
      truth.ids.insert(truth.ids.end(), 8, static_cast<std::uint8_t>(t));
    }
    for (int p = 0; p < 256; ++p) {
      prediction.ids.push_back(static_cast<std::uint8_t>(p));
      truth.ids.push_back(static_cast<std::uint8_t>(t));
    }
    confusion.add(prediction, truth);
  }
  std::size_t wrong = 0;
  for (std::size_t t = 0; t < 255; ++t) {
    for (std::size_t p = 0; p < 256; ++p) wrong += confusion.count(t, p) != 9;
  }
  CHECK(wrong == 0);
  CHECK(confusion.pixels() == 255 * 256 * 9);
}

TEST_CASE("sums and differences") {
  Random random(4);
  const ClassSubset classes({0, 1, 2});
  const std::vector<std::uint8_t> drawn = {0, 1, 2, 3, 255};
  const auto make = [&](ConfusionMatrix& c) {
    c.add(random_label_map(16, 9, drawn, 5, random), random_label_map(16, 9, drawn, 5, random));
  };
  ConfusionMatrix a(classes), b(classes);
  make(a);
  make(b);
  ConfusionMatrix sum = a;
  sum += b;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) CHECK(sum.count(i, j) == a.count(i, j) + b.count(i, j));
  }
  const ConfusionMatrix sum_before = sum;
  sum -= b;
  CHECK(sum == a);
  CHECK_THROWS_AS(sum -= sum_before, Error);
  CHECK(sum == a);
  CHECK_THROWS_AS(sum += ConfusionMatrix(ClassSubset({0, 1})), Error);
  CHECK_THROWS_AS(sum -= ConfusionMatrix(ClassSubset({2, 1, 0})), Error);
  CHECK(sum == a);
  sum.clear();
  CHECK(sum == ConfusionMatrix(classes));
}

TEST_CASE("sizes and indices are checked, and a refused frame changes nothing") {
  ConfusionMatrix confusion(ClassSubset({0, 1}));
  const LabelMap map = label_map(2, 2, {0, 0, 1, 1});
  CHECK_THROWS_AS(confusion.add(map, label_map(4, 1, {0, 0, 1, 1})), Error);
  CHECK_THROWS_AS(confusion.add(label_map(2, 2, {0, 0, 1}), map), Error);
  CHECK_THROWS_AS(confusion.add(map, label_map(2, 2, {0, 0, 1})), Error);
  CHECK(confusion.pixels() == 0);
  CHECK_THROWS_AS(confusion.count(2, 0), Error);
  CHECK_THROWS_AS(confusion.count(0, 3), Error);
  CHECK_NOTHROW(confusion.count(1, 2));
  CHECK_THROWS_AS(confusion.iou(2), Error);

  SlidingMiou miou(ClassSubset({0, 1}));
  miou.add(map, map, 5);
  CHECK_THROWS_AS(miou.add(map, map, 4.9), Error);
  CHECK_THROWS_AS(miou.add(map, map, std::nan("")), Error);
  CHECK_THROWS_AS(miou.add(map, map, std::numeric_limits<double>::infinity()), Error);
  CHECK_THROWS_AS(miou.add(map, label_map(4, 1, {0, 0, 1, 1}), 6), Error);
  CHECK(miou.summary().frames == 1);
  CHECK(miou.add(map, map, 5).value() == 1);

  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -1.0, infinity, std::nan("")}) {
    CHECK_THROWS_WITH_AS(SlidingMiou(ClassSubset({0}), {.window_seconds = bad}),
                         doctest::Contains("window_seconds"), Error);
  }
  CHECK_THROWS_WITH_AS(SlidingMiou(ClassSubset({0}), {.start_up_seconds = std::nan("")}),
                       doctest::Contains("start_up_seconds"), Error);
}

TEST_CASE("the window is open at its old end") {
  SlidingMiou miou(ClassSubset({0, 1}));
  const LabelMap zero = label_map(1, 1, {0});
  const LabelMap one = label_map(1, 1, {1});
  CHECK(miou.add(zero, zero, 0).value() == 1);
  CHECK(miou.add(one, zero, 9.5).value() == 0.25);  // class 0: 1 of 2; class 1: 0 of 1
  CHECK(miou.add(zero, zero, 10).value() == 0.25);  // the frame at 0 has left
  CHECK(miou.add(zero, zero, 19.5).value() == 1);
  CHECK(miou.window().pixels() == 2);
  CHECK(miou.current().value() == 1);
}

TEST_CASE("a window far below the resolution of time holds the latest frame") {
  SlidingMiou miou(ClassSubset({0}), {.window_seconds = 1e-9});
  const LabelMap zero = label_map(1, 1, {0});
  CHECK(miou.add(zero, zero, 1e18).value() == 1);
  CHECK(miou.add(zero, zero, 1e18).value() == 1);
  CHECK(miou.window().pixels() == 1);
}

TEST_CASE("random videos against windows summed anew") {
  Random random(8);
  const std::vector<std::uint8_t> ids = {0, 2, 8, 13};
  const std::vector<std::uint8_t> drawn = {0, 2, 8, 13, 4, 255};
  for (int run = 0; run < 15; ++run) {
    SlidingMiouOptions options;
    options.window_seconds = 1 + static_cast<double>(random.below(10));
    options.start_up_seconds = static_cast<double>(random.below(20));
    SlidingMiou miou(ClassSubset(ids), options);
    CHECK_FALSE(miou.current().has_value());
    Frames frames, scored;
    std::vector<double> times;
    double sliding_sum = 0, frame_sum = 0;
    int sliding_count = 0, frame_count = 0;
    double now = static_cast<double>(random.below(5));
    for (int f = 0; f < 40; ++f) {
      // Now and then a frame without a pixel that counts.
      const std::vector<std::uint8_t> of =
          random.below(5) == 0 ? std::vector<std::uint8_t>{255, 4} : drawn;
      frames.emplace_back(random_label_map(9, 5, drawn, 12, random),
                          random_label_map(9, 5, of, 12, random));
      times.push_back(now);
      const auto value = miou.add(frames.back().first, frames.back().second, now);
      Frames window;
      for (std::size_t i = 0; i < frames.size(); ++i) {
        if (times[i] > now - options.window_seconds) window.push_back(frames[i]);
      }
      const auto expected = slow_miou(window, ids);
      check_same(value, expected);
      check_same(miou.current(), expected);
      if (now >= options.start_up_seconds) {
        scored.push_back(frames.back());
        if (expected) sliding_sum += *expected, ++sliding_count;
        if (const auto own = slow_miou({frames.back()}, ids)) frame_sum += *own, ++frame_count;
      }
      now += static_cast<double>(random.below(3)) + 0.5 * static_cast<double>(random.below(2));
    }
    const MiouSummary summary = miou.summary();
    CHECK(summary.frames == scored.size());
    const auto mean = [](double sum, int count) {
      return count == 0 ? std::nullopt : std::optional<double>(sum / count);
    };
    check_same(summary.sliding, mean(sliding_sum, sliding_count));
    check_same(summary.per_frame, mean(frame_sum, frame_count));
    check_same(summary.whole_video, slow_miou(scored, ids));
  }
}
