#include "ams/detection/detection_task.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

using namespace ams;

namespace {

const DetectionTask& task() {
  static const DetectionTask value({"person", "car"});
  return value;
}

Handle boxes(std::vector<Box> list) {
  return Handle::make(BoxSet{std::move(list)});
}

Handle frame(int width, int height) {
  const auto size = 3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  return Handle::make(Frame{width, height, std::vector<std::uint8_t>(size, 100), 7});
}

const Box left{0, 0, 0.5F, 1, 1}, right{0.5F, 0, 1, 1, 1};

}  // namespace

TEST_CASE("a sample is a frame with its boxes") {
  CHECK(task().name() == "detection");
  const Handle sample = task().sample(frame(4, 2), boxes({left}));
  CHECK(sample.as<BoxedFrame>().label == BoxSet{{left}});
  CHECK(task().size_bytes(sample) == 24 + sizeof(Box));
  const auto [picture, label] = task().frame_and_label(sample);
  CHECK(picture.as<Frame>().width == 4);
  CHECK(label.as<BoxSet>() == BoxSet{{left}});
  CHECK_THROWS_AS(task().sample(frame(4, 2), frame(4, 2)), Error);
  CHECK_THROWS_AS(task().sample(frame(4, 2), boxes({{0, 0, 1, 1, 2}})), Error);
  CHECK_THROWS_AS(DetectionTask({}), Error);
  CHECK_THROWS_AS(DetectionTask({"car"}, 2), Error);
}

TEST_CASE("phi is the loss of one label against the next; labels keep") {
  const auto sample = [](std::vector<Box> list) {
    return task().sample(frame(4, 2), boxes(std::move(list)));
  };
  CHECK(*task().phi(sample({}), sample({})) == 0);
  CHECK(*task().phi(sample({left}), sample({right})) == doctest::Approx(-std::log(0.01)));
  CHECK(*task().phi(sample({left}), sample({left, right})) == doctest::Approx(-std::log(0.01) / 3));
  const auto bytes = task().pack_label(boxes({left, right}));
  CHECK(task().unpack_label(bytes).as<BoxSet>() == BoxSet{{left, right}});
}

TEST_CASE("two predictions differ by the boxes that are shown") {
  Box unsure = right;
  unsure.score = 0.2F;
  CHECK(*task().difference(boxes({left}), boxes({left, unsure})) == 0);
  CHECK(*task().difference(boxes({left}), boxes({right})) == 1);
  CHECK(*task().difference(boxes({}), boxes({})) == 0);
}

TEST_CASE("predictions are scored by average precision") {
  const auto score = task().score();
  CHECK_FALSE(score->add(boxes({left}), boxes({}), 0));
  CHECK(*score->add(boxes({left}), boxes({left}), 20) == doctest::Approx(1));
  CHECK(*score->add(boxes({}), boxes({left}), 21) == doctest::Approx(51.0 / 101));
  const auto summary = score->summary();
  REQUIRE(summary.size() == 2);
  CHECK(summary[0].first == "ap50");
  CHECK(summary[1].first == "ap50_95");
  CHECK(*summary[0].second == doctest::Approx((1 + 51.0 / 101) / 2));
}

TEST_CASE("boxes are drawn as outlines in the colours of their classes") {
  const Box box{0.25F, 0.2F, 0.75F, 1, 1};  // columns 2 to 5 of 8, rows 1 to 4 of 5
  const Frame drawn = task().draw(frame(8, 5), boxes({box, {0, 0, 1, 1, 0, 0.1F}}));
  const Colour colour = class_colour("car", 1);
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 8; ++x) {
      const bool is_line = x >= 2 && x <= 5 && y >= 1 && (x == 2 || x == 5 || y == 1 || y == 4);
      const std::uint8_t* const pixel = &drawn.rgb[3 * static_cast<std::size_t>(y * 8 + x)];
      CHECK(pixel[0] == (is_line ? colour.r : 100));
      CHECK(pixel[2] == (is_line ? colour.b : 100));
    }
  }
  CHECK(drawn.capture_seconds == 7);
  // Boxes smaller than a pixel and at the very edge are still seen.
  const Frame edge = task().draw(frame(8, 5), boxes({{0.999F, 0.999F, 1, 1, 1}}));
  CHECK(edge.rgb[3 * 39] == colour.r);
  CHECK(std::count(edge.rgb.begin(), edge.rgb.end(), 100) == 3 * 39);
  CHECK_THROWS_AS(task().draw(Handle::make(Frame{2, 2, {1}, 0}), boxes({})), Error);
}
