#include "ams/core/digest.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <vector>

#include "ams/core/random.hpp"

using ams::byte_digest;
using ams::Digest;
using ams::mix64;
using ams::parameter_digest;

namespace {

/// The definition in digest.hpp, a byte at a time.
Digest plain_byte_digest(const std::vector<std::byte>& bytes) {
  Digest state = mix64(bytes.size());
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word += static_cast<std::uint64_t>(bytes[i]) << (8 * (i % 8));
    if (i % 8 == 7 || i + 1 == bytes.size()) {
      state = mix64(state ^ word);
      word = 0;
    }
  }
  return state;
}

std::vector<std::byte> random_bytes(std::size_t size, ams::Random& random) {
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.below(256));
  return bytes;
}

}  // namespace

TEST_CASE("mix64 is splitmix64's published sequence") {
  constexpr std::uint64_t step = 0x9e3779b97f4a7c15ULL;
  CHECK(mix64(0 * step) == 0xe220a8397b1dcdafULL);
  CHECK(mix64(1 * step) == 0x6e789e6aa1b965f4ULL);
  CHECK(mix64(2 * step) == 0x06c45d188009454fULL);
}

TEST_CASE("a parameter digest is the sum of its coordinates' parts") {
  ams::Random random(1);
  std::vector<float> values(1000);
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
  Digest sum = 0;
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &values[i], 4);
    sum += mix64(std::uint64_t{i} * 0x100000000ULL + bits);
  }
  CHECK(parameter_digest(values) == sum);
  CHECK(parameter_digest({}) == 0);

  SUBCASE("so that it follows a change of one value") {
    const Digest moved =
        sum - ams::coordinate_digest(17, values[17]) + ams::coordinate_digest(17, 0.25F);
    values[17] = 0.25F;
    CHECK(parameter_digest(values) == moved);
  }
  SUBCASE("and sees an exchange of two values") {
    std::swap(values[3], values[4]);
    CHECK(parameter_digest(values) != sum);
  }
  SUBCASE("and sees the sign of zero") {
    CHECK(ams::coordinate_digest(5, 0.0F) != ams::coordinate_digest(5, -0.0F));
  }
}

TEST_CASE("byte digests against the definition, a byte at a time") {
  ams::Random random(2);
  for (std::size_t size = 0; size < 70; ++size) {
    const auto bytes = random_bytes(size, random);
    CHECK(byte_digest(bytes) == plain_byte_digest(bytes));
  }
}

TEST_CASE("digests are pinned: other machines and versions must agree") {
  const std::vector<float> values = {0.0F, 1.0F, -2.5F, 1e-40F};
  const char text[] = "adaptive model streaming";
  CHECK(parameter_digest(values) == 0x4b2d41f05f9fbbc4ULL);
  CHECK(byte_digest(std::as_bytes(std::span(text, sizeof text - 1))) == 0x7cdbb63c8af8cf56ULL);
  CHECK(byte_digest({}) == 0xe220a8397b1dcdafULL);
}

TEST_CASE("a byte digest sees every flipped bit, every order and every length") {
  ams::Random random(3);
  auto bytes = random_bytes(40, random);
  std::set<Digest> seen = {byte_digest(bytes)};
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto flip = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= flip;
    seen.insert(byte_digest(bytes));
    bytes[bit / 8] ^= flip;
  }
  CHECK(seen.size() == bytes.size() * 8 + 1);

  // Zeros at the end fill the last word up, so that only the length tells these apart.
  std::set<Digest> lengths;
  for (std::size_t size = 0; size < 33; ++size) {
    lengths.insert(byte_digest(std::vector<std::byte>(size)));
  }
  CHECK(lengths.size() == 33);
}
