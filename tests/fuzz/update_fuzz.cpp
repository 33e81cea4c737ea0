// Applies hostile updates to a state. Whatever comes, the codec and a plain second reading must
// agree on whether it is valid and on what it leads to, and a refused update must leave no trace.
//
// The first byte chooses how far the input is helped past the digests, which no mutation would ever
// match:
//   0  not at all;
//   1  the rest is an update whose header and digests are made right;
//   2  the rest is: u8 form of the places, u16 number of values, u8 size of the plain places, the
//   plain
//      places (compressed here), for each value a high and a low byte, float32 values.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "../core/update_reference.hpp"
#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"

using namespace ams;
using reference::Bytes;

namespace {

constexpr std::size_t dimension = 1003;  // not a multiple of eight, and more than one run of 255

const ModelState& held() {
  static const ModelState state = [] {
    const auto manifest = std::make_shared<const Manifest>(std::vector<TensorSpec>{
        {.name = "weight", .shape = {10, 100}},
        {.name = "running_var", .shape = {3}, .kind = TensorKind::statistic}});
    std::vector<float> values(dimension);
    for (std::size_t i = 0; i < dimension; ++i) {
      values[i] = static_cast<float>(mix64(i) >> 50) * 0x1p-14F;
    }
    return ModelState(manifest, std::move(values), 7);
  }();
  return state;
}

void require(bool condition) {
  if (!condition) std::abort();
}

bool same_values(std::span<const float> a, std::span<const float> b) {
  return std::ranges::equal(a, b, {}, std::bit_cast<std::uint32_t, float>,
                            std::bit_cast<std::uint32_t, float>);
}

/// The values after the changes.
std::vector<float> changed(const std::map<std::uint32_t, float>& changes) {
  std::vector<float> values(held().values().begin(), held().values().end());
  for (const auto& [index, value] : changes) values[index] = value;
  return values;
}

/// Makes everything right but the body and the number of its values.
void make_right(Bytes& bytes) {
  if (bytes.size() < 52) bytes.resize(52);
  reference::put(bytes, 0, 4, 0x55534d41);
  reference::put(bytes, 4, 4, 0x00000101);
  reference::put(bytes, 8, 8, held().manifest().digest());
  reference::put(bytes, 16, 4, held().version().number);
  reference::put(bytes, 20, 4, held().version().number + 1);
  reference::put(bytes, 24, 8, held().version().digest);
  const auto body = std::span<const std::byte>(bytes).subspan(44, bytes.size() - 52);
  if (const auto changes = reference::read_body(body, reference::get(bytes, 40, 4), dimension)) {
    reference::put(bytes, 32, 8, parameter_digest(changed(*changes)));
  }
  reference::seal(bytes);
}

Bytes from_parts(std::span<const std::byte> input) {
  Bytes bytes(44);
  if (input.size() < 4) return bytes;
  const std::size_t count = reference::get(input, 1, 2);
  reference::put(bytes, 40, 4, count);
  auto rest = input.subspan(4);
  const auto take = [&](std::size_t size) {  // what the input does not bring is zero
    const std::size_t given = std::min(size, rest.size());
    Bytes part(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(given));
    part.resize(size);
    rest = rest.subspan(given);
    return part;
  };
  const Bytes places = take(reference::get(input, 3, 1));
  const Bytes halves = take(2 * std::min(count, dimension + 1));
  Bytes highs, lows;
  for (std::size_t i = 0; i < halves.size(); i += 2) {
    highs.push_back(halves[i]);
    lows.push_back(halves[i + 1]);
  }
  const Bytes body = reference::join_body(
      std::to_integer<int>(input[0]), input[0] == std::byte{0} ? Bytes{} : reference::pack(places),
      count == 0 ? Bytes{} : reference::pack(highs), lows, rest);
  bytes.insert(bytes.end(), body.begin(), body.end());
  bytes.resize(bytes.size() + 8);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  Bytes bytes;
  if (data[0] == 2) {
    bytes = from_parts(input);
    make_right(bytes);
  } else {
    bytes.assign(input.begin(), input.end());
    if (data[0] == 1) make_right(bytes);
  }

  ModelState state = held();
  const auto expected = reference::read_update(bytes, state);
  bool applied = true;
  try {
    const UpdateInfo info = apply_update(bytes, state);
    require(info.base == held().version() && info.next == state.version());
    require(inspect_update(bytes).next == state.version());
  } catch (const Error&) {
    applied = false;
    try {
      inspect_update(bytes);
    } catch (const Error&) {
    }
  }
  require(applied == expected.has_value());
  if (applied) {
    require(same_values(state.values(), changed(*expected)));
    require(state.version().number == held().version().number + 1);
  } else {
    require(same_values(state.values(), held().values()));
    require(state.version().number == held().version().number);
  }
  require(state.version().digest == parameter_digest(state.values()));
  return 0;
}
