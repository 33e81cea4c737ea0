#include "ams/core/digest.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ams {
namespace {

/// Up to 8 bytes as a little-endian number, on any machine.
std::uint64_t load_word(const std::byte* bytes, std::size_t count) noexcept {
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

}  // namespace

Digest parameter_digest(std::span<const float> values) noexcept {
  Digest sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += coordinate_digest(static_cast<std::uint32_t>(i), values[i]);
  }
  return sum;
}

Digest byte_digest(std::span<const std::byte> bytes) noexcept {
  Digest state = mix64(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    state =
        mix64(state ^ load_word(bytes.data() + at, std::min<std::size_t>(8, bytes.size() - at)));
  }
  return state;
}

}  // namespace ams
