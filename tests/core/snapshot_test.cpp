#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/core/update_codec.hpp"
#include "core/update_reference.hpp"

using namespace ams;
using reference::Bytes;

namespace {

std::shared_ptr<const Manifest> manifest_of(std::size_t dimension) {
  return std::make_shared<const Manifest>(
      std::vector<TensorSpec>{{.name = "weight", .shape = {static_cast<std::int64_t>(dimension)}}});
}

/// Any finite bit pattern, subnormal numbers and both zeros among them.
std::vector<float> random_values(std::size_t count, Random& random) {
  std::vector<float> values;
  while (values.size() < count) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
    if (std::isfinite(value)) values.push_back(value);
  }
  if (count > 2) {
    values[0] = -0.0F;
    values[1] = std::numeric_limits<float>::denorm_min();
    values[2] = std::numeric_limits<float>::max();
  }
  return values;
}

bool same(const ModelState& a, const ModelState& b) {
  return a.version() == b.version() &&
         std::ranges::equal(a.values(), b.values(), {}, std::bit_cast<std::uint32_t, float>,
                            std::bit_cast<std::uint32_t, float>);
}

std::string outcome(const Bytes& bytes, const std::shared_ptr<const Manifest>& manifest) {
  try {
    decode_snapshot(bytes, manifest);
  } catch (const Error& error) {
    return to_string(error.code());
  }
  return "success";
}

Bytes frame_of(const Bytes& snapshot) {
  return Bytes(snapshot.begin() + 36, snapshot.end() - 8);
}

Bytes with_frame(const Bytes& snapshot, const Bytes& frame) {
  Bytes bytes(snapshot.begin(), snapshot.begin() + 36);
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  bytes.resize(bytes.size() + 8);
  reference::seal(bytes);
  return bytes;
}

/// The values that a plain reader finds in a snapshot.
std::vector<float> read_values(const Bytes& snapshot, std::size_t dimension) {
  const auto planes = reference::unpack(frame_of(snapshot), 4 * dimension);
  REQUIRE(planes.has_value());
  REQUIRE(planes->size() == 4 * dimension);
  std::vector<float> values;
  for (std::size_t i = 0; i < dimension; ++i) {
    std::uint32_t bits = 0;
    for (std::size_t plane = 4; plane-- > 0;) {
      bits = bits * 256 + std::to_integer<std::uint32_t>((*planes)[plane * dimension + i]);
    }
    values.push_back(std::bit_cast<float>(bits));
  }
  return values;
}

}  // namespace

TEST_CASE("a snapshot keeps every bit") {
  Random random(1);
  for (const std::size_t dimension : {1, 2, 3, 7, 64, 1000, 70001}) {
    for (const int level : {1, 3, 19}) {
      if (dimension == 70001 && level == 19) continue;
      const auto manifest = manifest_of(dimension);
      const ModelState state(manifest, random_values(dimension, random), 0xffffffff);
      const Bytes bytes = encode_snapshot(state, level);
      const ModelState loaded = decode_snapshot(bytes, manifest_of(dimension));
      CHECK(same(loaded, state));
      CHECK(loaded.manifest().digest() == manifest->digest());
      CHECK(loaded.version().digest == parameter_digest(loaded.values()));
      CHECK(std::ranges::equal(read_values(bytes, dimension), state.values(), {},
                               std::bit_cast<std::uint32_t, float>,
                               std::bit_cast<std::uint32_t, float>));
    }
  }
  const ModelState nothing(std::make_shared<const Manifest>(), {}, 3);
  CHECK(same(decode_snapshot(encode_snapshot(nothing), nothing.manifest_ptr()), nothing));
}

TEST_CASE("a snapshot takes an update where the state that it was made of would") {
  Random random(2);
  const auto manifest = manifest_of(500);
  std::vector<float> values(500), trained(500);
  for (float& value : values) value = static_cast<float>(random.uniform());
  for (float& value : trained) value = static_cast<float>(random.uniform());
  ModelState server(manifest, values, 9);
  ModelState device = decode_snapshot(encode_snapshot(server), manifest);
  apply_update(encode_update(server, trained, CoordinateSet::from_sorted(500, {1, 20, 499})),
               device);
  CHECK(same(server, device));
}

TEST_CASE("values of a network's size and spread compress") {
  Random random(3);
  std::vector<float> values(100000);
  for (float& value : values) {
    value = static_cast<float>(0.05 * (random.uniform() + random.uniform() - 1));
  }
  const ModelState state(manifest_of(values.size()), values);
  CHECK(encode_snapshot(state).size() < values.size() * 36 / 10);
}

TEST_CASE("wrong arguments are refused") {
  const auto refused = [](auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code() == ErrorCode::invalid_argument;
    }
    return false;
  };
  const ModelState state(manifest_of(3), {1, 2, 3});
  CHECK(refused([&] { encode_snapshot(state, 0); }));
  CHECK(refused([&] { encode_snapshot(state, 20); }));
  CHECK(refused([&] { encode_snapshot(ModelState()); }));
  CHECK(refused([&] { decode_snapshot(encode_snapshot(state), nullptr); }));
}

TEST_CASE("every field is checked") {
  const ModelState state(manifest_of(3), {1, 2, 3}, 5);
  const Bytes good = encode_snapshot(state);
  struct Change {
    std::size_t at, size;
    std::uint64_t value;
    const char* expected;
  };
  const std::vector<Change> changes = {
      {0, 4, 0x55534d41, "malformed_data"},
      {4, 1, 0, "unsupported_version"},
      {4, 1, 2, "unsupported_version"},
      {5, 1, 1, "malformed_data"},
      {6, 2, 1, "malformed_data"},
      {7, 1, 128, "malformed_data"},
      {8, 8, state.manifest().digest() ^ 1, "manifest_mismatch"},
      {20, 4, 1, "malformed_data"},
      {24, 8, state.version().digest + 1, "digest_mismatch"},
      {32, 4, 1, "malformed_data"},
      {32, 4, 0xffffffff, "malformed_data"},
      {36, 4, 0x184d2a50, "malformed_data"},
  };
  for (const Change& change : changes) {
    CAPTURE(change.at);
    Bytes bytes = good;
    reference::put(bytes, change.at, change.size, change.value);
    CHECK(outcome(bytes, state.manifest_ptr()) ==
          (change.at < 5 ? change.expected : "digest_mismatch"));
    reference::seal(bytes);
    CHECK(outcome(bytes, state.manifest_ptr()) == change.expected);
  }
  CHECK(outcome(good, manifest_of(4)) == "manifest_mismatch");
  CHECK(outcome(good, manifest_of(3)) == "success");
}

TEST_CASE("no flipped bit, cut or addition gets through") {
  Random random(4);
  const auto manifest = manifest_of(20);
  const Bytes good = encode_snapshot(ModelState(manifest, random_values(20, random), 5));
  std::size_t accepted = 0;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    Bytes bytes = good;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    accepted += outcome(bytes, manifest) == "success";
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    Bytes bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    accepted += outcome(bytes, manifest) == "success";
    if (size < 8) continue;
    reference::seal(bytes);
    accepted += outcome(bytes, manifest) == "success";
  }
  for (std::size_t more = 1; more <= 20; ++more) {
    Bytes bytes = good;
    bytes.resize(bytes.size() + more);
    accepted += outcome(bytes, manifest) == "success";
    reference::seal(bytes);
    accepted += outcome(bytes, manifest) == "success";
  }
  CHECK(accepted == 0);
}

TEST_CASE("hostile values are refused") {
  const ModelState state(manifest_of(4), {1, 2, 3, 4}, 5);
  const Bytes good = encode_snapshot(state);
  const Bytes planes = reference::unpack(frame_of(good), 16).value();
  const auto result = [&](const Bytes& frame) {
    return outcome(with_frame(good, frame), state.manifest_ptr());
  };
  CHECK(result(reference::pack(planes, 19)) == "success");
  for (const std::size_t size : {0, 1, 12, 15, 17, 18, 19, 20, 1 << 20}) {
    Bytes other = planes;
    other.resize(size);
    CHECK(result(reference::pack(other)) == "malformed_data");
  }
  Bytes changed = planes;
  changed[0] ^= std::byte{1};
  CHECK(result(reference::pack(changed)) == "digest_mismatch");
  for (const int sign : {0x7f, 0xff}) {
    Bytes infinite = planes;
    infinite[8] = std::byte{0x80};
    infinite[12] = static_cast<std::byte>(sign);
    CHECK(result(reference::pack(infinite)) == "malformed_data");
  }
  Bytes twice = reference::pack(planes);
  const Bytes once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  CHECK(result(twice) == "malformed_data");
  CHECK(result({}) == "malformed_data");
}

namespace {

const std::string golden_file =
    std::string(AMS_SOURCE_DIR) + "/tests/core/data/golden_snapshot.bin";

/// Integers, so that every machine computes the same.
ModelState golden_state() {
  const auto manifest = std::make_shared<const Manifest>(std::vector<TensorSpec>{
      {.name = "conv.weight", .shape = {8, 3, 5, 5}},
      {.name = "conv.bias", .shape = {8}},
      {.name = "bn.running_var", .shape = {8}, .kind = TensorKind::statistic}});
  std::vector<float> values(616);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto mantissa = static_cast<std::int64_t>(mix64(i) >> 40) - (1 << 23);
    values[i] = static_cast<float>(mantissa) * 0x1p-26F;
  }
  values[600] = -0.0F;
  values[601] = 0x1p-149F;
  return ModelState(manifest, std::move(values), 1000);
}

}  // namespace

TEST_CASE("the golden snapshot decodes to the pinned state, and is what is written today") {
  std::ifstream in(golden_file, std::ios::binary);
  REQUIRE_MESSAGE(in.good(), "cannot read ", golden_file);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  Bytes pinned(text.size());
  std::memcpy(pinned.data(), text.data(), text.size());

  const ModelState state = golden_state();
  CHECK(state.manifest().digest() == 0xf9b4b807ea383994ULL);
  CHECK(state.version().digest == 0x3bf005efed23b5c2ULL);
  CHECK(same(decode_snapshot(pinned, state.manifest_ptr()), state));
  // Another release of zstd may compress otherwise; what it compresses, and all the rest, is
  // pinned.
  const Bytes written = encode_snapshot(state);
  CHECK(std::ranges::equal(std::span(written).first(36), std::span(pinned).first(36)));
  const auto then = reference::unpack(frame_of(pinned), 4 * 616);
  REQUIRE(then.has_value());
  CHECK(reference::unpack(frame_of(written), 4 * 616) == then);
}

// Run with --no-skip --test-case="write*" after a deliberate change of the format, and raise its
// version.
TEST_CASE("write the golden snapshot" * doctest::skip()) {
  const ModelState state = golden_state();
  const Bytes bytes = encode_snapshot(state);
  std::ofstream out(golden_file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  CHECK(out.good());
  MESSAGE("manifest " << state.manifest().digest() << ", state " << state.version().digest);
}
