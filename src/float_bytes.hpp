#pragma once

// For the sources of the rooms with student bundles. Private to libams.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ams/core/codec/byte_io.hpp"

namespace ams {

/// Writes the values little-endian, 4 bytes each, as the networks of a bundle have them.
inline void store_floats(std::span<const float> values, std::byte* to) {
  if constexpr (std::endian::native == std::endian::little) {
    if (!values.empty()) std::memcpy(to, values.data(), values.size_bytes());
  } else {
    for (const float value : values) {
      detail::store_le(to, std::bit_cast<std::uint32_t>(value));
      to += sizeof(float);
    }
  }
}

}  // namespace ams
