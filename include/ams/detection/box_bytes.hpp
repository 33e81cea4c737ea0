#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/detection/box.hpp"

namespace ams {

namespace detail {

constexpr std::size_t packed_box_bytes = 22;

}  // namespace detail

/// A set of boxes as bytes: each box as left, top, right, bottom and score, IEEE 754 floats, and
/// its class, two bytes; all little-endian. The set must be valid (check_boxes).
inline std::vector<std::byte> pack_boxes(const BoxSet& set) {
  std::vector<std::byte> bytes;
  bytes.reserve(set.boxes.size() * detail::packed_box_bytes);
  for (const Box& box : set.boxes) {
    for (const float value : {box.left, box.top, box.right, box.bottom, box.score})
      detail::append_le(bytes, std::bit_cast<std::uint32_t>(value));
    detail::append_le(bytes, box.class_id);
  }
  return bytes;
}

/// The set that pack_boxes() wrote. Bytes of a disk may be damaged: throws Error(malformed_data)
/// for what is no valid set of `class_count` classes.
inline BoxSet unpack_boxes(std::span<const std::byte> bytes, std::size_t class_count) {
  if (bytes.size() % detail::packed_box_bytes != 0 ||
      bytes.size() / detail::packed_box_bytes > BoxSet::max_boxes) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes are no set of boxes; {} are needed for each of at most {}",
                            bytes.size(), detail::packed_box_bytes, BoxSet::max_boxes));
  }
  BoxSet set;
  for (const std::byte* at = bytes.data();
       set.boxes.size() * detail::packed_box_bytes < bytes.size(); at += detail::packed_box_bytes) {
    const auto value = [at](std::size_t i) {
      return std::bit_cast<float>(detail::load_le<std::uint32_t>(at + 4 * i));
    };
    set.boxes.push_back({value(0), value(1), value(2), value(3),
                         detail::load_le<std::uint16_t>(at + 20), value(4)});
  }
  try {
    check_boxes(set, class_count, "a stored label");
  } catch (const Error& error) {
    throw Error(ErrorCode::malformed_data, error.what());
  }
  return set;
}

}  // namespace ams
