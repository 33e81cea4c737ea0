#include "ams/core/update_codec.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "core/update_reference.hpp"

using namespace ams;
using reference::Bytes;

namespace {

/// A weight, a scalar and a running variance, `dimension` values together.
std::shared_ptr<const Manifest> manifest_of(std::size_t dimension) {
  std::vector<TensorSpec> tensors;
  if (dimension >= 3) {
    tensors.push_back({.name = "conv.weight", .shape = {static_cast<std::int64_t>(dimension - 2)}});
    tensors.push_back({.name = "bn.running_var", .shape = {1}, .kind = TensorKind::statistic});
    tensors.push_back({.name = "bias", .shape = {}});
  } else {
    tensors.push_back({.name = "bias", .shape = {static_cast<std::int64_t>(dimension)}});
  }
  return std::make_shared<const Manifest>(std::move(tensors));
}

/// Values of either sign over many binades, about a tenth of them below the smallest normal fp16
/// number.
std::vector<float> random_values(std::size_t count, Random& random) {
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(
        std::ldexp(2 * random.uniform() - 1, 4 - static_cast<int>(random.below(20))));
  }
  return values;
}

CoordinateSet random_set(std::size_t dimension, std::size_t count, Random& random) {
  std::vector<std::uint32_t> indices;
  for (std::size_t i = 0; i < dimension; ++i) {
    if (random.below(dimension - i) < count - indices.size()) {
      indices.push_back(static_cast<std::uint32_t>(i));
    }
  }
  return CoordinateSet::from_sorted(dimension, std::move(indices));
}

ModelState random_state(std::size_t dimension, Random& random, std::uint32_t number = 0) {
  return ModelState(manifest_of(dimension), random_values(dimension, random), number);
}

bool same(const ModelState& a, const ModelState& b) {
  return a.version() == b.version() && a.manifest_ptr() == b.manifest_ptr() &&
         std::ranges::equal(a.values(), b.values(), {}, std::bit_cast<std::uint32_t, float>,
                            std::bit_cast<std::uint32_t, float>);
}

std::string outcome(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return to_string(error.code());
  }
  return "success";
}

/// The error that applying the bytes ends in; the state must come through it unchanged.
std::string rejection(const Bytes& bytes, const ModelState& held) {
  ModelState state = held;
  const std::string result = outcome([&] { apply_update(bytes, state); });
  if (result != "success") CHECK(same(state, held));
  return result;
}

struct Sample {
  ModelState before;
  ModelState after;
  Bytes bytes;
};

Sample sample(std::size_t dimension, std::size_t count, std::uint64_t seed,
              std::uint32_t number = 5) {
  Random random(seed);
  const ModelState before = random_state(dimension, random, number);
  ModelState after = before;
  const std::vector<float> trained = random_values(dimension, random);
  Bytes bytes = encode_update(after, trained, random_set(dimension, count, random));
  return {before, after, std::move(bytes)};
}

/// The body of an update in its parts, the frames still packed.
struct Parts {
  int form;
  Bytes places, highs, lows, wide;
};

Parts parts_of(const Bytes& update) {
  const std::size_t count = reference::get(update, 40, 4);
  auto at = update.begin() + 53;
  const auto take = [&](std::size_t size) {
    const auto begin = at;
    at += static_cast<std::ptrdiff_t>(size);
    return Bytes(begin, at);
  };
  Parts parts;
  parts.form = std::to_integer<int>(update[44]);
  parts.places = take(reference::get(update, 45, 4));
  parts.highs = take(reference::get(update, 49, 4));
  parts.lows = take(count);
  parts.wide = take(static_cast<std::size_t>(update.end() - 8 - at));
  return parts;
}

/// The update with another body in place of its own.
Bytes with_parts(const Bytes& update, const Parts& parts) {
  Bytes bytes(update.begin(), update.begin() + 44);
  const Bytes body =
      reference::join_body(parts.form, parts.places, parts.highs, parts.lows, parts.wide);
  bytes.insert(bytes.end(), body.begin(), body.end());
  bytes.resize(bytes.size() + 8);
  reference::seal(bytes);
  return bytes;
}

/// How the sample fares with other places.
std::string places_result(const Sample& sample, const Bytes& frame, int form) {
  Parts parts = parts_of(sample.bytes);
  parts.places = frame;
  parts.form = form;
  return rejection(with_parts(sample.bytes, parts), sample.before);
}

}  // namespace

TEST_CASE("server and device hold the same after an update, and a plain reader agrees") {
  Random random(1);
  for (const std::size_t dimension :
       {1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 255, 256, 257, 511, 1000, 4099}) {
    std::vector<std::size_t> counts = {
        0,        1, dimension / 20, dimension / 8, dimension / 8 + 1, dimension / 2, dimension - 1,
        dimension};
    counts.push_back(random.below(dimension + 1));
    for (const std::size_t count : counts) {
      CAPTURE(dimension);
      CAPTURE(count);
      const ModelState before = random_state(dimension, random, 41);
      const std::vector<float> trained = random_values(dimension, random);
      const CoordinateSet set = random_set(dimension, count, random);
      EncodeOptions options;
      options.zstd_level = static_cast<int>(1 + random.below(19));

      ModelState server = before;
      const Bytes bytes = encode_update(server, trained, set, options);
      ModelState device = before;
      const UpdateInfo info = apply_update(bytes, device);

      CHECK(same(server, device));
      CHECK(device.version().number == 42);
      CHECK(device.version().digest == parameter_digest(device.values()));
      CHECK(info.profile == UpdateProfile::reference);
      CHECK(info.manifest_digest == before.manifest().digest());
      CHECK(info.base == before.version());
      CHECK(info.next == device.version());
      CHECK(info.coordinates == count);

      std::vector<float> expected(before.values().begin(), before.values().end());
      set.for_each([&](std::uint32_t i) {
        expected[i] =
            static_cast<float>(reference::half_value(reference::nearest_half(trained[i])));
      });
      CHECK(std::ranges::equal(device.values(), expected));

      const auto changes = reference::read_update(bytes, before);
      REQUIRE(changes.has_value());
      CHECK(changes->size() == count);
      bool agree = true;
      set.for_each(
          [&](std::uint32_t i) { agree &= changes->contains(i) && changes->at(i) == expected[i]; });
      CHECK(agree);
    }
  }
}

TEST_CASE("clustered, edge and long-gap sets come through") {
  Random random(2);
  const std::size_t n = 20000;
  const std::vector<std::vector<std::uint32_t>> sets = {
      {0},      {19999},  {0, 19999},    {254},
      {255},    {256},    {509},         {510},
      {0, 256}, {0, 255}, {1, 257, 513}, {19992, 19993, 19994, 19995, 19996, 19997, 19998, 19999}};
  for (const auto& indices : sets) {
    ModelState server = random_state(n, random);
    ModelState device = server;
    const Bytes bytes =
        encode_update(server, random_values(n, random), CoordinateSet::from_sorted(n, indices));
    CHECK(reference::read_update(bytes, device).has_value());
    apply_update(bytes, device);
    CHECK(same(server, device));
  }
}

TEST_CASE("a chain of updates never drifts, and only the next one is taken") {
  Random random(3);
  const std::size_t n = 3001;
  ModelState server = random_state(n, random);
  ModelState device = server;
  std::vector<float> trained(server.values().begin(), server.values().end());
  std::vector<Bytes> sent;
  std::vector<ModelState> states = {server};
  for (int step = 0; step < 25; ++step) {
    for (float& value : trained) value += static_cast<float>(0.01 * (random.uniform() - 0.5));
    const std::size_t count = step % 7 == 6 ? 0 : random.below(n + 1);
    sent.push_back(encode_update(server, trained, random_set(n, count, random)));
    states.push_back(server);
    apply_update(sent.back(), device);
    REQUIRE(same(server, device));
  }
  for (std::size_t held = 0; held < states.size(); ++held) {
    for (std::size_t i = 0; i < sent.size(); ++i) {
      CHECK(rejection(sent[i], states[held]) == (i == held ? "success" : "base_version_mismatch"));
    }
  }
}

TEST_CASE("an update of nothing moves only the number") {
  const Sample s = sample(100, 0, 4);
  CHECK(s.bytes.size() == 44 + 9 + 8);
  CHECK(s.after.version() == ModelVersion{6, s.before.version().digest});
  ModelState device = s.before;
  CHECK(apply_update(s.bytes, device).coordinates == 0);
  CHECK(same(device, s.after));

  // So it is for a model without any tensor.
  ModelState nothing(std::make_shared<const Manifest>(), {});
  ModelState other = nothing;
  apply_update(encode_update(nothing, {}, CoordinateSet::all(0)), other);
  CHECK(same(nothing, other));
  CHECK(nothing.version() == ModelVersion{1, 0});
}

TEST_CASE("an update of everything carries no places") {
  const Sample s = sample(1001, 1001, 5);
  CHECK(parts_of(s.bytes).form == 0);
  CHECK(parts_of(s.bytes).places.empty());

  Random random(5);
  ModelState named = random_state(1001, random, 5);
  ModelState all = named;
  const std::vector<float> trained = random_values(1001, random);
  std::vector<std::uint32_t> indices(1001);
  std::iota(indices.begin(), indices.end(), 0U);
  CHECK(encode_update(named, trained, CoordinateSet::from_sorted(1001, indices)) ==
        encode_update(all, trained, CoordinateSet::all(1001)));
}

TEST_CASE("values are rounded to the nearest fp16 number, ties to even") {
  std::vector<float> trained;
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const double here = reference::half_value(static_cast<std::uint16_t>(bits));
    const double next =
        bits == 0x7bff ? 65536 : reference::half_value(static_cast<std::uint16_t>(bits + 1));
    const auto tie = static_cast<float>((here + next) / 2);
    trained.push_back(static_cast<float>(here));
    trained.push_back(std::nextafter(tie, 0.0F));
    if (bits != 0x7bff) {
      trained.push_back(tie);
      trained.push_back(std::nextafter(tie, 1e9F));
    }
  }
  for (const float tiny : {1e-45F, 1e-40F, 1.1754944e-38F, 1e-20F}) trained.push_back(tiny);
  const std::size_t half = trained.size();
  for (std::size_t i = 0; i < half; ++i) trained.push_back(-trained[i]);

  const std::size_t n = trained.size();
  ModelState server(manifest_of(n), std::vector<float>(n, 1.0F));
  ModelState device = server;
  const Bytes bytes = encode_update(server, trained, CoordinateSet::all(n));
  apply_update(bytes, device);
  REQUIRE(same(server, device));
  const Parts parts = parts_of(bytes);
  const Bytes highs = reference::unpack(parts.highs, n).value();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint16_t expected = reference::nearest_half(trained[i]);
    wrong += reference::get(highs, i, 1) * 256 + reference::get(parts.lows, i, 1) != expected;
    wrong += std::bit_cast<std::uint32_t>(device.values()[i]) !=
             std::bit_cast<std::uint32_t>(static_cast<float>(reference::half_value(expected)));
  }
  CHECK(wrong == 0);
}

TEST_CASE("minus zero and subnormal fp16 numbers arrive as they are") {
  const std::vector<float> trained = {-0.0F, 0x1p-24F, -0x1p-24F, 0x1p-25F, -0x1.8p-25F, 0x1p-14F};
  const std::vector<float> expected = {-0.0F, 0x1p-24F, -0x1p-24F, 0.0F, -0x1p-24F, 0x1p-14F};
  ModelState server(manifest_of(6), std::vector<float>(6, 1.0F));
  ModelState device = server;
  apply_update(encode_update(server, trained, CoordinateSet::all(6)), device);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(std::bit_cast<std::uint32_t>(device.values()[i]) ==
          std::bit_cast<std::uint32_t>(expected[i]));
  }
}

TEST_CASE("values beyond the range of fp16 arrive exactly") {
  Random random(6);
  const ModelState before = random_state(100, random);
  const std::vector<float> wide = {65520.0F,
                                   -65520.0F,
                                   1e30F,
                                   117753.01F,
                                   std::numeric_limits<float>::max(),
                                   std::numeric_limits<float>::lowest()};
  std::vector<float> trained = random_values(100, random);
  trained[0] = std::nextafter(65520.0F, 0.0F);
  trained[99] = -trained[0];
  for (std::size_t i = 0; i < wide.size(); ++i) trained[7 * i + 3] = wide[i];
  for (const CoordinateSet& set :
       {CoordinateSet::all(100),
        CoordinateSet::from_sorted(100, {0, 3, 4, 10, 17, 24, 31, 38, 99})}) {
    ModelState server = before;
    ModelState device = before;
    const Bytes bytes = encode_update(server, trained, set);
    CHECK(reference::read_update(bytes, before).has_value());
    apply_update(bytes, device);
    CHECK(same(server, device));
    for (std::size_t i = 0; i < wide.size(); ++i) CHECK(device.values()[7 * i + 3] == wide[i]);
    CHECK(device.values()[0] == 65504.0F);
    CHECK(device.values()[99] == -65504.0F);
  }

  ModelState server = before;
  const Bytes good = encode_update(server, trained, CoordinateSet::from_sorted(100, {3, 10, 50}));
  const Parts parts = parts_of(good);
  REQUIRE(parts.wide.size() == 8);
  const auto result = [&](const Parts& changed) {
    return rejection(with_parts(good, changed), before);
  };
  CHECK(result(parts) == "success");
  for (const std::size_t size : {0, 1, 3, 4, 7, 9, 12}) {
    Parts changed = parts;
    changed.wide.resize(size);
    CHECK(result(changed) == "malformed_data");
  }
  for (const float value :
       {0.0F, 1.0F, std::nextafter(65520.0F, 0.0F), -65504.0F,
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    Parts changed = parts;
    reference::put(changed.wide, 4, 4, std::bit_cast<std::uint32_t>(value));
    CHECK(result(changed) == "malformed_data");
  }
  for (const std::uint64_t half : {0xfc00, 0x7c01, 0x7e00, 0xffff}) {
    Parts changed = parts;
    Bytes highs = reference::unpack(parts.highs, 3).value();
    reference::put(highs, 0, 1, half >> 8);
    reference::put(changed.lows, 0, 1, half & 0xff);
    changed.highs = reference::pack(highs);
    CHECK(result(changed) == "malformed_data");
  }
}

TEST_CASE("a value that is not finite is refused by its tensor's name") {
  Random random(19);
  const ModelState before = random_state(100, random);
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> trained = random_values(100, random);
    trained[98] = bad;
    for (const CoordinateSet& set :
         {CoordinateSet::all(100), CoordinateSet::from_sorted(100, {3, 98})}) {
      ModelState server = before;
      std::string message;
      try {
        encode_update(server, trained, set);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::invalid_argument);
        message = error.what();
      }
      CHECK(message.find("value 0 of tensor 'bn.running_var'") != std::string::npos);
      CHECK(same(server, before));
    }
    // It does not matter where nothing is sent.
    ModelState server = before;
    CHECK(outcome([&] {
            encode_update(server, trained, CoordinateSet::from_sorted(100, {3, 97, 99}));
          }) == "success");
  }
}

TEST_CASE("wrong arguments are refused and change nothing") {
  Random random(7);
  const ModelState before = random_state(50, random);
  const std::vector<float> trained = random_values(50, random);
  const CoordinateSet set = CoordinateSet::from_sorted(50, {1, 2});
  const auto refused = [&](const std::vector<float>& values, const CoordinateSet& coordinates,
                           const EncodeOptions& options, const ModelState& state) {
    ModelState server = state;
    const std::string result =
        outcome([&] { encode_update(server, values, coordinates, options); });
    CHECK(same(server, state));
    return result;
  };
  CHECK(refused(std::vector<float>(49), set, {}, before) == "invalid_argument");
  CHECK(refused(std::vector<float>(51), set, {}, before) == "invalid_argument");
  CHECK(refused(trained, CoordinateSet::from_sorted(51, {1}), {}, before) == "invalid_argument");
  CHECK(refused(trained, CoordinateSet(), {}, before) == "invalid_argument");
  CHECK(refused(trained, set, {.zstd_level = 0}, before) == "invalid_argument");
  CHECK(refused(trained, set, {.zstd_level = 20}, before) == "invalid_argument");
  CHECK(refused(trained, set, {.profile = static_cast<UpdateProfile>(0)}, before) ==
        "invalid_argument");
  CHECK(refused({}, CoordinateSet(), {}, ModelState()) == "invalid_argument");

  const ModelState last(before.manifest_ptr(), trained, 0xffffffff);
  CHECK(refused(trained, set, {}, last) == "limit_exceeded");
  const ModelState last_but_one(before.manifest_ptr(), trained, 0xfffffffe);
  ModelState server = last_but_one;
  ModelState device = last_but_one;
  apply_update(encode_update(server, trained, set), device);
  CHECK(device.version().number == 0xffffffff);

  ModelState empty;
  CHECK(outcome([&] { apply_update(sample(50, 2, 7).bytes, empty); }) == "invalid_argument");
}

TEST_CASE("a random 5% of the coordinates costs less than the paper's 23.2 bits each") {
  for (const std::size_t n : {2113043UL, 686679UL}) {
    Random random(8);
    std::vector<std::uint32_t> indices;
    for (std::size_t i = 0; i < n; ++i) {
      if (random.uniform() < 0.05) indices.push_back(static_cast<std::uint32_t>(i));
    }
    const auto count = static_cast<double>(indices.size());
    const auto manifest = manifest_of(n);
    ModelState server(manifest, std::vector<float>(n, 0.5F));
    ModelState device = server;
    const Bytes bytes = encode_update(server, random_values(n, random),
                                      CoordinateSet::from_sorted(n, std::move(indices)));
    const double bits = 8.0 * static_cast<double>(bytes.size()) / count;
    const double places = 8.0 * static_cast<double>(parts_of(bytes).places.size()) / count;
    MESSAGE("dimension " << n << ": " << bits << " bits per sent coordinate, " << places
                         << " of them for its place");
    CHECK(bits <= 23.2);
    CHECK(bits <= 16 + 5.728 * 1.02);  // whatever the values are: they never cost more than 16
    CHECK(places <= 5.728 * 1.02);     // the entropy of such a set, and 2%
    CHECK(places >= 5.70);             // less would mean that something was not sent
    apply_update(bytes, device);
    CHECK(same(server, device));
  }
}

TEST_CASE("inspect reads the header and nothing else") {
  const Sample s = sample(64, 9, 9);
  const UpdateInfo info = inspect_update(s.bytes);
  CHECK(info.profile == UpdateProfile::reference);
  CHECK(info.manifest_digest == s.before.manifest().digest());
  CHECK(info.base == s.before.version());
  CHECK(info.next == s.after.version());
  CHECK(info.coordinates == 9);

  Bytes damaged = s.bytes;
  damaged[50] ^= std::byte{1};
  CHECK(outcome([&] { inspect_update(damaged); }) == "success");
  damaged[0] ^= std::byte{1};
  CHECK(outcome([&] { inspect_update(damaged); }) == "malformed_data");
  CHECK(outcome([&] { inspect_update({}); }) == "malformed_data");
  CHECK(outcome([&] { inspect_update(std::span(s.bytes).first(51)); }) == "malformed_data");
}

TEST_CASE("every field of the header is checked") {
  const Sample s = sample(64, 9, 10);
  struct Change {
    std::size_t at, size;
    std::uint64_t value;
    const char* expected;
  };
  const std::uint64_t n = 64;
  const std::vector<Change> changes = {
      {0, 4, 0x53534d41, "malformed_data"},
      {4, 1, 0, "unsupported_version"},
      {4, 1, 2, "unsupported_version"},
      {5, 1, 0, "unsupported_version"},
      {5, 1, 3, "unsupported_version"},
      {5, 1, 255, "unsupported_version"},
      {6, 1, 1, "malformed_data"},
      {7, 1, 128, "malformed_data"},
      {8, 8, s.before.manifest().digest() + 1, "manifest_mismatch"},
      {16, 4, 4, "malformed_data"},  // and 6 stays: not the next version
      {16, 4, 6, "malformed_data"},
      {20, 4, 5, "malformed_data"},
      {20, 4, 7, "malformed_data"},
      {24, 8, s.before.version().digest ^ 1, "base_version_mismatch"},
      {32, 8, s.after.version().digest ^ (1ULL << 63), "digest_mismatch"},
      {40, 4, 8, "malformed_data"},
      {40, 4, 10, "malformed_data"},
      {40, 4, 0, "malformed_data"},
      {40, 4, n, "malformed_data"},
      {40, 4, n + 1, "limit_exceeded"},
      {40, 4, 0xffffffff, "limit_exceeded"},
      {44, 1, 0, "malformed_data"},
      {44, 1, 3, "malformed_data"},
      {44, 1, 255, "malformed_data"},
      {45, 4, 0, "malformed_data"},
      {45, 4, reference::get(s.bytes, 45, 4) - 1, "malformed_data"},
      {45, 4, reference::get(s.bytes, 45, 4) + 1, "malformed_data"},
      {45, 4, 0xffffffff, "malformed_data"},
      {49, 4, 0, "malformed_data"},
      {49, 4, reference::get(s.bytes, 49, 4) - 1, "malformed_data"},
      {49, 4, reference::get(s.bytes, 49, 4) + 1, "malformed_data"},
      {49, 4, 0xffffffff, "malformed_data"},
  };
  for (const Change& change : changes) {
    CAPTURE(change.at);
    CAPTURE(change.value);
    Bytes bytes = s.bytes;
    reference::put(bytes, change.at, change.size, change.value);
    // Damage on the way is found by the checksum; a sealed forgery by the field's own check.
    const bool before_checksum = change.at < 6;
    CHECK(rejection(bytes, s.before) == (before_checksum ? change.expected : "digest_mismatch"));
    reference::seal(bytes);
    CHECK(rejection(bytes, s.before) == change.expected);
    CHECK(!reference::read_update(bytes, s.before));
  }

  Bytes both = s.bytes;  // a consistent update, from another base
  reference::put(both, 16, 4, 6);
  reference::put(both, 20, 4, 7);
  reference::seal(both);
  CHECK(rejection(both, s.before) == "base_version_mismatch");
  reference::put(both, 16, 4, 0xffffffff);
  reference::put(both, 20, 4, 0);
  reference::seal(both);
  CHECK(rejection(both, s.before) == "malformed_data");
}

TEST_CASE("an update for other tensors is refused") {
  Random random(11);
  const Sample s = sample(64, 9, 11);
  const auto renamed =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{.name = "weight", .shape = {64}}});
  const ModelState other(renamed, {s.before.values().begin(), s.before.values().end()}, 5);
  CHECK(other.version() == s.before.version());
  CHECK(rejection(s.bytes, other) == "manifest_mismatch");
  CHECK(rejection(s.bytes, ModelState(manifest_of(63), random_values(63, random), 5)) ==
        "manifest_mismatch");
}

TEST_CASE("no flipped bit, cut or addition gets through") {
  for (const std::size_t count : {0UL, 3UL, 40UL, 70UL}) {  // none, runs, bits, all
    CAPTURE(count);
    const Sample s = sample(70, count, 12);
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < 8 * s.bytes.size(); ++bit) {
      Bytes bytes = s.bytes;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      accepted += rejection(bytes, s.before) == "success";
    }
    for (std::size_t size = 0; size < s.bytes.size(); ++size) {
      Bytes bytes(s.bytes.begin(), s.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      accepted += rejection(bytes, s.before) == "success";
      if (size >= 8) {
        reference::seal(bytes);
        accepted += rejection(bytes, s.before) == "success";
      }
    }
    for (std::size_t more = 1; more <= 20; ++more) {
      Bytes bytes = s.bytes;
      bytes.resize(bytes.size() + more);
      accepted += rejection(bytes, s.before) == "success";
      reference::seal(bytes);
      accepted += rejection(bytes, s.before) == "success";
    }
    CHECK(accepted == 0);
    CHECK(rejection(s.bytes, s.before) == "success");
  }
}

TEST_CASE("sealed forgeries of single bits are accepted only where they cannot matter") {
  // With the checksum made right again, a flipped bit may only get through if it leads to the very
  // same state: there are such bits in a Zstandard frame header.
  for (const std::size_t count : {0UL, 3UL, 40UL, 70UL}) {
    const Sample s = sample(70, count, 13);
    for (std::size_t bit = 0; bit < 8 * (s.bytes.size() - 8); ++bit) {
      Bytes bytes = s.bytes;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      reference::seal(bytes);
      ModelState state = s.before;
      const bool applied = outcome([&] { apply_update(bytes, state); }) == "success";
      CHECK(same(state, applied ? s.after : s.before));
      CHECK(applied == reference::read_update(bytes, s.before).has_value());
      CHECK((!applied || count != 0));
    }
  }
}

TEST_CASE("places that do not fit the values are refused") {
  const std::size_t n = 70;  // 9 bytes, 6 bits of the last one used
  const Sample dense = sample(n, 40, 14);
  REQUIRE(parts_of(dense.bytes).form == 1);
  const Bytes bits = reference::unpack(parts_of(dense.bytes).places, n).value();
  REQUIRE(bits.size() == 9);
  const auto result = [&](const Bytes& content) {
    return places_result(dense, reference::pack(content), 1);
  };
  CHECK(result(bits) == "success");
  for (const int beyond : {70, 71}) {
    Bytes changed = bits;
    changed[8] |= std::byte{1} << (beyond % 8);
    CHECK(result(changed) == "malformed_data");
    // Nor with one bit less elsewhere, so that the number fits.
    for (std::size_t i = 0; i < 70; ++i) {
      const std::byte bit = std::byte{1} << (i % 8);
      if ((changed[i / 8] & bit) == std::byte{0}) continue;
      changed[i / 8] ^= bit;
      break;
    }
    CHECK(result(changed) == "malformed_data");
  }
  for (std::size_t i = 0; i < n; ++i) {
    Bytes changed = bits;
    changed[i / 8] ^= std::byte{1} << (i % 8);
    CHECK(result(changed) == "malformed_data");
  }
  for (const std::size_t size : {0, 1, 8, 10, 100000}) {
    Bytes changed = bits;
    changed.resize(size);
    CHECK(result(changed) == "malformed_data");
  }
  Bytes moved = bits;  // one bit elsewhere: only the digest of the result can tell
  for (std::size_t i = 0, done = 0; i < n && done != 3; ++i) {
    const bool set = (moved[i / 8] >> (i % 8) & std::byte{1}) != std::byte{0};
    if ((set && (done & 1) == 0) || (!set && (done & 2) == 0)) {
      moved[i / 8] ^= std::byte{1} << (i % 8);
      done |= set ? 1 : 2;
    }
  }
  CHECK(result(moved) == "digest_mismatch");

  const Sample sparse = sample(1000, 3, 15);
  REQUIRE(parts_of(sparse.bytes).form == 2);
  const Bytes runs = reference::unpack(parts_of(sparse.bytes).places, 1000).value();
  const auto run_result = [&](std::initializer_list<int> content) {
    Bytes bytes;
    for (const int byte : content) bytes.push_back(static_cast<std::byte>(byte));
    return places_result(sparse, reference::pack(bytes), 2);
  };
  CHECK(places_result(sparse, reference::pack(runs), 2) == "success");
  CHECK(run_result({}) == "malformed_data");
  CHECK(run_result({0, 0}) == "malformed_data");
  CHECK(run_result({0, 0, 0}) == "digest_mismatch");
  CHECK(run_result({0, 0, 0, 0}) == "malformed_data");
  CHECK(run_result({0, 0, 0, 255}) == "malformed_data");
  CHECK(run_result({0, 0, 255}) == "malformed_data");
  CHECK(run_result({255, 255, 255, 232, 0, 0}) == "digest_mismatch");  // 997, 998, 999
  CHECK(run_result({255, 255, 255, 233, 0, 0}) == "malformed_data");   // 998, 999, 1000
  CHECK(run_result({255, 255, 255, 255, 0, 0}) == "malformed_data");   // 1020
  CHECK(run_result({255, 255, 255, 255, 0, 0, 0}) == "malformed_data");
  // Either form may be used at any density.
  Bytes as_bits(125);
  std::size_t at = 0;
  for (const std::byte run : runs) {
    at += std::to_integer<std::size_t>(run);
    if (run == std::byte{255}) continue;
    as_bits[at / 8] |= std::byte{1} << (at % 8);
    ++at;
  }
  CHECK(places_result(sparse, reference::pack(as_bits), 1) == "success");
  CHECK(places_result(sparse, reference::pack(as_bits), 2) == "malformed_data");
  CHECK(places_result(sparse, reference::pack(runs), 1) == "malformed_data");
  CHECK(places_result(sparse, reference::pack(runs), 0) == "malformed_data");

  // Where the count says it all, places must not come.
  const Sample all = sample(70, 70, 16);
  const Sample none = sample(70, 0, 16);
  CHECK(places_result(all, reference::pack(Bytes(9, std::byte{255})), 1) == "malformed_data");
  CHECK(places_result(all, {}, 1) == "malformed_data");
  CHECK(places_result(none, reference::pack(Bytes(9)), 1) == "malformed_data");
  CHECK(places_result(none, reference::pack({}), 2) == "malformed_data");
  CHECK(places_result(none, Bytes(1), 0) == "malformed_data");
}

TEST_CASE("hostile Zstandard frames are refused before they cost anything") {
  const std::size_t n = 70;
  const Sample s = sample(n, 40, 17);
  const Bytes good = parts_of(s.bytes).places;
  const Bytes bits = reference::unpack(good, n).value();
  const auto result = [&](const Bytes& frame) { return places_result(s, frame, 1); };
  const auto joined = [](std::initializer_list<Bytes> parts) {
    Bytes whole;
    for (const Bytes& part : parts) whole.insert(whole.end(), part.begin(), part.end());
    return whole;
  };
  const auto bytes_of = [](std::initializer_list<int> values) {
    Bytes bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
  };
  const Bytes magic = bytes_of({0x28, 0xb5, 0x2f, 0xfd});
  // The last block, raw, of 9 bytes: its 3-byte header is 1 + 9 * 8.
  const Bytes block = joined({bytes_of({1 + 9 * 8, 0, 0}), bits});

  CHECK(result(joined({magic, bytes_of({0x20, 9}), block})) == "success");
  SUBCASE("a window beyond all memory") {  // 2 TB; with the right content size stated
    CHECK(result(joined({magic, bytes_of({0x80, 0xf8, 9, 0, 0, 0}), block})) == "malformed_data");
  }
  SUBCASE("a window larger than the content") {  // 128 MB, of which nothing is allocated
    CHECK(result(joined({magic, bytes_of({0x80, 0x88, 9, 0, 0, 0}), block})) == "success");
  }
  SUBCASE("no or another content size") {
    CHECK(result(joined({magic, bytes_of({0x00, 0x58}), block})) == "malformed_data");
    CHECK(result(joined({magic, bytes_of({0x20, 8}), block})) == "malformed_data");
    CHECK(result(joined({magic, bytes_of({0x20, 10}), block})) == "malformed_data");
    for (const int top : {0x00, 0x7f, 0xff}) {  // 2^56 and more
      CHECK(result(joined({magic, bytes_of({0xe0, 9, 0, 0, 0, 0, 0, 1, top}), block})) ==
            "malformed_data");
    }
  }
  SUBCASE("too much in the blocks") {
    // 9 bytes stated; a run-length block of 128 KiB.
    CHECK(result(joined({magic, bytes_of({0x20, 9}), bytes_of({0x03, 0x00, 0x10, 0xff})})) ==
          "malformed_data");
    CHECK(result(joined({magic, bytes_of({0x20, 9}), bytes_of({8 * 8 + 1, 0, 0}), Bytes(8)})) ==
          "malformed_data");
  }
  SUBCASE("a dictionary") {
    CHECK(result(joined({magic, bytes_of({0x21, 7, 9}), block})) == "malformed_data");
  }
  SUBCASE("not one frame") {
    const Bytes skippable = bytes_of({0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0});
    const Bytes empty_frame = reference::pack({});
    CHECK(result({}) == "malformed_data");
    CHECK(result(magic) == "malformed_data");
    CHECK(result(skippable) == "malformed_data");
    CHECK(result(joined({skippable, good})) == "malformed_data");
    CHECK(result(joined({good, skippable})) == "malformed_data");
    CHECK(result(joined({good, empty_frame})) == "malformed_data");
    CHECK(result(joined({empty_frame, good})) == "malformed_data");
    CHECK(result(joined({good, bytes_of({0})})) == "malformed_data");
    for (const int old : {0x1e, 0x22, 0x25, 0x27}) {  // frames of zstd before 0.8
      CHECK(result(joined({bytes_of({old, 0xb5, 0x2f, 0xfd}), Bytes(20)})) == "malformed_data");
    }
  }
  SUBCASE("cut short") {
    for (std::size_t size = 0; size < good.size(); ++size) {
      CHECK(result(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))) ==
            "malformed_data");
    }
  }
}

TEST_CASE("values that do not fit their number are refused") {
  const Sample s = sample(70, 40, 18);
  const Parts parts = parts_of(s.bytes);
  const Bytes highs = reference::unpack(parts.highs, 40).value();
  const auto result = [&](const Bytes& frame, const Bytes& lows) {
    Parts changed = parts;
    changed.highs = frame;
    changed.lows = lows;
    return rejection(with_parts(s.bytes, changed), s.before);
  };
  CHECK(result(reference::pack(highs, 19), parts.lows) == "success");
  for (const std::size_t size : {0, 1, 39, 41, 80, 1 << 20}) {
    Bytes other = highs;
    other.resize(size);
    CHECK(result(reference::pack(other), parts.lows) == "malformed_data");
  }
  for (const std::size_t size : {0, 39, 41, 80}) {
    Bytes other = parts.lows;
    other.resize(size);
    CHECK(result(parts.highs, other) == "malformed_data");
  }
  CHECK(result({}, parts.lows) == "malformed_data");
  for (const int bits : {0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xffff}) {
    Bytes high = highs;
    Bytes low = parts.lows;
    high[20] = static_cast<std::byte>(bits >> 8);
    low[20] = static_cast<std::byte>(bits & 0xff);
    CHECK(result(reference::pack(high), low) == "malformed_data");
  }

  // An update of nothing has no values, not even none in a frame.
  const Sample none = sample(70, 0, 18);
  Parts changed = parts_of(none.bytes);
  CHECK(rejection(with_parts(none.bytes, changed), none.before) == "success");
  changed.highs = reference::pack({});
  CHECK(rejection(with_parts(none.bytes, changed), none.before) == "malformed_data");
  changed.highs.clear();
  changed.wide.resize(4);
  CHECK(rejection(with_parts(none.bytes, changed), none.before) == "malformed_data");
}

// --- golden files
// ---------------------------------------------------------------------------------------

namespace {

const std::string golden_folder = std::string(AMS_SOURCE_DIR) + "/tests/core/data/";
constexpr std::size_t golden_dimension = 3001;

/// Pinned here and nowhere else: integers, so that every machine computes the same.
float golden_value(std::uint64_t stream, std::size_t i) {
  const auto mantissa = static_cast<std::int64_t>(mix64(stream << 32 | i) >> 40) - (1 << 23);
  return static_cast<float>(mantissa) * 0x1p-26F;
}

ModelState golden_base() {
  const auto manifest = std::make_shared<const Manifest>(std::vector<TensorSpec>{
      {.name = "backbone.conv1.weight", .shape = {32, 3, 3, 3}},
      {.name = "backbone.bn1.weight", .shape = {32}},
      {.name = "backbone.bn1.running_mean", .shape = {32}, .kind = TensorKind::statistic},
      {.name = "classifier.weight", .shape = {19, 109}},
      {.name = "temperature", .shape = {}},
      {.name = "classifier.bias", .shape = {1}}});
  std::vector<float> values(golden_dimension);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = golden_value(1, i);
  return ModelState(manifest, std::move(values), 100);
}

struct Golden {
  std::string file;
  std::uint64_t one_in;  ///< a coordinate is sent with probability 1 / one_in; 0: none
  Digest digest;         ///< of the state that results
};

const Golden goldens[] = {
    {"golden_update_none.bin", 0, 0x2bf0d92ab09b6950ULL},
    {"golden_update_runs.bin", 20, 0xbaf24465ea55f8b6ULL},
    {"golden_update_bits.bin", 3, 0x1fd6ddf2a70d8c56ULL},
    {"golden_update_all.bin", 1, 0xd94843ac8007d252ULL},
};

CoordinateSet golden_set(const Golden& golden) {
  std::vector<std::uint32_t> indices;
  for (std::uint32_t i = 0; i < golden_dimension; ++i) {
    if (golden.one_in != 0 && mix64((std::uint64_t{7} << 32) | i) % golden.one_in == 0) {
      indices.push_back(i);
    }
  }
  return CoordinateSet::from_sorted(golden_dimension, std::move(indices));
}

std::vector<float> golden_trained() {
  std::vector<float> values(golden_dimension);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = golden_value(2, i) * (i % 5 == 0 ? 0x1p-18F : 1.0F);  // some subnormal in fp16
  }
  for (const std::size_t i : {888U, 889U, 890U, 900U}) values[i] *= 0x1p21F;  // some beyond it
  return values;
}

Bytes read_file(const std::string& name) {
  std::ifstream in(golden_folder + name, std::ios::binary);
  REQUIRE_MESSAGE(in.good(), "cannot read ", golden_folder, name);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

}  // namespace

TEST_CASE("golden updates decode to the pinned states") {
  for (const Golden& golden : goldens) {
    CAPTURE(golden.file);
    const Bytes bytes = read_file(golden.file);
    ModelState state = golden_base();
    CHECK(state.manifest().digest() == 0xaa64f08f4cca817eULL);
    CHECK(state.version() == ModelVersion{100, 0x2bf0d92ab09b6950ULL});
    const UpdateInfo info = apply_update(bytes, state);
    CHECK(info.coordinates == golden_set(golden).size());
    CHECK(state.version() == ModelVersion{101, golden.digest});

    const std::vector<float> trained = golden_trained();
    const ModelState base = golden_base();
    std::vector<float> expected(base.values().begin(), base.values().end());
    golden_set(golden).for_each([&](std::uint32_t i) {
      expected[i] =
          std::fabs(trained[i]) >= 65520
              ? trained[i]
              : static_cast<float>(reference::half_value(reference::nearest_half(trained[i])));
    });
    CHECK(std::ranges::equal(state.values(), expected));
  }
}

TEST_CASE("what is written today is what the golden updates hold") {
  // Another release of zstd may compress otherwise; what it compresses, and all the rest, is
  // pinned.
  for (const Golden& golden : goldens) {
    CAPTURE(golden.file);
    const Bytes pinned = read_file(golden.file);
    ModelState state = golden_base();
    const CoordinateSet set = golden_set(golden);
    const Bytes written = encode_update(state, golden_trained(), set);
    const Parts now = parts_of(written);
    const Parts then = parts_of(pinned);
    CHECK(std::ranges::equal(std::span(written).first(45), std::span(pinned).first(45)));
    CHECK(now.lows == then.lows);
    CHECK(now.wide == then.wide);
    CHECK(now.places.empty() == then.places.empty());
    CHECK(reference::unpack(now.places, golden_dimension) ==
          reference::unpack(then.places, golden_dimension));
    CHECK(now.highs.empty() == then.highs.empty());
    CHECK(reference::unpack(now.highs, golden_dimension) ==
          reference::unpack(then.highs, golden_dimension));
    if (set.empty()) CHECK(written == pinned);
  }
}

// Run with --no-skip --test-case="write*" after a deliberate change of the format, and raise its
// version.
TEST_CASE("write the golden updates" * doctest::skip()) {
  const ModelState base = golden_base();
  MESSAGE("manifest " << base.manifest().digest() << ", base " << base.version().digest);
  for (const Golden& golden : goldens) {
    ModelState state = base;
    const Bytes bytes = encode_update(state, golden_trained(), golden_set(golden));
    std::ofstream out(golden_folder + golden.file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    CHECK(out.good());
    MESSAGE(golden.file << " " << state.version().digest);
  }
}
