// Profile `compact` of the update codec, against a second reading of docs/format.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/coordinate_choice.hpp"
#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/core/update_codec.hpp"
#include "core/compact_reference.hpp"
#include "core/expect_error.hpp"

using namespace ams;
using ams::test::expect_error;
using reference::Bytes;
using reference::CompactDevice;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Every class of tensors and every role: 20 + 6 + 6 + 90 + 1 + 12 + 5 + 30 + 3 = 173 values.
std::shared_ptr<const Manifest> small_network() {
  std::vector<TensorSpec> tensors = {
      {.name = "conv1", .shape = {4, 5}},
      {.name = "scale", .shape = {6}, .role = TensorRole::normalization},
      {.name = "shift", .shape = {6}, .role = TensorRole::normalization},
      {.name = "conv2", .shape = {6, 5, 3}},
      {.name = "temperature", .shape = {}},
      {.name = "mean", .shape = {12}, .kind = TensorKind::statistic},
      {.name = "bias", .shape = {5}},
      {.name = "head", .shape = {3, 10}, .role = TensorRole::head},
      {.name = "head_bias", .shape = {3}, .role = TensorRole::head}};
  return std::make_shared<const Manifest>(std::move(tensors));
}

std::vector<float> random_values(std::size_t count, Random& random, double scale = 1) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(scale * (2 * random.uniform() - 1));
  return values;
}

CoordinateSet random_set(std::size_t dimension, std::size_t count, Random& random) {
  return random_coordinates(dimension, count, random);
}

EncodeOptions compact(CompactOptions options = {}) {
  EncodeOptions encode;
  encode.profile = UpdateProfile::compact;
  encode.compact = options;
  return encode;
}

EncodeOptions compact_at(int exponent) {
  CompactOptions options;
  options.step_exponent = exponent;
  return compact(options);
}

bool same(const ModelState& a, const ModelState& b) {
  return a.version() == b.version() && a.manifest_ptr() == b.manifest_ptr() &&
         std::ranges::equal(a.values(), b.values(), {}, std::bit_cast<std::uint32_t, float>,
                            std::bit_cast<std::uint32_t, float>) &&
         encode_snapshot(a) == encode_snapshot(b);
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

/// A server, its device and the plain reader, which must agree after every update.
struct Stream {
  ModelState server;
  ModelState device;
  CompactDevice reader;
  std::size_t bytes = 0;

  explicit Stream(const ModelState& initial)
      : server(initial), device(initial), reader(initial.manifest()) {}

  Bytes send(const std::vector<float>& trained, const CoordinateSet& set,
             const EncodeOptions& options) {
    const ModelState before = device;
    Bytes update = encode_update(server, trained, set, options);
    const UpdateInfo info = apply_update(update, device);
    CHECK(same(server, device));
    CHECK(info.profile == options.profile);
    CHECK(info.manifest_digest == before.manifest().digest());
    CHECK(info.base == before.version());
    CHECK(info.next == device.version());
    CHECK(device.version().number == before.version().number + 1);
    std::optional<std::map<std::uint32_t, float>> changes;
    if (options.profile == UpdateProfile::compact) {
      Bytes copy = update;
      changes = reader.read_update(copy, before);
    } else {
      changes = reference::read_update(update, before, reader.digest());
    }
    REQUIRE(changes.has_value());
    CHECK(changes->size() == info.coordinates);
    std::vector<float> expected(before.values().begin(), before.values().end());
    for (const auto& [index, value] : *changes) expected[index] = value;
    CHECK(std::ranges::equal(device.values(), expected, {}, std::bit_cast<std::uint32_t, float>,
                             std::bit_cast<std::uint32_t, float>));
    CHECK(device.version().digest == parameter_digest(expected) + reader.digest());
    bytes += update.size();
    return update;
  }
};

struct Sample {
  ModelState before;
  ModelState after;
  Bytes bytes;
};

/// The update that follows three others.
Sample sample(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  ModelState state(manifest, random_values(n, random), 5);
  for (int step = 0; step < 3; ++step) {
    encode_update(state, random_values(n, random), random_set(n, 60, random), compact_at(-3));
  }
  const ModelState before = state;
  Bytes bytes =
      encode_update(state, random_values(n, random), random_set(n, count, random), compact_at(-5));
  return {before, state, std::move(bytes)};
}

/// Gives a changed update the proof that belongs to it, if there is any.
void seal(Bytes& bytes, const ModelState& held, CompactDevice reader) {
  if (bytes.size() >= 22) reader.read_update(bytes, held, true);
}

}  // namespace

TEST_CASE("server, device and a plain reader agree over streams of many kinds") {
  Random random(1);
  for (int round = 0; round < 12; ++round) {
    const auto manifest = small_network();
    const std::size_t n = manifest->dimension();
    Stream stream(ModelState(manifest, random_values(n, random), 100));
    std::vector<float> drift = random_values(n, random, 0.02);
    for (int step = 0; step < 30; ++step) {
      CAPTURE(round);
      CAPTURE(step);
      std::vector<float> trained(stream.server.values().begin(), stream.server.values().end());
      for (std::size_t i = 0; i < n; ++i) {
        // Some move steadily, some at random, some far, most hardly.
        const double noise = std::pow(random.uniform(), 1 + round) * (random.uniform() - 0.5);
        trained[i] += static_cast<float>(noise * std::exp2(static_cast<double>(round % 6) - 3)) +
                      (i % 3 == 0 ? drift[i] : 0);
        if (random.below(400) == 0) trained[i] += static_cast<float>(1000 * noise);
      }
      const std::size_t count = step % 9 == 8 ? 0 : step % 7 == 6 ? n : random.below(n + 1);
      EncodeOptions options = round % 3 == 0 ? compact() : compact_at(-4 - round % 5);
      options.compact.relative_step = std::exp2(static_cast<double>(step % 5) - 2);
      stream.send(trained, count == n ? CoordinateSet::all(n) : random_set(n, count, random),
                  options);
    }
  }
}

TEST_CASE("each value is the held one and a whole number of steps, rounded once") {
  Random random(2);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  for (const int exponent : {-20, -9, -7, 0, 3}) {
    const ModelState before(manifest, random_values(n, random));
    Stream stream(before);
    std::vector<float> trained = random_values(n, random, 8);
    trained[3] = before.values()[3];
    const CoordinateSet set = random_set(n, 120, random);
    stream.send(trained, set, compact_at(exponent));
    std::vector<bool> sent(n);
    set.for_each([&](std::uint32_t i) { sent[i] = true; });
    for (std::size_t i = 0; i < n; ++i) {
      const double held = before.values()[i];
      const double steps =
          std::floor(std::abs(trained[i] - held) / std::ldexp(1.0, exponent) + 0.5);
      const double product = std::copysign(std::ldexp(steps, exponent), trained[i] - held);
      // Exact in double for these magnitudes, so the cast is the one rounding.
      const float expected = sent[i] ? static_cast<float>(held + product) : before.values()[i];
      CHECK(stream.device.values()[i] == expected);
    }
  }
}

TEST_CASE("a difference that no number of steps reaches gets longer steps") {
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  std::vector<float> held(n, 1.0F);
  for (const float far : {3e4F, 1e10F, 1e30F, 3.4e38F}) {
    Stream stream(ModelState(manifest, held));
    std::vector<float> trained = held;
    trained[1] = far;
    trained[50] = -far;
    stream.send(trained, CoordinateSet::all(n), compact_at(-20));
    CHECK(std::abs(stream.device.values()[1] - far) <= far * 1e-6F);
    CHECK(std::abs(stream.device.values()[50] + far) <= far * 1e-6F);
  }
  // From one end of float32 to the other it takes two.
  held[0] = std::numeric_limits<float>::lowest();
  Stream stream(ModelState(manifest, held));
  std::vector<float> trained = held;
  trained[0] = std::numeric_limits<float>::max();
  stream.send(trained, CoordinateSet::all(n), compact());
  stream.send(trained, CoordinateSet::all(n), compact());
  CHECK(stream.device.values()[0] >= 0.999F * trained[0]);
  // Rounded beyond the end: refused.
  trained[0] = 2e38F;
  stream.send(trained, CoordinateSet::all(n), compact_at(104));
  trained[0] = std::numeric_limits<float>::max();
  const ModelState before = stream.server;
  const std::string result = outcome(
      [&] { encode_update(stream.server, trained, CoordinateSet::all(n), compact_at(104)); });
  CHECK((result == "invalid_argument" || stream.server.values()[0] <= trained[0]));
  if (result != "success") CHECK(same(stream.server, before));
}

TEST_CASE("all magnitudes come through, of either sign") {
  const auto manifest =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{.name = "w", .shape = {2, 100}}});
  std::vector<std::int32_t> steps;
  for (std::int32_t m = 1; m <= 40; ++m) steps.insert(steps.end(), {m, -m});
  for (int bit = 6; bit < 24; ++bit) {
    for (const std::int32_t more : {-1, 0, 1}) steps.push_back((1 << bit) + more);
  }
  steps.insert(steps.end(), {(1 << 24) - 1, -((1 << 24) - 1), 0, -12345678});
  steps.resize(200);
  Stream stream(ModelState(manifest, std::vector<float>(200, 0.0F)));
  for (int round = 0; round < 3; ++round) {
    std::vector<float> trained(200);
    for (std::size_t i = 0; i < 200; ++i) {
      trained[i] =
          stream.server.values()[i] + static_cast<float>(round == 1 ? -steps[i] : steps[i]);
    }
    stream.send(trained, CoordinateSet::all(200), compact_at(0));
    for (std::size_t i = 0; i < 200; ++i) {
      CHECK(stream.device.values()[i] == (round == 1 ? 0.0F : static_cast<float>(steps[i])));
    }
  }
}

TEST_CASE("automatic steps are the power of two nearest to the group's root mean square") {
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  std::vector<float> trained(n, 1.0F);
  const auto move = [&](const char* name, float by) {
    for (const TensorSpec& t : manifest->tensors()) {
      if (t.name != name) continue;
      for (std::size_t i = 0; i < t.size; ++i) trained[t.offset + i] += i % 2 == 0 ? by : -by;
    }
  };
  move("conv1", 0.011F);  // 2^-6.5
  move("conv2", 0.011F);
  move("scale", 0.24F);
  move("shift", 0.27F);
  move("head", 3e-5F);  // 2^-15.02
  move("mean", 100);    // 2^6.6
  // What is known of all that moves: the smallest distance between two values that can result.
  const auto step_of = [&](const CompactOptions& options, const char* name) {
    ModelState state(manifest, std::vector<float>(n, 1.0F));
    std::vector<float> target = trained;
    encode_update(state, target, CoordinateSet::all(n), compact(options));
    for (const TensorSpec& t : manifest->tensors()) {
      if (t.name == name) return std::abs(state.values()[t.offset] - 1.0F);
    }
    return 0.0F;
  };
  // conv1, conv2, temperature and bias are one group of 116, six of which stay.
  CHECK(step_of({}, "conv1") == std::ldexp(1.0F, -7));
  CHECK(step_of({}, "scale") == 0.25F);
  CHECK(step_of({}, "shift") == 0.25F);
  CHECK(step_of({}, "head") == std::ldexp(1.0F, -15));
  CHECK(step_of({}, "mean") == 104.0F);  // in steps of 8
  CompactOptions finer;
  finer.relative_step = 0.25;
  CHECK(step_of(finer, "conv1") == 6 * std::ldexp(1.0F, -9));  // 0.011 in steps of 2^-9
  CHECK(step_of(finer, "mean") == 100.0F);
  CompactOptions weights;
  weights.weight_step_multiplier = 2;
  CHECK(step_of(weights, "conv1") == std::ldexp(1.0F, -6));
  CHECK(step_of(weights, "scale") == 0.25F);
  CHECK(step_of(weights, "head") == std::ldexp(1.0F, -15));
  CHECK(step_of(weights, "mean") == 104.0F);
  weights.relative_step = 0.125;
  CHECK(step_of(weights, "conv1") == 6 * std::ldexp(1.0F, -9));
  weights.step_exponent = -7;  // in place of both
  CHECK(step_of(weights, "conv1") == std::ldexp(1.0F, -7));
  CompactOptions chosen;
  chosen.step_exponent = 4;  // of everything
  CHECK(step_of(chosen, "scale") == 0.0F);
  CHECK(step_of(chosen, "mean") == 96.0F);
}

TEST_CASE("the coded size is within 3% of the ideal adaptive code length") {
  struct Case {
    std::string name;
    double moving;  // share of the coordinates that tend to move
    double rate;    // how often these do
    double spread;  // of their magnitudes, in steps
    int updates;
  };
  for (const Case& c : {Case{"fixed group", 0.6, 0.5, 1.5, 40}, Case{"sparse", 0.02, 0.5, 1, 20},
                        Case{"fine steps", 1, 1, 60, 10}, Case{"calm", 0.3, 0.03, 0.7, 60}}) {
    CAPTURE(c.name);
    Random random(3);
    std::vector<TensorSpec> tensors;
    for (int t = 0; t < 40; ++t) {
      const std::string name = std::to_string(t);
      tensors.push_back(
          {.name = name + ".weight", .shape = {40}, .role = TensorRole::normalization});
      tensors.push_back({.name = name + ".bias", .shape = {40}, .role = TensorRole::normalization});
    }
    tensors.push_back({.name = "head", .shape = {19, 450}, .role = TensorRole::head});
    const auto manifest = std::make_shared<const Manifest>(std::move(tensors));
    const std::size_t n = manifest->dimension();
    std::vector<bool> tends(n);
    for (std::size_t i = 0; i < n; ++i) tends[i] = random.uniform() < c.moving;

    ModelState state(manifest, std::vector<float>(n, 0.0F));
    reference::IdealLength ideal(*manifest);
    double ideal_bits = 0, coded_bits = 0, moves = 0;
    for (int update = 0; update < c.updates; ++update) {
      std::vector<float> trained(state.values().begin(), state.values().end());
      std::map<std::size_t, std::pair<int, std::vector<std::int64_t>>> wishes;
      for (std::size_t t = 0; t < manifest->tensors().size(); ++t) {
        const TensorSpec& spec = manifest->tensors()[t];
        std::vector<std::int64_t> steps(spec.size);
        bool any = false;
        for (std::size_t i = 0; i < spec.size; ++i) {
          if (!tends[spec.offset + i] || random.uniform() >= c.rate) continue;
          steps[i] = std::llround(c.spread * std::log(random.uniform() + 1e-9) *
                                  (random.uniform() < 0.8 ? 1 : -1));
          any |= steps[i] != 0;
          moves += steps[i] != 0;
          trained[spec.offset + i] += std::ldexp(static_cast<float>(steps[i]), -7);
        }
        if (any) wishes[t] = {-7, std::move(steps)};
      }
      ideal_bits += ideal.update(wishes);
      const Bytes bytes = encode_update(state, trained, CoordinateSet::all(n), compact_at(-7));
      coded_bits += 8.0 * static_cast<double>(bytes.size() - 22);
    }
    MESSAGE(c.name << ": " << coded_bits / moves << " bits a move, ideal " << ideal_bits / moves
                   << ", " << coded_bits / c.updates / 8 << " bytes an update");
    CHECK(coded_bits <= 1.03 * ideal_bits);
    CHECK(coded_bits >= 0.97 * ideal_bits);  // where it ends tells a byte or so
  }
}

TEST_CASE("tensors that stay cost next to nothing") {
  // 100 large tensors of which one small one moves: their flags are not among what is sent.
  Random random(4);
  std::vector<TensorSpec> tensors;
  for (int t = 0; t < 100; ++t) {
    tensors.push_back({.name = std::to_string(t), .shape = {100, 100}});
  }
  tensors.push_back({.name = "scale", .shape = {40}, .role = TensorRole::normalization});
  const auto manifest = std::make_shared<const Manifest>(std::move(tensors));
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, std::vector<float>(n, 0.0F)));
  for (int update = 0; update < 20; ++update) {
    std::vector<float> trained(stream.server.values().begin(), stream.server.values().end());
    for (std::size_t i = n - 40; i < n; ++i) trained[i] += static_cast<float>(random.below(3)) - 1;
    const Bytes bytes = encode_update(stream.server, trained, CoordinateSet::all(n), compact_at(0));
    if (update > 10) CHECK(bytes.size() < 22 + 12);
  }
}

TEST_CASE("what is outside the set is not sent, nor what moves by less than half a step") {
  Random random(5);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, random_values(n, random)));
  std::vector<float> trained(stream.server.values().begin(), stream.server.values().end());
  for (float& value : trained) value += 0.124F;
  const Bytes nothing = stream.send(trained, CoordinateSet::all(n), compact_at(-2));
  CHECK(nothing.size() <= 23);
  CHECK(stream.device.version().number == 1);
  const ModelState before = stream.device;
  stream.send(trained, CoordinateSet::from_sorted(n, {2, 90}), compact_at(-3));
  for (std::size_t i = 0; i < n; ++i) {
    CHECK((stream.device.values()[i] != before.values()[i]) == (i == 2 || i == 90));
  }
}

TEST_CASE("what lies in the dead zone stays, and the rest is written as without one") {
  Random random(15);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  const ModelState start(manifest, random_values(n, random));
  std::vector<float> trained(start.values().begin(), start.values().end());
  for (float& value : trained) value += 0.5F * static_cast<float>(random.uniform() - 0.5);
  const CompactOptions rounding = compact_at(-4).compact;
  std::size_t most = SIZE_MAX;
  for (const double dead_zone : {0.5, 0.75, 1.0, 2.5, 4.0}) {
    CAPTURE(dead_zone);
    CompactOptions options = rounding;
    options.dead_zone = dead_zone;
    Stream plain(start), stream(start);
    plain.send(trained, CoordinateSet::all(n), compact(rounding));
    const Bytes bytes = stream.send(trained, CoordinateSet::all(n), compact(options));
    CHECK(bytes.size() <= most);
    most = bytes.size();
    for (std::size_t i = 0; i < n; ++i) {
      const double steps =
          std::abs(double(trained[i]) - double(start.values()[i])) * 16;  // of 2^-4
      const bool is_statistic =
          manifest->tensors()[manifest->tensor_of(i)].kind == ams::TensorKind::statistic;
      CHECK(stream.device.values()[i] ==
            (steps >= dead_zone || is_statistic ? plain.device.values()[i] : start.values()[i]));
    }
  }
}

TEST_CASE("updates of nothing, for models of nothing") {
  ModelState empty(std::make_shared<const Manifest>(), {});
  Stream stream(empty);
  CHECK(stream.send({}, CoordinateSet::all(0), compact()).size() == 22);
  CHECK(stream.send({}, CoordinateSet::all(0), compact()).size() == 22);
}

TEST_CASE("profiles follow each other on one stream") {
  Random random(6);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, random_values(n, random)));
  for (int step = 0; step < 20; ++step) {
    std::vector<float> trained(stream.server.values().begin(), stream.server.values().end());
    for (float& value : trained) value += static_cast<float>(0.1 * (random.uniform() - 0.5));
    EncodeOptions options = compact_at(-6);
    if (step < 3 || step % 4 == 0) options.profile = UpdateProfile::reference;
    stream.send(trained, random_set(n, 80, random), options);
  }
}

TEST_CASE("a snapshot in mid-stream carries what was learned") {
  Random random(7);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, random_values(n, random)));
  for (int step = 0; step < 12; ++step) {
    const Bytes snapshot = encode_snapshot(stream.server);
    ModelState late = decode_snapshot(snapshot, manifest);
    CHECK(same(late, stream.server));
    CHECK(encode_snapshot(late) == snapshot);
    std::vector<float> trained(stream.server.values().begin(), stream.server.values().end());
    for (float& value : trained) value += static_cast<float>(0.3 * (random.uniform() - 0.5));
    const Bytes update = stream.send(trained, random_set(n, 100, random), compact_at(-5));
    // Whoever begins with the snapshot takes the next update, and continues a server's work.
    ModelState server = late;
    apply_update(update, late);
    CHECK(same(late, stream.server));
    CHECK(encode_update(server, trained, CoordinateSet::all(n), compact_at(-5)).size() > 22);
  }
  // The same values without that memory are another version.
  const ModelState bare(manifest, {stream.server.values().begin(), stream.server.values().end()},
                        stream.server.version().number);
  CHECK(bare.version() != stream.server.version());
  ModelState next = stream.server;
  const Bytes update =
      encode_update(next, random_values(n, random), CoordinateSet::all(n), compact());
  CHECK(rejection(update, bare) == "base_version_mismatch");
}

TEST_CASE("the codec state in a snapshot is what the plain reader has, and every part is checked") {
  Random random(8);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, random_values(n, random)));
  CHECK(reference::get(encode_snapshot(stream.server), 32, 4) == 0);
  for (int step = 0; step < 5; ++step) {
    stream.send(random_values(n, random), random_set(n, 50, random), compact_at(-4));
  }
  const Bytes good = encode_snapshot(stream.server);
  const std::size_t size = reference::get(good, 32, 4);
  REQUIRE(size > 0);
  const Bytes content =
      reference::unpack(std::span<const std::byte>(good).subspan(36, size), 1 << 20).value();
  CHECK(content == stream.reader.state_bytes());

  const auto result = [&](const Bytes& frame) {
    Bytes bytes = good;
    bytes.resize(36);
    reference::put(bytes, 32, 4, frame.size());
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    bytes.insert(bytes.end(), good.begin() + static_cast<std::ptrdiff_t>(36 + size), good.end());
    reference::seal(bytes);
    return outcome([&] { (void)decode_snapshot(bytes, manifest); });
  };
  const auto changed = [&](std::size_t at, int value) {
    Bytes state = content;
    state[at] = static_cast<std::byte>(value);
    return result(reference::pack(state));
  };
  CHECK(result(reference::pack(content, 19)) == "success");
  const std::size_t contexts = 10 + 3 * 361, tensors = 10 * contexts,
                    history = tensors + 2 * manifest->tensors().size();
  REQUIRE(content.size() == history + n);
  CHECK(changed(0, 77) == "digest_mismatch");
  CHECK(changed(9, 3) == "malformed_data");          // 768 bits seen
  CHECK(changed(tensors, 105) == "malformed_data");  // a step of 2^105
  CHECK(changed(tensors, -101) == "malformed_data");
  CHECK(changed(tensors + 1, 2) == "malformed_data");
  CHECK(changed(tensors + 1, 4) == "malformed_data");
  CHECK(changed(history, 0x0c) == "malformed_data");
  CHECK(changed(history, 0x10) == "malformed_data");
  CHECK(changed(history, 0x01) == "malformed_data");
  CHECK(changed(history + n - 1, 0x3b) == "digest_mismatch");
  for (const std::size_t other : {0UL, 1UL, content.size() - 1, content.size() + 1}) {
    Bytes state = content;
    state.resize(other);
    CHECK(result(reference::pack(state)) == "malformed_data");
  }
  CHECK(result(Bytes(3)) == "malformed_data");
}

TEST_CASE("a refused update leaves no trace, and the stream goes on") {
  Random random(9);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, random_values(n, random)));
  for (int step = 0; step < 10; ++step) {
    ModelState server = stream.server;
    Bytes update =
        encode_update(server, random_values(n, random), CoordinateSet::all(n), compact_at(-3));
    update[14 + random.below(update.size() - 14)] ^= std::byte{4};
    CHECK(rejection(update, stream.device) != "success");
    std::vector<float> bad = random_values(n, random);
    bad[random.below(n)] = step % 2 == 0 ? infinity : std::nanf("");
    const ModelState before = stream.server;
    expect_error(
        ErrorCode::invalid_argument,
        [&] { encode_update(stream.server, bad, CoordinateSet::all(n), compact()); }, "finite");
    CHECK(same(stream.server, before));
    stream.send(random_values(n, random), random_set(n, 70, random), compact_at(-4));
  }
}

TEST_CASE("only the next update is taken") {
  Random random(10);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  ModelState server(manifest, random_values(n, random));
  std::vector<ModelState> states = {server};
  std::vector<Bytes> sent;
  for (int step = 0; step < 8; ++step) {
    const std::size_t count = step == 4 ? 0 : 90;
    sent.push_back(encode_update(server, random_values(n, random), random_set(n, count, random),
                                 compact_at(-4)));
    states.push_back(server);
  }
  for (std::size_t held = 0; held < states.size(); ++held) {
    for (std::size_t i = 0; i < sent.size(); ++i) {
      CHECK(rejection(sent[i], states[held]) == (i == held ? "success" : "base_version_mismatch"));
    }
  }
  // Nor one for a model with the same values under other names.
  std::vector<TensorSpec> renamed(manifest->tensors().begin(), manifest->tensors().end());
  renamed[0].name = "other";
  const ModelState other(std::make_shared<const Manifest>(renamed),
                         {states[0].values().begin(), states[0].values().end()});
  CHECK(other.version() == states[0].version());
  CHECK(rejection(sent[0], other) == "base_version_mismatch");
}

TEST_CASE("the last version is the last") {
  Random random(11);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  ModelState last(manifest, random_values(n, random), 0xffffffff);
  CHECK(outcome([&] {
          encode_update(last, random_values(n, random), CoordinateSet::all(n), compact());
        }) == "limit_exceeded");
  Stream stream(ModelState(manifest, random_values(n, random), 0xfffffffe));
  Bytes update = stream.send(random_values(n, random), CoordinateSet::all(n), compact());
  CHECK(stream.device.version().number == 0xffffffff);
  reference::put(update, 6, 4, 0xffffffff);
  CHECK(rejection(update, stream.device) == "malformed_data");
  CHECK(outcome([&] { inspect_update(update); }) == "malformed_data");
}

TEST_CASE("options out of range are refused by name") {
  Random random(12);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  ModelState state(manifest, random_values(n, random));
  const std::vector<float> trained = random_values(n, random);
  for (const double bad : {0.0, -1.0, 1e-7, 2e6, std::nan("")}) {
    CompactOptions options;
    options.relative_step = bad;
    expect_error(
        ErrorCode::invalid_argument,
        [&] { encode_update(state, trained, CoordinateSet::all(n), compact(options)); },
        "relative_step");
    options = {};
    options.weight_step_multiplier = bad;
    expect_error(
        ErrorCode::invalid_argument,
        [&] { encode_update(state, trained, CoordinateSet::all(n), compact(options)); },
        "weight_step_multiplier");
  }
  for (const double bad : {0.0, 0.49, 4.5, std::nan("")}) {
    CompactOptions options;
    options.dead_zone = bad;
    expect_error(
        ErrorCode::invalid_argument,
        [&] { encode_update(state, trained, CoordinateSet::all(n), compact(options)); },
        "dead_zone");
  }
  for (const int bad : {-101, 105, 1000}) {
    expect_error(
        ErrorCode::invalid_argument,
        [&] { encode_update(state, trained, CoordinateSet::all(n), compact_at(bad)); },
        "step_exponent", std::to_string(bad));
  }
  CHECK(state.version().number == 0);
}

TEST_CASE("inspect reads the lean header and nothing else") {
  const Sample s = sample(100, 13);
  const UpdateInfo info = inspect_update(s.bytes);
  CHECK(info.profile == UpdateProfile::compact);
  CHECK(info.base == ModelVersion{8, 0});
  CHECK(info.next == ModelVersion{9, 0});
  CHECK(info.manifest_digest == 0);
  CHECK(info.coordinates == 0);
  Bytes damaged = s.bytes;
  damaged[20] ^= std::byte{1};
  CHECK(outcome([&] { inspect_update(damaged); }) == "success");
  CHECK(outcome([&] { inspect_update(std::span(s.bytes).first(21)); }) == "malformed_data");
  CHECK(outcome([&] { inspect_update(std::span(s.bytes).first(22)); }) == "success");
}

TEST_CASE("every field of the lean header is checked") {
  const Sample s = sample(100, 14);
  struct Change {
    std::size_t at, size;
    std::uint64_t value;
    const char* expected;
  };
  const std::size_t end = s.bytes.size() - 8;
  const std::vector<Change> changes = {
      {0, 4, 0x53534d41, "malformed_data"},
      {4, 1, 0, "unsupported_version"},
      {4, 1, 2, "unsupported_version"},
      {5, 1, 0, "unsupported_version"},
      {5, 1, 3, "unsupported_version"},
      {6, 4, 7, "base_version_mismatch"},
      {6, 4, 9, "base_version_mismatch"},
      {6, 4, 0xffffffff, "malformed_data"},
      {10, 4, reference::get(s.bytes, 10, 4) ^ 1, "base_version_mismatch"},
      {10, 4, reference::get(s.bytes, 10, 4) ^ 0x80000000, "base_version_mismatch"},
      {end, 8, reference::get(s.bytes, end, 8) ^ 1, "digest_mismatch"},
      {end, 8, 0, "digest_mismatch"},
  };
  for (const Change& change : changes) {
    CAPTURE(change.at);
    CAPTURE(change.value);
    Bytes bytes = s.bytes;
    reference::put(bytes, change.at, change.size, change.value);
    CHECK(rejection(bytes, s.before) == change.expected);
  }
  // As reference, its bytes are no update either.
  Bytes bytes = s.bytes;
  bytes[5] = std::byte{1};
  CHECK(rejection(bytes, s.before) == "digest_mismatch");
}

TEST_CASE("no flipped bit, cut or addition gets through") {
  for (const std::size_t count : {0UL, 3UL, 100UL, 173UL}) {
    CAPTURE(count);
    const Sample s = sample(count, 15);
    std::size_t accepted = 0;
    for (std::size_t bit = 0; bit < 8 * s.bytes.size(); ++bit) {
      Bytes bytes = s.bytes;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      accepted += rejection(bytes, s.before) == "success";
    }
    for (std::size_t size = 0; size < s.bytes.size(); ++size) {
      const Bytes bytes(s.bytes.begin(), s.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      accepted += rejection(bytes, s.before) == "success";
    }
    for (std::size_t more = 1; more <= 20; ++more) {
      Bytes bytes = s.bytes;
      bytes.resize(bytes.size() + more);
      accepted += rejection(bytes, s.before) == "success";
      bytes = s.bytes;  // also between body and proof
      bytes.insert(bytes.end() - 8, more, std::byte{1});
      accepted += rejection(bytes, s.before) == "success";
    }
    CHECK(accepted == 0);
    CHECK(rejection(s.bytes, s.before) == "success");
  }
}

TEST_CASE("forged bodies with a right proof: codec and plain reader agree on every one") {
  Random random(16);
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  Stream stream(ModelState(manifest, random_values(n, random)));
  for (int step = 0; step < 4; ++step) {
    stream.send(random_values(n, random), random_set(n, 60, random), compact_at(-3));
  }
  ModelState server = stream.server;
  const Bytes honest =
      encode_update(server, random_values(n, random), random_set(n, 60, random), compact_at(-4));
  std::size_t taken = 0, refused = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes bytes = honest;
    if (round % 2 == 0) {
      bytes[14 + random.below(bytes.size() - 22)] = static_cast<std::byte>(random.below(256));
    } else {
      bytes.resize(22 + random.below(60));
      const bool wild = round % 4 == 1;
      for (std::size_t i = 14; i + 8 < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(wild ? random.below(256) : 255 * random.below(2));
      }
    }
    seal(bytes, stream.device, stream.reader);
    CompactDevice reader = stream.reader;
    const auto expected = reader.read_update(bytes, stream.device);
    ModelState state = stream.device;
    const bool applied = outcome([&] { apply_update(bytes, state); }) == "success";
    REQUIRE(applied == expected.has_value());
    ++(applied ? taken : refused);
    if (!applied) {
      CHECK(state.version() == stream.device.version());
      continue;
    }
    for (const auto& [index, value] : *expected) REQUIRE(state.values()[index] == value);
    REQUIRE(state.version().digest == parameter_digest(state.values()) + reader.digest());
  }
  CHECK(taken > 100);
  CHECK(refused > 100);
}

TEST_CASE("bytes that nobody needs are refused") {
  Random random(17);
  const auto manifest = small_network();
  const CompactDevice reader(*manifest);
  ModelState state(manifest, std::vector<float>(173, 0.0F));
  const ModelState before = state;
  const Bytes good =
      encode_update(state, random_values(173, random), CoordinateSet::all(173), compact_at(-4));
  const auto with_body = [&](const std::function<void(Bytes&)>& change) {
    Bytes body(good.begin() + 14, good.end() - 8);
    change(body);
    Bytes bytes = good;
    bytes.resize(14);
    bytes.insert(bytes.end(), body.begin(), body.end());
    bytes.resize(bytes.size() + 8);
    seal(bytes, before, reader);
    return rejection(bytes, before);
  };
  CHECK(with_body([](Bytes&) {}) == "success");
  CHECK(with_body([](Bytes& b) { b.push_back(std::byte{0}); }) == "malformed_data");
  CHECK(with_body([](Bytes& b) { b.insert(b.end(), 9, std::byte{7}); }) == "malformed_data");
  CHECK(with_body([](Bytes& b) { b.insert(b.end(), 100000, std::byte{255}); }) == "malformed_data");
}

TEST_CASE("any body costs no more than the model's size allows") {
  // Whatever stands in a short body, zeros follow it: the longest tale that a decoder can be told.
  const auto manifest = std::make_shared<const Manifest>(
      std::vector<TensorSpec>{{.name = "w", .shape = {300, 1000}}});
  const ModelState state(manifest, std::vector<float>(300000, 0.0F));
  for (const int fill : {0, 1, 127, 255}) {
    for (const std::size_t size : {22UL, 23UL, 26UL, 400UL}) {
      Bytes bytes(size, static_cast<std::byte>(fill));
      ModelState server = state;
      const Bytes header =
          encode_update(server, std::vector<float>(300000), CoordinateSet::all(300000), compact());
      std::copy_n(header.begin(), 14, bytes.begin());
      CHECK(rejection(bytes, state) != "success");
    }
  }
}

namespace {

const std::string data_folder = std::string(AMS_SOURCE_DIR) + "/tests/core/data/";

Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE_MESSAGE(in.good(), "cannot read ", path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

constexpr int golden_updates = 4;

std::string golden_file(int update) {
  return data_folder + "golden_compact_" + std::to_string(update) + ".bin";
}

/// A stream in integers, so that every machine computes the same: three updates, the second one of
/// another step and the third one of nothing, and one that goes far.
Stream golden_stream(std::vector<Bytes>& updates) {
  const auto manifest = small_network();
  const std::size_t n = manifest->dimension();
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    values[i] =
        static_cast<float>(static_cast<std::int64_t>(mix64(i) >> 40) - (1 << 23)) * 0x1p-23F;
  }
  Stream stream(ModelState(manifest, values, 1000));
  for (int update = 0; update < golden_updates; ++update) {
    std::vector<float> trained(stream.server.values().begin(), stream.server.values().end());
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t noise = mix64(1000 * static_cast<std::uint64_t>(update + 1) + i);
      const auto steps = static_cast<int>(noise % 9) - 4;
      if (noise >> 62 != 0 || update == 3) trained[i] += static_cast<float>(steps) * 0x1p-6F;
      if (update == 3 && i % 50 == 7) trained[i] += 300;
    }
    updates.push_back(stream.send(
        trained, update == 2 ? CoordinateSet::from_sorted(n, {}) : CoordinateSet::all(n),
        compact_at(update == 1 ? -8 : -6)));
  }
  return stream;
}

}  // namespace

TEST_CASE("the golden updates lead to the pinned state, and are what is written today") {
  std::vector<Bytes> written;
  const Stream stream = golden_stream(written);
  CHECK(stream.server.version().number == 1004);
  CHECK(stream.server.version().digest == 0x4ad2faf564045e4aULL);
  for (int update = 0; update < golden_updates; ++update) {
    CAPTURE(update);
    CHECK(written[static_cast<std::size_t>(update)] == read_file(golden_file(update)));
  }
  CHECK(same(decode_snapshot(read_file(data_folder + "golden_compact_snapshot.bin"),
                             stream.server.manifest_ptr()),
             stream.server));
}

// Run with --no-skip --test-case="write*" after a deliberate change of the format, and raise its
// version.
TEST_CASE("write the golden files" * doctest::skip()) {
  std::vector<Bytes> updates;
  const Stream stream = golden_stream(updates);
  const auto write = [](const std::string& path, const Bytes& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    CHECK(out.good());
  };
  for (int update = 0; update < golden_updates; ++update) {
    write(golden_file(update), updates[static_cast<std::size_t>(update)]);
  }
  write(data_folder + "golden_compact_snapshot.bin", encode_snapshot(stream.server));
  MESSAGE("state " << stream.server.version().digest);
}
