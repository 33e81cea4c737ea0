#include "ams/segmentation/segmentation_task.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

using namespace ams;

namespace {

const SegmentationTask& task() {
  static const SegmentationTask value(ClassSubset({0, 2}), {"road", "sidewalk", "building"});
  return value;
}

Handle labels(std::vector<std::uint8_t> ids) {
  const int width = static_cast<int>(ids.size());
  return Handle::make(LabelMap{width, 1, std::move(ids)});
}

Handle frame(int width) {
  return Handle::make(Frame{width, 1, std::vector<std::uint8_t>(3 * std::size_t(width), 100), 7});
}

}  // namespace

TEST_CASE("a sample is a frame with its labels") {
  CHECK(task().name() == "segmentation");
  const Handle sample = task().sample(frame(4), labels({0, 1}));
  CHECK(sample.as<LabelledFrame>().frame.width == 4);
  CHECK(sample.as<LabelledFrame>().labels.ids.size() == 2);
  CHECK(task().size_bytes(sample) == 14);
  CHECK_THROWS_AS(task().sample(labels({0}), labels({0})), Error);
}

TEST_CASE("phi is the loss of one frame's labels against the next one's") {
  const Handle a = task().sample(frame(4), labels({0, 0, 2, 1}));
  const Handle b = task().sample(frame(4), labels({0, 2, 2, 0}));
  REQUIRE(task().phi(a, b));
  CHECK(*task().phi(a, b) == doctest::Approx(-std::log(0.01) / 3));
  const Handle elsewhere = task().sample(frame(1), labels({1}));
  CHECK_FALSE(task().phi(elsewhere, task().sample(frame(1), labels({0}))));
  CHECK_THROWS_AS(task().phi(a, task().sample(frame(1), labels({0}))), Error);
}

TEST_CASE("predictions are scored by mIoU, against labels of another size too") {
  const auto score = task().score();
  CHECK(score->add(labels({0, 0, 2, 2}), labels({0, 2}), 1) == doctest::Approx(1));
  CHECK(*score->add(labels({0, 0, 0, 0}), labels({0, 2}), 2) ==
        doctest::Approx((4.0 / 6 + 2.0 / 4) / 2));
  const auto summary = score->summary();
  REQUIRE(summary.size() == 3);
  CHECK(summary[0].first == "miou");
  CHECK(summary[1].first == "miou_per_frame");
  CHECK(summary[2].first == "miou_whole_video");
  CHECK(*summary[0].second == doctest::Approx((1 + (4.0 / 6 + 2.0 / 4) / 2) / 2));
  CHECK_FALSE(task().score()->summary()[0].second);
}

TEST_CASE("labels are drawn over the picture, but for what is of no class") {
  const Frame drawn = task().draw(frame(3), labels({2, 1, 255}));
  const Colour colour = class_colour("building", 2);
  CHECK(drawn.rgb[0] == (100 + colour.r) / 2);
  CHECK(drawn.rgb[2] == (100 + colour.b) / 2);
  CHECK(std::vector(drawn.rgb.begin() + 3, drawn.rgb.end()) == std::vector<std::uint8_t>(6, 100));
  CHECK(drawn.capture_seconds == 7);
  CHECK_THROWS_AS(task().draw(Handle::make(Frame{2, 2, {1}, 0}), labels({0})), Error);
}
