#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <vector>

namespace ams::detail {

/// Little-endian integers in byte strings, on hosts of either byte order.
template <std::unsigned_integral T>
constexpr T to_little_endian(T value) noexcept {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else {
    T swapped = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      swapped = static_cast<T>((swapped << 8) | (value & 0xff));
      value = static_cast<T>(value >> 8);
    }
    return swapped;
  }
}

/// Reads sizeof(T) bytes at `from`, which need not be aligned.
template <std::unsigned_integral T>
T load_le(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return to_little_endian(value);
}

/// Writes sizeof(T) bytes at `to`, which need not be aligned.
template <std::unsigned_integral T>
void store_le(std::byte* to, T value) noexcept {
  value = to_little_endian(value);
  std::memcpy(to, &value, sizeof(T));
}

template <std::unsigned_integral T>
void append_le(std::vector<std::byte>& bytes, T value) {
  bytes.resize(bytes.size() + sizeof(T));
  store_le(bytes.data() + bytes.size() - sizeof(T), value);
}

}  // namespace ams::detail
