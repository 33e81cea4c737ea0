#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ams {

/// 64-bit digest. It detects corruption and mismatch; it is not a signature (TLS authenticates the
/// link).
using Digest = std::uint64_t;

/// The splitmix64 finaliser (Steele et al., OOPSLA 2014): a bijection whose output bits all depend
/// on all input bits.
constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The part of one coordinate in the digest of a parameter vector.
constexpr Digest coordinate_digest(std::uint32_t index, float value) noexcept {
  return mix64((std::uint64_t{index} << 32) | std::bit_cast<std::uint32_t>(value));
}

/// Digest of a parameter vector: the sum modulo 2^64 of its coordinates' parts. Because it is a
/// sum, changing k coordinates changes it in O(k): subtract the old parts, add the new ones. An
/// update can therefore be proven right before a single value is written.
Digest parameter_digest(std::span<const float> values) noexcept;

/// Digest of a byte string (order-dependent): used for manifests. With the bytes as little-endian
/// 64-bit words w_1 to w_k, the last one filled up with zeros: d_0 = mix64(number of bytes), d_i =
/// mix64(d_(i-1) xor w_i), and d_k is the digest.
Digest byte_digest(std::span<const std::byte> bytes) noexcept;

namespace detail::digest {

/// Up to 8 bytes as a little-endian number, on any machine.
inline std::uint64_t load_word(const std::byte* bytes, std::size_t count) noexcept {
  std::uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, bytes, count);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      word |= std::uint64_t{std::to_integer<std::uint8_t>(bytes[i])} << (8 * i);
    }
  }
  return word;
}

}  // namespace detail::digest

inline Digest parameter_digest(std::span<const float> values) noexcept {
  Digest sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += coordinate_digest(static_cast<std::uint32_t>(i), values[i]);
  }
  return sum;
}

inline Digest byte_digest(std::span<const std::byte> bytes) noexcept {
  Digest state = mix64(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    state = mix64(state ^ detail::digest::load_word(bytes.data() + at,
                                                    std::min<std::size_t>(8, bytes.size() - at)));
  }
  return state;
}

}  // namespace ams
