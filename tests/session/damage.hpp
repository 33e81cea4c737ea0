#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "ams/core/bytes.hpp"

/// The payload with one byte changed. Payloads are shared, so a test changes a copy.
inline void damage(ams::Bytes& bytes, std::size_t index, std::byte mask = std::byte{1}) {
  std::vector<std::byte> copy = bytes.to_vector();
  copy.at(index) ^= mask;
  bytes = std::move(copy);
}

/// The payload's first `size` bytes, or as many zeros behind it.
inline void resize(ams::Bytes& bytes, std::size_t size) {
  std::vector<std::byte> copy = bytes.to_vector();
  copy.resize(size);
  bytes = std::move(copy);
}
