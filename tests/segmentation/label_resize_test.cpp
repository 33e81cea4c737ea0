#include "ams/segmentation/label_resize.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "ams/core/random.hpp"

using namespace ams;

TEST_CASE("every target pixel takes the source pixel under its centre") {
  Random random(5);
  for (int round = 0; round < 50; ++round) {
    LabelMap source{
        1 + static_cast<int>(random.below(40)), 1 + static_cast<int>(random.below(40)), {}};
    for (int i = 0; i < source.width * source.height; ++i) {
      source.ids.push_back(static_cast<std::uint8_t>(random.below(256)));
    }
    const int width = 1 + static_cast<int>(random.below(60)),
              height = 1 + static_cast<int>(random.below(60));
    const LabelMap result = resize_nearest(source, width, height);
    REQUIRE(result.width == width);
    REQUIRE(result.height == height);
    REQUIRE(result.ids.size() == static_cast<std::size_t>(width * height));
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const int from_x = static_cast<int>(std::floor((x + 0.5) * source.width / width + 1e-9));
        const int from_y = static_cast<int>(std::floor((y + 0.5) * source.height / height + 1e-9));
        CHECK(result.ids[static_cast<std::size_t>(y * width + x)] ==
              source.ids[static_cast<std::size_t>(from_y * source.width + from_x)]);
      }
    }
  }
}

TEST_CASE("wrong sizes are refused") {
  CHECK_THROWS_AS(resize_nearest(LabelMap{2, 2, {1, 2, 3}}, 4, 4), Error);
  CHECK_THROWS_AS(resize_nearest(LabelMap{}, 4, 4), Error);
  CHECK_THROWS_AS(resize_nearest(LabelMap{1, 1, {7}}, 0, 4), Error);
}
