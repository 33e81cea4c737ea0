// Applies hostile updates of profile `compact` to a state that has learned from a few honest ones.
// Whatever comes, the codec and a plain second reading must agree on whether it is valid and on
// what it leads to, and a refused update must leave no trace.
//
// The first byte chooses how far the input is helped past the proof, which no mutation would ever
// match:
//   0  not at all;
//   1  the rest is a body; header and proof are made right;
//   2  the rest is what a server wants: one byte a coordinate, its steps; it must arrive.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "../core/compact_reference.hpp"
#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"

using namespace ams;
using reference::Bytes;
using reference::CompactDevice;

namespace {

constexpr std::size_t dimension = 60 + 8 + 8 + 5;

EncodeOptions options(int exponent) {
  EncodeOptions encode;
  encode.profile = UpdateProfile::compact;
  encode.compact.step_exponent = exponent;
  return encode;
}

struct Held {
  ModelState state;
  CompactDevice reader;
};

/// A device after three updates.
const Held& held() {
  static const Held value = [] {
    const auto manifest = std::make_shared<const Manifest>(
        std::vector<TensorSpec>{{.name = "weight", .shape = {6, 10}},
                                {.name = "scale", .shape = {8}},
                                {.name = "shift", .shape = {8}},
                                {.name = "mean", .shape = {5}, .kind = TensorKind::statistic}});
    std::vector<float> values(dimension);
    for (std::size_t i = 0; i < dimension; ++i) {
      values[i] = static_cast<float>(mix64(i) >> 50) * 0x1p-14F;
    }
    Held device{ModelState(manifest, values, 7), CompactDevice(*manifest)};
    for (int update = 0; update < 3; ++update) {
      for (std::size_t i = 0; i < dimension; ++i) {
        values[i] += static_cast<float>(static_cast<int>(mix64(i + 100) % 7) - 3) * 0x1p-6F;
      }
      const ModelState before = device.state;
      Bytes bytes = encode_update(device.state, values, CoordinateSet::all(dimension), options(-6));
      if (!device.reader.read_update(bytes, before)) std::abort();
    }
    return device;
  }();
  return value;
}

void require(bool condition) {
  if (!condition) std::abort();
}

bool same_values(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(a, b, {}, std::bit_cast<std::uint32_t, float>,
                            std::bit_cast<std::uint32_t, float>);
}

/// Makes everything right but the body.
void make_right(Bytes& bytes) {
  const ModelVersion version = held().state.version();
  reference::put(bytes, 0, 4, 0x55534d41);
  reference::put(bytes, 4, 2, 0x0201);
  reference::put(bytes, 6, 4, version.number);
  reference::put(bytes, 10, 4,
                 mix64(held().state.manifest().digest() ^ version.digest) & 0xffffffff);
  CompactDevice reader = held().reader;
  reader.read_update(bytes, held().state, true);
}

/// An update to the steps that the input names.
Bytes wanted(std::span<const std::byte> input) {
  ModelState server = held().state;
  std::vector<float> trained(server.values().begin(), server.values().end());
  for (std::size_t i = 0; i < std::min(input.size(), dimension); ++i) {
    const auto steps = std::to_integer<int>(input[i]) - 128;
    trained[i] += static_cast<float>(steps) * 0x1p-8F;
  }
  Bytes bytes = encode_update(server, trained, CoordinateSet::all(dimension), options(-8));
  ModelState device = held().state;
  apply_update(bytes, device);
  require(same_values(device.values(), server.values()) && device.version() == server.version());
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  Bytes bytes;
  if (data[0] == 2) {
    bytes = wanted(input);
  } else if (data[0] == 1) {
    bytes.resize(14);
    bytes.insert(bytes.end(), input.begin(), input.end());
    bytes.resize(bytes.size() + 8);
    make_right(bytes);
  } else {
    bytes.assign(input.begin(), input.end());
  }

  ModelState state = held().state;
  CompactDevice reader = held().reader;
  std::optional<std::map<std::uint32_t, float>> expected;
  if (bytes.size() >= 22) expected = reader.read_update(bytes, state);
  bool applied = true;
  try {
    const UpdateInfo info = apply_update(bytes, state);
    require(info.base == held().state.version() && info.next == state.version());
    require(inspect_update(bytes).next.number == state.version().number);
  } catch (const Error&) {
    applied = false;
    try {
      inspect_update(bytes);
    } catch (const Error&) {
    }
  }
  require(data[0] != 2 || applied);
  require(applied == expected.has_value());
  if (applied) {
    std::vector<float> values(held().state.values().begin(), held().state.values().end());
    for (const auto& [index, value] : *expected) values[index] = value;
    require(same_values(state.values(), values));
    require(state.version().digest == parameter_digest(values) + reader.digest());
    require(decode_snapshot(encode_snapshot(state), state.manifest_ptr()).version() ==
            state.version());
  } else {
    require(same_values(state.values(), held().state.values()));
    require(state.version() == held().state.version());
  }
  return 0;
}
