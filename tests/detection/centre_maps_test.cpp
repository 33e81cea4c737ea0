#include "ams/detection/centre_maps.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ams/core/random.hpp"

using namespace ams;

namespace {

constexpr float none = -20;

/// Maps of 2 classes, 8 x 6 cells, without an object; each box would be one cell.
struct Maps {
  static constexpr std::size_t width = 8, height = 6, classes = 2;
  std::vector<float> values;

  Maps() : values((classes + 4) * width * height) {
    std::fill_n(values.begin(), classes * width * height, none);
  }
  float& at(std::size_t map, std::size_t y, std::size_t x) {
    return values[(map * height + y) * width + x];
  }
  BoxSet decode(const DecodeOptions& options = {}) const {
    return decode_centre_maps(values, classes, height, width, options);
  }
};

}  // namespace

TEST_CASE("a peak is a box") {
  Maps maps;
  CHECK(maps.decode().boxes.empty());
  maps.at(1, 2, 3) = 0;
  maps.at(1, 2, 4) = -1;
  maps.at(2, 2, 3) = 0.5F;
  maps.at(3, 2, 3) = 0.25F;
  maps.at(4, 2, 3) = std::log(2.0F);
  maps.at(5, 2, 3) = std::log(3.0F);
  const BoxSet set = maps.decode();
  REQUIRE(set.boxes.size() == 1);
  const Box& box = set.boxes[0];
  CHECK(box.class_id == 1);
  CHECK(box.score == doctest::Approx(0.5));
  CHECK(box.left == doctest::Approx((3.5 - 1) / 8));
  CHECK(box.right == doctest::Approx((3.5 + 1) / 8));
  CHECK(box.top == doctest::Approx((2.25 - 1.5) / 6));
  CHECK(box.bottom == doctest::Approx((2.25 + 1.5) / 6));
  CHECK(maps.decode({.min_score = 0.6F}).boxes.empty());
}

TEST_CASE("of equal neighbours one is the centre; classes do not hide each other") {
  Maps maps;
  for (std::size_t y = 1; y < 3; ++y)
    for (std::size_t x = 4; x < 6; ++x) maps.at(0, y, x) = maps.at(1, y, x) = 2;
  const BoxSet set = maps.decode();
  REQUIRE(set.boxes.size() == 2);
  CHECK(set.boxes[0].class_id == 0);
  CHECK(set.boxes[1].class_id == 1);
  CHECK(set.boxes[0].left == set.boxes[1].left);
}

TEST_CASE("the surest boxes come first, and no more than wanted") {
  Maps maps;
  maps.at(0, 0, 0) = 1;
  maps.at(0, 4, 6) = 3;
  maps.at(1, 2, 3) = 2;
  const BoxSet set = maps.decode({.max_boxes = 2});
  REQUIRE(set.boxes.size() == 2);
  CHECK(set.boxes[0].score > set.boxes[1].score);
  CHECK(set.boxes[1].class_id == 1);
}

TEST_CASE("boxes are cut at the edges, and what is not finite is no object") {
  Maps maps;
  maps.at(0, 0, 0) = 5;
  maps.at(4, 0, 0) = maps.at(5, 0, 0) = 600;  // exp() overflows a float, not a double
  BoxSet set = maps.decode();
  REQUIRE(set.boxes.size() == 1);
  CHECK(set.boxes[0] == Box{0, 0, 1, 1, 0, set.boxes[0].score});
  check_boxes(set, 2, "the prediction");

  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const std::size_t map : {std::size_t{0}, std::size_t{2}, std::size_t{4}}) {
      Maps bad;
      bad.at(0, 3, 3) = 5;
      bad.at(map, 3, 3) = value;
      CHECK(bad.decode().boxes.empty());
    }
  }
  Maps outside;
  outside.at(0, 3, 3) = 5;
  outside.at(2, 3, 3) = -40;
  CHECK(outside.decode().boxes.empty());
}

TEST_CASE("any values give a valid set") {
  Random random(5);
  for (int run = 0; run < 50; ++run) {
    Maps maps;
    for (float& value : maps.values) value = static_cast<float>(random.uniform() * 12 - 6);
    const BoxSet set = maps.decode({.min_score = 0, .max_boxes = 1000});
    CHECK(set.boxes.size() > 0);
    check_boxes(set, 2, "the prediction");
    CHECK(std::is_sorted(set.boxes.begin(), set.boxes.end(),
                         [](const Box& a, const Box& b) { return a.score > b.score; }));
  }
}

TEST_CASE("maps and options are checked") {
  const std::vector<float> maps(5 * 4);
  CHECK_NOTHROW(decode_centre_maps(maps, 1, 2, 2));
  CHECK_THROWS_AS(decode_centre_maps(maps, 2, 2, 2), Error);
  CHECK_THROWS_AS(decode_centre_maps(maps, 0, 2, 2), Error);
  CHECK_THROWS_AS(decode_centre_maps({}, 1, 0, 2), Error);
  CHECK_THROWS_AS(decode_centre_maps({}, 1, std::size_t{1} << 63, 2), Error);
  CHECK_THROWS_AS(decode_centre_maps(maps, 1, 2, 2, {.min_score = 2}), Error);
  CHECK_THROWS_AS(decode_centre_maps(maps, 1, 2, 2, {.max_boxes = 0}), Error);
  CHECK_THROWS_AS(decode_centre_maps(maps, 1, 2, 2, {.max_boxes = 1001}), Error);
}
