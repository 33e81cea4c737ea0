#include "ams/core/coordinate_choice.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "coordinates_reference.hpp"
#include "expect_error.hpp"

using ams::CoordinateSet;
using ams::ErrorCode;
using ams::Random;
using ams::test::expect_error;
using ams::test::listed;
using ams::test::sorted_choice;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float denormal = std::numeric_limits<float>::denorm_min();

void check_choice(const std::vector<float>& u, std::size_t count) {
  const auto chosen = ams::largest_by_magnitude(u, count);
  CAPTURE(u.size());
  CAPTURE(count);
  CHECK(chosen.dimension() == u.size());
  CHECK(chosen.size() == count);
  CHECK(listed(chosen) == sorted_choice(u, count));
}

}  // namespace

TEST_CASE("largest magnitudes against a stable sort") {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const std::size_t n = 1 + random.below(400);
    std::vector<float> u(n);
    const int kind = round % 5;
    for (float& x : u) {
      const double noise = 2 * random.uniform() - 1;
      x = static_cast<float>(kind == 0   ? noise
                             : kind == 1 ? std::ldexp(noise, -static_cast<int>(random.below(150)))
                             : kind == 2 ? std::round(3 * noise)  // ties, and both zeros
                             : kind == 3 ? 1 + 1e-6 * noise       // all in one coarse bin
                                         : noise * noise * noise * 1e-3);
    }
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, n / 20, n / 2, n - 1, n}) {
      check_choice(u, count);
    }
  }
}

TEST_CASE("largest magnitudes of any bit pattern") {
  Random random(2);
  for (int round = 0; round < 100; ++round) {
    std::vector<float> u(1 + random.below(300));
    for (float& x : u) x = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
    check_choice(u, random.below(u.size() + 1));
  }
}

TEST_CASE("among equals the lower index wins") {
  const std::vector<float> u = {1, -2, 2, 0, -1, 1, 2};
  CHECK(listed(ams::largest_by_magnitude(u, 2)) == std::vector<std::uint32_t>{1, 2});
  CHECK(listed(ams::largest_by_magnitude(u, 3)) == std::vector<std::uint32_t>{1, 2, 6});
  CHECK(listed(ams::largest_by_magnitude(u, 5)) == std::vector<std::uint32_t>{0, 1, 2, 4, 6});
  const std::vector<float> zeros = {0.0F, -0.0F, 0.0F, -0.0F};
  CHECK(listed(ams::largest_by_magnitude(zeros, 2)) == std::vector<std::uint32_t>{0, 1});
  const std::vector<float> equal(5000, -0.25F);
  const auto chosen = listed(ams::largest_by_magnitude(equal, 4321));
  CHECK(chosen.size() == 4321);
  CHECK(chosen.back() == 4320);
}

TEST_CASE("denormals, infinities and values that are not numbers have their rank") {
  const std::vector<float> u = {0.0F,  denormal,     -2 * denormal, 1e-38F,        infinity,
                                3e38F, not_a_number, -infinity,     -not_a_number, -denormal};
  for (std::size_t count = 0; count <= u.size(); ++count) check_choice(u, count);
  const auto signalling = std::bit_cast<float>(0x7f800001U);
  const std::vector<float> payloads = {1, signalling, not_a_number, std::bit_cast<float>(~0U),
                                       infinity};
  CHECK(listed(ams::largest_by_magnitude(payloads, 2)) == std::vector<std::uint32_t>{1, 2});
  CHECK(listed(ams::largest_by_magnitude(payloads, 4)) == std::vector<std::uint32_t>{1, 2, 3, 4});
}

TEST_CASE("a choice from nothing, and of too many") {
  CHECK(ams::largest_by_magnitude({}, 0) == CoordinateSet());
  expect_error(
      ErrorCode::invalid_argument,
      [] { (void)ams::largest_by_magnitude(std::vector<float>(3), 4); }, "4 of 3");
  Random random(1);
  CHECK(ams::random_coordinates(0, 0, random) == CoordinateSet());
  expect_error(
      ErrorCode::invalid_argument, [&] { (void)ams::random_coordinates(3, 4, random); }, "4 of 3");
}

TEST_CASE("random coordinates: every subset is equally likely") {
  Random random(3);
  std::map<std::vector<std::uint32_t>, int> seen;
  constexpr int draws = 30000;
  for (int i = 0; i < draws; ++i) {
    const auto set = ams::random_coordinates(6, 3, random);
    REQUIRE(set.dimension() == 6);
    REQUIRE(set.size() == 3);
    ++seen[listed(set)];
  }
  CHECK(seen.size() == 20);
  double chi_square = 0;
  for (const auto& [subset, n] : seen) chi_square += std::pow(n - draws / 20.0, 2) / (draws / 20.0);
  CHECK(chi_square < 43.8);  // 19 degrees of freedom: exceeded with probability 0.001
}

TEST_CASE("random coordinates of every count") {
  Random random(4);
  for (std::size_t count = 0; count <= 130; ++count) {
    const auto set = ams::random_coordinates(130, count, random);
    CHECK(set.size() == count);
    CHECK(set.dimension() == 130);
  }
  Random a(5), b(5), c(6);
  const auto set = ams::random_coordinates(1000, 50, a);
  CHECK(set == ams::random_coordinates(1000, 50, b));
  CHECK_FALSE(set == ams::random_coordinates(1000, 50, c));
}

TEST_CASE("a fraction is rounded to nearest, and at least one") {
  CHECK(ams::fraction_count(0.05, 2113043) == 105652);
  CHECK(ams::fraction_count(0.01, 2113043) == 21130);
  CHECK(ams::fraction_count(0.5, 3) == 2);
  CHECK(ams::fraction_count(0.5, 5) == 3);
  CHECK(ams::fraction_count(1e-9, 1000) == 1);
  CHECK(ams::fraction_count(1.0, 1000) == 1000);
  CHECK(ams::fraction_count(1.0, 0xffffffffULL) == 0xffffffffULL);
  CHECK(ams::fraction_count(0.5, 0) == 0);
  for (const double bad : {0.0, -0.1, 1.0001, std::numeric_limits<double>::quiet_NaN()}) {
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)ams::fraction_count(bad, 10); }, "gamma");
  }
}
