#pragma once

#include <zstd.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"

/// A second reading of docs/format.md: slow, plain, and sharing nothing with the codec but the
/// digests.
namespace ams::reference {

using Bytes = std::vector<std::byte>;

inline std::uint64_t get(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i) {
    number += std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
  }
  return number;
}

inline void put(Bytes& bytes, std::size_t at, std::size_t size, std::uint64_t number) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<std::byte>((number >> (8 * i)) & 0xff);
  }
}

/// Gives changed bytes the checksum that belongs to them.
inline void seal(Bytes& bytes) {
  const std::size_t end = bytes.size() - 8;
  put(bytes, end, 8, byte_digest(std::span<const std::byte>(bytes).first(end)));
}

/// The value of an IEEE 754 binary16 number, from its definition.
inline double half_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) {
    return fraction ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

/// The binary16 number nearest to a finite value, ties to the even one: found by bisection.
inline std::uint16_t nearest_half(float value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude >= 65520) return sign | 0x7c00;
  std::uint16_t low = 0, high = 0x7c00;  // half_value(low) <= magnitude < what `high` stands for
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (half_value(middle) <= magnitude ? low : high) = middle;
  }
  const double above = high == 0x7c00 ? 65536 : half_value(high);
  const double down = magnitude - half_value(low);
  const double up = above - magnitude;
  if (down < up || (down == up && low % 2 == 0)) return sign | low;
  return sign | high;
}

/// The content of a frame, if the bytes are one whole Zstandard frame that states its content size,
/// and that size is at most `limit`.
inline std::optional<Bytes> unpack(std::span<const std::byte> frame, std::size_t limit) {
  if (frame.size() < 4 || get(frame, 0, 4) != 0xfd2fb528) return std::nullopt;
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) return std::nullopt;
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size > limit) return std::nullopt;  // the two error values are the largest numbers
  Bytes content(size);
  if (ZSTD_decompress(content.data(), content.size(), frame.data(), frame.size()) != size) {
    return std::nullopt;
  }
  return content;
}

/// A body of its parts.
inline Bytes join_body(int form, std::span<const std::byte> places,
                       std::span<const std::byte> highs, std::span<const std::byte> lows,
                       std::span<const std::byte> wide = {}) {
  Bytes body(9);
  body[0] = static_cast<std::byte>(form);
  put(body, 1, 4, places.size());
  put(body, 5, 4, highs.size());
  for (const auto& part : {places, highs, lows, wide}) {
    body.insert(body.end(), part.begin(), part.end());
  }
  return body;
}

inline Bytes pack(std::span<const std::byte> content, int level = 1) {
  Bytes frame(ZSTD_compressBound(content.size()));
  frame.resize(ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), level));
  return frame;
}

/// The indices that a form of places names, ascending; nothing when it is not valid.
inline std::optional<std::vector<std::uint32_t>> read_places(int form, const Bytes& content,
                                                             std::size_t count, std::size_t n) {
  std::vector<std::uint32_t> indices;
  if (form == 1) {
    if (content.size() != (n + 7) / 8) return std::nullopt;
    for (std::size_t i = 0; i < 8 * content.size(); ++i) {
      if (((std::to_integer<int>(content[i / 8]) >> (i % 8)) & 1) == 0) continue;
      if (i >= n) return std::nullopt;
      indices.push_back(static_cast<std::uint32_t>(i));
    }
  } else if (form == 2) {
    std::uint64_t zeros = 0, next = 0;
    bool open = false;
    for (const std::byte byte : content) {
      open = byte == std::byte{255};
      zeros += std::to_integer<std::uint64_t>(byte);
      if (open) continue;
      next += zeros;
      zeros = 0;
      if (next >= n) return std::nullopt;
      indices.push_back(static_cast<std::uint32_t>(next++));
    }
    if (open) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (indices.size() != count) return std::nullopt;
  return indices;
}

/// The changes that the body of an update names, index to value; nothing when it is not valid.
inline std::optional<std::map<std::uint32_t, float>> read_body(std::span<const std::byte> body,
                                                               std::size_t count, std::size_t n) {
  if (count > n || body.size() < 9) return std::nullopt;
  const int form = std::to_integer<int>(body[0]);
  const std::uint64_t places_size = get(body, 1, 4);
  const std::uint64_t highs_size = get(body, 5, 4);
  if (body.size() < 9 + places_size + highs_size + count) return std::nullopt;
  const auto places = body.subspan(9, places_size);
  const auto highs_frame = body.subspan(9 + places_size, highs_size);
  const auto lows = body.subspan(9 + places_size + highs_size, count);
  const auto wide = body.subspan(9 + places_size + highs_size + count);

  std::vector<std::uint32_t> indices;
  if (count == 0 || count == n) {
    if (form != 0 || places_size != 0) return std::nullopt;
    for (std::size_t i = 0; i < count; ++i) indices.push_back(static_cast<std::uint32_t>(i));
  } else {
    const auto content = unpack(places, n + 8);
    if (!content) return std::nullopt;
    const auto read = read_places(form, *content, count, n);
    if (!read) return std::nullopt;
    indices = *read;
  }

  Bytes highs;
  if (count == 0) {
    if (highs_size != 0) return std::nullopt;
  } else {
    const auto content = unpack(highs_frame, n);
    if (!content || content->size() != count) return std::nullopt;
    highs = *content;
  }
  std::map<std::uint32_t, float> changes;
  std::size_t at = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint64_t half = get(highs, j, 1) * 256 + get(lows, j, 1);
    double value = half_value(static_cast<std::uint16_t>(half));
    if (half == 0x7c00) {
      if (wide.size() < at + 4) return std::nullopt;
      value = std::bit_cast<float>(static_cast<std::uint32_t>(get(wide, at, 4)));
      at += 4;
      if (std::isfinite(value) && std::fabs(value) < 65520) return std::nullopt;
    }
    if (!std::isfinite(value)) return std::nullopt;
    changes[indices[j]] = static_cast<float>(value);
  }
  if (at != wide.size()) return std::nullopt;
  return changes;
}

/// The changes of a whole update of profile `reference` that follows `held`; nothing when anything
/// about it is wrong. `codec_digest`: of what profile `compact` has learned before.
inline std::optional<std::map<std::uint32_t, float>> read_update(std::span<const std::byte> bytes,
                                                                 const ModelState& held,
                                                                 Digest codec_digest = 0) {
  if (bytes.size() < 52 || get(bytes, 0, 4) != 0x55534d41 || get(bytes, 4, 4) != 0x00000101 ||
      get(bytes, 8, 8) != held.manifest().digest() || get(bytes, 16, 4) != held.version().number ||
      get(bytes, 20, 4) != get(bytes, 16, 4) + 1 || get(bytes, 24, 8) != held.version().digest ||
      get(bytes, bytes.size() - 8, 8) != byte_digest(bytes.first(bytes.size() - 8))) {
    return std::nullopt;
  }
  const auto changes = read_body(bytes.subspan(44, bytes.size() - 52), get(bytes, 40, 4),
                                 held.manifest().dimension());
  if (!changes) return std::nullopt;
  std::vector<float> values(held.values().begin(), held.values().end());
  for (const auto& [index, value] : *changes) values[index] = value;
  if (get(bytes, 32, 8) != parameter_digest(values) + codec_digest) return std::nullopt;
  return changes;
}

}  // namespace ams::reference
