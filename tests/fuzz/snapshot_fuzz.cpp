// Decodes hostile snapshots. The decoder and a plain second reading must agree on whether one is
// valid, and what was decoded must be encoded to the same state again.
//
// The first byte chooses how far the input is helped past the digests:
//   0  not at all;
//   1  the rest is the frame of the values; header and digests are made right;
//   2  the rest is the plain content of that frame;
//   3  the rest is codec state, with values of zero: 19 bytes of the tensor and its history, then
//   contexts.

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

constexpr std::size_t contexts = 10 + 3 * 361;
constexpr std::size_t memory_bytes = 10 * contexts + 2;  // and the tensor's fields

/// The digest of a codec state; nothing when it is not valid.
std::optional<Digest> read_codec_state(std::span<const std::byte> frame) {
  const auto state = reference::unpack(frame, memory_bytes + dimension);
  if (!state || state->size() != memory_bytes + dimension) return std::nullopt;
  for (std::size_t c = 0; c < contexts; ++c) {
    if (reference::get(*state, 10 * c + 8, 2) > 512) return std::nullopt;
  }
  const auto exponent = static_cast<std::int8_t>(reference::get(*state, memory_bytes - 2, 1));
  const std::uint64_t flags = reference::get(*state, memory_bytes - 1, 1);
  if (flags > 3 || flags == 2 || exponent < -100 || exponent > 104 ||
      (flags == 0 && exponent != 0)) {
    return std::nullopt;
  }
  const auto history = std::span<const std::byte>(*state).subspan(memory_bytes);
  bool zero = true;
  for (const std::byte h : history) {
    const int byte = std::to_integer<int>(h), size = byte / 2 % 8;
    if (size > 5 || (size == 0 && byte != 0)) return std::nullopt;
    zero &= byte == 0;
  }
  return byte_digest(std::span<const std::byte>(*state).first(memory_bytes)) +
         (zero ? 0 : mix64(byte_digest(history)));
}

/// The values of a snapshot; nothing when anything about it is wrong.
std::optional<std::vector<float>> read_snapshot(std::span<const std::byte> bytes) {
  if (bytes.size() < 44 || reference::get(bytes, 0, 8) != 0x0000000153534d41 ||
      reference::get(bytes, 8, 8) != manifest()->digest() || reference::get(bytes, 20, 4) != 0 ||
      reference::get(bytes, bytes.size() - 8, 8) != byte_digest(bytes.first(bytes.size() - 8))) {
    return std::nullopt;
  }
  const std::uint64_t state_size = reference::get(bytes, 32, 4);
  if (state_size > bytes.size() - 44) return std::nullopt;
  std::optional<Digest> codec_digest = 0;
  if (state_size != 0) codec_digest = read_codec_state(bytes.subspan(36, state_size));
  auto values = read_values(bytes.subspan(36 + state_size, bytes.size() - 44 - state_size));
  if (!values || !codec_digest ||
      parameter_digest(*values) + *codec_digest != reference::get(bytes, 24, 8)) {
    return std::nullopt;
  }
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

Bytes with_codec_state(std::span<const std::byte> input) {
  Bytes state;
  for (std::size_t c = 0; c < contexts; ++c) {
    state.resize(state.size() + 10);
    reference::put(state, 10 * c, 4, 0x80000000);
    reference::put(state, 10 * c + 4, 4, 0x80000000);
  }
  state.resize(memory_bytes + dimension);
  for (std::size_t i = 0; i < std::min(input.size(), state.size()); ++i) {
    state[i < 2 + dimension ? 10 * contexts + i : i - 2 - dimension] = input[i];
  }
  const Bytes frame = reference::pack(state);
  Bytes bytes = with_frame(reference::pack(Bytes(4 * dimension)));
  bytes.insert(bytes.begin() + 36, frame.begin(), frame.end());
  reference::put(bytes, 32, 4, frame.size());
  reference::put(
      bytes, 24, 8,
      parameter_digest(std::vector<float>(dimension)) + read_codec_state(frame).value_or(0));
  reference::seal(bytes);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  const Bytes bytes = data[0] == 3   ? with_codec_state(input)
                      : data[0] == 2 ? with_frame(reference::pack(input))
                      : data[0] == 1 ? with_frame(input)
                                     : Bytes(input.begin(), input.end());
  const auto expected = read_snapshot(bytes);
  try {
    const ModelState state = decode_snapshot(bytes, manifest());
    require(expected.has_value());
    require(std::ranges::equal(state.values(), *expected, {}, std::bit_cast<std::uint32_t, float>,
                               std::bit_cast<std::uint32_t, float>));
    require(state.version().digest == reference::get(bytes, 24, 8));
    const ModelState again = decode_snapshot(encode_snapshot(state), manifest());
    require(again.version() == state.version());
  } catch (const Error&) {
    require(!expected.has_value());
  }
  return 0;
}
