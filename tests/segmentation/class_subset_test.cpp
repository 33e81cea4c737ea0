#include "ams/segmentation/class_subset.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "ams/core/error.hpp"

using ams::ClassSubset;

TEST_CASE("ids have their position in the given order, all others are outside") {
  const std::vector<std::uint8_t> ids = {0, 13, 2, 254};
  const ClassSubset classes(ids);
  REQUIRE(classes.size() == 4);
  CHECK(std::equal(ids.begin(), ids.end(), classes.ids().begin()));
  for (int id = 0; id < 256; ++id) {
    const auto found = std::find(ids.begin(), ids.end(), id);
    const auto byte = static_cast<std::uint8_t>(id);
    CHECK(classes.contains(byte) == (found != ids.end()));
    CHECK(classes.index(byte) == (found == ids.end() ? ClassSubset::outside : found - ids.begin()));
  }
}

TEST_CASE("first") {
  CHECK(ClassSubset::first(3) == ClassSubset({0, 1, 2}));
  CHECK(ClassSubset::first(255).index(254) == 254);
  CHECK_FALSE(ClassSubset::first(255).contains(255));
  CHECK_THROWS_AS(ClassSubset::first(0), ams::Error);
  CHECK_THROWS_AS(ClassSubset::first(256), ams::Error);
}

TEST_CASE("another ignore id frees 255 to be a class") {
  const ClassSubset classes({255, 1}, 0);
  CHECK(classes.ignore_id() == 0);
  CHECK(classes.index(255) == 0);
  CHECK(classes.contains(255));
  CHECK_FALSE(classes.contains(0));
  CHECK_FALSE(classes == ClassSubset({255, 1}, 2));
}

TEST_CASE("subsets that make no sense are refused") {
  CHECK_THROWS_AS(ClassSubset(std::vector<std::uint8_t>{}), ams::Error);
  CHECK_THROWS_WITH_AS(ClassSubset({1, 2, 1}), doctest::Contains("names 1 twice"), ams::Error);
  CHECK_THROWS_WITH_AS(ClassSubset({1, 255}), doctest::Contains("ignore id"), ams::Error);
  CHECK_THROWS_AS(ClassSubset({1, 7}, 7), ams::Error);
}
