// Decodes hostile snapshots. The decoder and a plain second reading must agree on whether one is
// valid, and what was decoded must be encoded to the same state again.
//
// The first byte chooses how far the input is helped past the digests:
//   0  not at all;
//   1  the rest is the frame of the values; header and digests are made right;
//   2  the rest is the plain content of that frame.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "../core/update_reference.hpp"
#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"

using namespace ams;
using reference::Bytes;

namespace {

constexpr std::size_t dimension = 17;

const std::shared_ptr<const Manifest>& manifest() {
  static const auto value =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{.name = "weight", .shape = {17}}});
  return value;
}

void require(bool condition) {
  if (!condition) std::abort();
}

std::optional<std::vector<float>> read_values(std::span<const std::byte> frame) {
  const auto planes = reference::unpack(frame, 4 * dimension);
  if (!planes || planes->size() != 4 * dimension) return std::nullopt;
  std::vector<float> values;
  for (std::size_t i = 0; i < dimension; ++i) {
    std::uint32_t bits = 0;
    for (std::size_t plane = 4; plane-- > 0;) {
      bits = bits * 256 + std::to_integer<std::uint32_t>((*planes)[plane * dimension + i]);
    }
    values.push_back(std::bit_cast<float>(bits));
    if (!std::isfinite(values.back())) return std::nullopt;
  }
  return values;
}

/// The values of a snapshot; nothing when anything about it is wrong.
std::optional<std::vector<float>> read_snapshot(std::span<const std::byte> bytes) {
  if (bytes.size() < 44 || reference::get(bytes, 0, 8) != 0x0000000153534d41 ||
      reference::get(bytes, 8, 8) != manifest()->digest() || reference::get(bytes, 20, 4) != 0 ||
      reference::get(bytes, 32, 4) != 0 ||
      reference::get(bytes, bytes.size() - 8, 8) != byte_digest(bytes.first(bytes.size() - 8))) {
    return std::nullopt;
  }
  auto values = read_values(bytes.subspan(36, bytes.size() - 44));
  if (!values || parameter_digest(*values) != reference::get(bytes, 24, 8)) return std::nullopt;
  return values;
}

Bytes with_frame(std::span<const std::byte> frame) {
  Bytes bytes(36);
  reference::put(bytes, 0, 8, 0x0000000153534d41);
  reference::put(bytes, 8, 8, manifest()->digest());
  reference::put(bytes, 16, 4, 0xfffffffe);
  if (const auto values = read_values(frame)) {
    reference::put(bytes, 24, 8, parameter_digest(*values));
  }
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  bytes.resize(bytes.size() + 8);
  reference::seal(bytes);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  const Bytes bytes = data[0] == 2   ? with_frame(reference::pack(input))
                      : data[0] == 1 ? with_frame(input)
                                     : Bytes(input.begin(), input.end());
  const auto expected = read_snapshot(bytes);
  try {
    const ModelState state = decode_snapshot(bytes, manifest());
    require(expected.has_value());
    require(std::ranges::equal(state.values(), *expected, {}, std::bit_cast<std::uint32_t, float>,
                               std::bit_cast<std::uint32_t, float>));
    require(state.version().digest == parameter_digest(state.values()));
    const ModelState again = decode_snapshot(encode_snapshot(state), manifest());
    require(again.version() == state.version());
  } catch (const Error&) {
    require(!expected.has_value());
  }
  return 0;
}
