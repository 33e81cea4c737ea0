#include "ams/core/coordinate_set.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <vector>

#include "ams/core/random.hpp"
#include "coordinates_reference.hpp"
#include "expect_error.hpp"

using ams::CoordinateSet;
using ams::ErrorCode;
using ams::test::expect_error;
using ams::test::listed;

namespace {

std::set<std::uint32_t> random_subset(std::size_t dimension, double density, ams::Random& random) {
  std::set<std::uint32_t> out;
  for (std::uint32_t i = 0; i < dimension; ++i) {
    if (random.uniform() < density) out.insert(i);
  }
  return out;
}

CoordinateSet make(std::size_t dimension, const std::set<std::uint32_t>& members) {
  return CoordinateSet::from_sorted(dimension, {members.begin(), members.end()});
}

}  // namespace

TEST_CASE("a set of some coordinates") {
  const auto set = CoordinateSet::from_sorted(10, {0, 3, 9});
  CHECK(set.dimension() == 10);
  CHECK(set.size() == 3);
  CHECK_FALSE(set.empty());
  CHECK_FALSE(set.is_all());
  CHECK(listed(set) == std::vector<std::uint32_t>{0, 3, 9});
  CHECK(std::vector<std::uint32_t>(set.indices().begin(), set.indices().end()) == listed(set));
}

TEST_CASE("a set of all coordinates lists none") {
  const auto all = CoordinateSet::all(4);
  CHECK(all.is_all());
  CHECK(all.size() == 4);
  CHECK(all.indices().empty());
  CHECK(listed(all) == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(CoordinateSet::from_sorted(4, {0, 1, 2, 3}).is_all());
  CHECK(CoordinateSet::from_sorted(4, {0, 1, 2, 3}) == all);
}

TEST_CASE("a set of no coordinates") {
  const auto none = CoordinateSet::from_sorted(4, {});
  CHECK(none.empty());
  CHECK(none.dimension() == 4);
  CHECK_FALSE(none.is_all());
  CHECK(listed(none).empty());
}

TEST_CASE("sets of a vector of no values are one and the same") {
  CHECK(CoordinateSet() == CoordinateSet::all(0));
  CHECK(CoordinateSet() == CoordinateSet::from_sorted(0, {}));
  CHECK(CoordinateSet().empty());
  CHECK(CoordinateSet().is_all());
}

TEST_CASE("equality looks at dimension and members") {
  CHECK(CoordinateSet::from_sorted(5, {1}) == CoordinateSet::from_sorted(5, {1}));
  CHECK_FALSE(CoordinateSet::from_sorted(5, {1}) == CoordinateSet::from_sorted(6, {1}));
  CHECK_FALSE(CoordinateSet::from_sorted(5, {1}) == CoordinateSet::from_sorted(5, {2}));
  CHECK_FALSE(CoordinateSet::from_sorted(5, {}) == CoordinateSet::all(5));
}

TEST_CASE("indices that are not strictly ascending or outside are refused") {
  expect_error(
      ErrorCode::invalid_argument,
      [] {
        (void)CoordinateSet::from_sorted(10, {1, 3, 3});
      },
      "ascending", "3");
  expect_error(
      ErrorCode::invalid_argument,
      [] {
        (void)CoordinateSet::from_sorted(10, {4, 2});
      },
      "4 is followed by 2");
  expect_error(
      ErrorCode::invalid_argument,
      [] {
        (void)CoordinateSet::from_sorted(10, {4, 10});
      },
      "coordinate 10", "10 values");
  expect_error(ErrorCode::invalid_argument, [] { (void)CoordinateSet::from_sorted(0, {0}); });
}

TEST_CASE("a dimension that 32-bit coordinates cannot name is refused") {
  CHECK(CoordinateSet::all(0xffffffffULL).size() == 0xffffffffULL);
  expect_error(ErrorCode::invalid_argument, [] { (void)CoordinateSet::all(0x100000000ULL); });
  expect_error(ErrorCode::invalid_argument,
               [] { (void)CoordinateSet::from_sorted(0x100000000ULL, {}); });
}

TEST_CASE("union against std::set") {
  ams::Random random(7);
  for (int round = 0; round < 200; ++round) {
    const std::size_t dimension = random.below(70);
    const auto a = random_subset(dimension, random.uniform(), random);
    const auto b = random_subset(dimension, random.uniform(), random);
    std::set<std::uint32_t> both = a;
    both.insert(b.begin(), b.end());
    CHECK(CoordinateSet::unite(make(dimension, a), make(dimension, b)) == make(dimension, both));
    const auto all = CoordinateSet::all(dimension);
    CHECK(CoordinateSet::unite(all, make(dimension, b)) == all);
    CHECK(CoordinateSet::unite(make(dimension, a), all) == all);
  }
}

TEST_CASE("a union of sets of different dimensions is refused") {
  expect_error(
      ErrorCode::invalid_argument,
      [] { (void)CoordinateSet::unite(CoordinateSet::all(3), CoordinateSet::all(4)); }, "3", "4");
}
