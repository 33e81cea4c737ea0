#include "ams/core/random.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

using ams::Random;

namespace {

/// Sum of (seen - expected)^2 / expected over equally likely cells.
double chi_square(const std::vector<int>& seen, double expected) {
  double sum = 0;
  for (const int n : seen) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

}  // namespace

TEST_CASE("the engine is the standard's mt19937_64") {
  Random random(5489);  // std::mt19937_64::default_seed; the standard names its 10000th number
  std::uint64_t last = 0;
  for (int i = 0; i < 10000; ++i) last = random.next();
  CHECK(last == 9981545732273789042ULL);
}

TEST_CASE("seeds name sequences") {
  Random a(1), b(1), c(2);
  const auto first = a.next();
  CHECK(b.next() == first);
  CHECK(c.next() != first);
  Random copy = a;
  CHECK(copy.next() == a.next());
}

TEST_CASE("below() takes the high half of a product of 128 bits") {
  // The same by schoolbook multiplication of 32-bit halves.
  Random random(3), raw(3);
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t bound = (std::uint64_t{1} << (1 + i % 40)) + static_cast<std::uint64_t>(i);
    const std::uint64_t x = raw.next();
    const std::uint64_t xh = x >> 32, xl = x & 0xffffffffU, bh = bound >> 32,
                        bl = bound & 0xffffffffU;
    const std::uint64_t middle = (xl * bl >> 32) + (xh * bl & 0xffffffffU) + xl * bh;
    const std::uint64_t high = xh * bh + (xh * bl >> 32) + (middle >> 32);
    CHECK(random.below(bound) == high);  // no rejection among these: it is as rare as bound / 2^64
  }
}

TEST_CASE("below() stays below, and reaches every value") {
  Random random(4);
  for (const std::uint64_t bound : {1ULL, 2ULL, 3ULL, 10ULL}) {
    std::vector<int> seen(bound);
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t value = random.below(bound);
      REQUIRE(value < bound);
      ++seen[value];
    }
    for (const int n : seen) CHECK(n > 0);
  }
  for (int i = 0; i < 1000; ++i) CHECK(random.below(~0ULL) < ~0ULL);
}

TEST_CASE("below() is uniform where a plain product would not be") {
  // With a bound of 3/4 of 2^64, the multiply alone would give one value in three twice as often.
  constexpr std::uint64_t bound = 3ULL << 62;
  Random random(5);
  std::vector<int> seen(3);
  std::vector<int> residues(3);
  constexpr int draws = 30000;
  for (int i = 0; i < draws; ++i) {
    const std::uint64_t value = random.below(bound);
    REQUIRE(value < bound);
    ++seen[value >> 62];
    ++residues[value % 3];
  }
  // 2 degrees of freedom: 13.8 is exceeded with probability 0.001; the biased product gives
  // thousands.
  CHECK(chi_square(seen, draws / 3.0) < 13.8);
  CHECK(chi_square(residues, draws / 3.0) < 13.8);
}

TEST_CASE("uniform() is the high 53 bits, in [0, 1)") {
  Random random(6), raw(6);
  std::vector<int> seen(64);
  constexpr int draws = 64000;
  for (int i = 0; i < draws; ++i) {
    const double value = random.uniform();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    CHECK(value * 9007199254740992.0 == static_cast<double>(raw.next() / 2048));
    ++seen[static_cast<std::size_t>(value * 64)];
  }
  CHECK(chi_square(seen, draws / 64.0) < 103.4);  // 63 degrees of freedom, probability 0.001
}

TEST_CASE("draws are pinned: other machines and versions must agree") {
  Random random(42);
  std::array<std::uint64_t, 6> draws{};
  for (auto& draw : draws) draw = random.below(1000);
  CHECK(draws == std::array<std::uint64_t, 6>{755, 639, 752, 136, 903, 94});
}
