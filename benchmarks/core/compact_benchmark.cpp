#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>
#ifdef AMS_BENCHMARK_LZMA
#include <lzma.h>
#endif
#ifdef AMS_BENCHMARK_BROTLI
#include <brotli/encode.h>
#endif

#include "ams/core/coordinate_set.hpp"
#include "harness.hpp"
#include "plain_update.hpp"

// Profile `compact` on streams of updates: time of writing and of checking and applying one, and
// bits a move (a coordinate that moves by at least one step), beside general compressors on the
// same steps (one byte for each coordinate of the tensors that take part, the bytes of one update
// at a time) and profile `reference` on the same set. The floor of the size is the entropy of those
// bytes, had their distribution been known beforehand and free; what is carried from update to
// update goes below it.
namespace ams::benchmark {
namespace {

/// Wishes of a trainer for the coordinates of one parameter vector, update by update: some
/// coordinates move often, most seldom, and the direction mostly stays.
class Trainer {
 public:
  Trainer(std::shared_ptr<const Manifest> manifest, double moving)
      : manifest_(std::move(manifest)), rate_(manifest_->dimension()), down_(rate_.size()) {
    for (float& rate : rate_) {
      rate = static_cast<float>(moving * 6 * std::pow(random_.uniform(), 5));  // mean: `moving`
    }
  }

  /// Steps from -127 to 127; their set is the coordinates that a trainer has chosen, moved or not.
  std::vector<std::int8_t> next(std::vector<std::uint32_t>& chosen) {
    std::vector<std::int8_t> steps(rate_.size());
    chosen.clear();
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (random_.uniform() >= 2 * rate_[i]) continue;
      chosen.push_back(static_cast<std::uint32_t>(i));
      if (random_.uniform() < 0.5) continue;
      if (random_.uniform() < 0.15) down_[i] = !down_[i];
      const double size = 1 - 1.2 * std::log(1 - random_.uniform());
      steps[i] = static_cast<std::int8_t>((down_[i] ? -1 : 1) * std::min(127.0, std::floor(size)));
    }
    return steps;
  }

 private:
  std::shared_ptr<const Manifest> manifest_;
  Random random_{1};
  std::vector<float> rate_;
  std::vector<bool> down_;
};

double entropy_bits(const Bytes& bytes) {
  std::vector<double> counts(256);
  for (const std::byte b : bytes) ++counts[std::to_integer<std::size_t>(b)];
  double bits = 0;
  for (const double count : counts) {
    if (count > 0) bits -= count * std::log2(count / static_cast<double>(bytes.size()));
  }
  return bits;
}

struct Compressor {
  const char* name;
  std::function<std::size_t(const Bytes&)> size;
};

std::vector<Compressor> compressors() {
  std::vector<Compressor> all = {
      {"steps as bytes, zstd -19", [](const Bytes& b) { return zstd_pack(b, 19).size(); }}};
#ifdef AMS_BENCHMARK_LZMA
  all.push_back({"steps as bytes, xz -9e", [](const Bytes& b) {
                   Bytes packed(lzma_stream_buffer_bound(b.size()));
                   std::size_t size = 0;
                   lzma_easy_buffer_encode(9 | LZMA_PRESET_EXTREME, LZMA_CHECK_NONE, nullptr,
                                           reinterpret_cast<const std::uint8_t*>(b.data()),
                                           b.size(), reinterpret_cast<std::uint8_t*>(packed.data()),
                                           &size, packed.size());
                   return size;
                 }});
#else
  std::printf("xz: not built (liblzma is missing)\n");
#endif
#ifdef AMS_BENCHMARK_BROTLI
  all.push_back({"steps as bytes, brotli -11", [](const Bytes& b) {
                   std::size_t size = BrotliEncoderMaxCompressedSize(b.size());
                   Bytes packed(size);
                   BrotliEncoderCompress(11, 24, BROTLI_MODE_GENERIC, b.size(),
                                         reinterpret_cast<const std::uint8_t*>(b.data()), &size,
                                         reinterpret_cast<std::uint8_t*>(packed.data()));
                   return size;
                 }});
#else
  std::printf("brotli: not built (libbrotli is missing)\n");
#endif
  return all;
}

struct Update {
  Bytes compact, reference, steps;
  ModelState before;  // of the device
  std::vector<float> trained;
  CoordinateSet set;
  double moves = 0;
};

/// The updates after `warm_up` others.
std::vector<Update> stream(const std::shared_ptr<const Manifest>& manifest, double moving,
                           int warm_up, int count) {
  Trainer trainer(manifest, moving);
  Random random(2);
  std::vector<float> values(manifest->dimension());
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
  ModelState state(manifest, values);
  EncodeOptions options;
  options.profile = UpdateProfile::compact;
  options.compact.step_exponent = -7;
  std::vector<Update> updates;
  std::vector<std::uint32_t> chosen;
  for (int i = 0; i < warm_up + count; ++i) {
    const std::vector<std::int8_t> steps = trainer.next(chosen);
    Update update;
    update.before = state;
    update.trained.assign(state.values().begin(), state.values().end());
    update.steps.resize(steps.size());
    for (std::size_t c = 0; c < steps.size(); ++c) {
      update.trained[c] += static_cast<float>(steps[c]) * 0x1p-7F;
      update.steps[c] = static_cast<std::byte>(steps[c]);
      update.moves += steps[c] != 0;
    }
    update.set = CoordinateSet::from_sorted(steps.size(), chosen);
    update.compact = encode_update(state, update.trained, update.set, options);
    if (i < warm_up) continue;
    ModelState other = update.before;
    update.reference = encode_update(other, update.trained, update.set);
    updates.push_back(std::move(update));
  }
  return updates;
}

void measure(const char* name, const std::shared_ptr<const Manifest>& manifest, double moving) {
  const std::vector<Update> updates = stream(manifest, moving, 20, 5);
  double moves = 0, compact_bytes = 0, entropy = 0, reference_bytes = 0;
  for (const Update& u : updates) {
    moves += u.moves;
    compact_bytes += static_cast<double>(u.compact.size());
    reference_bytes += static_cast<double>(u.reference.size());
    entropy += entropy_bits(u.steps);
  }
  const Update& first = updates.front();
  print_header(
      format((std::string(name) + ", %.0f coordinates, %.0f of them chosen, %.0f move").c_str(),
             static_cast<double>(manifest->dimension()), static_cast<double>(first.set.size()),
             first.moves)
          .c_str());

  EncodeOptions options;
  options.profile = UpdateProfile::compact;
  options.compact.step_exponent = -7;
  Row encode;
  encode.what = "encode_update, compact";
  encode.seconds = median_seconds([&] {
    ModelState state = first.before;  // a copy of the values beside the encoding
    keep(encode_update(state, first.trained, first.set, options).data());
  });
  const auto note = [&](double bytes) {
    return format("%.2f bits a move, alternative %.2f, entropy %.2f", 8 * compact_bytes / moves,
                  8 * bytes / moves, entropy / moves);
  };
  for (const Compressor& compressor : compressors()) {
    double bytes = 0;
    for (const Update& u : updates) bytes += static_cast<double>(compressor.size(u.steps));
    encode.alternative = compressor.name;
    encode.alternative_seconds = median_seconds([&] { compressor.size(first.steps); }, 1, 0);
    encode.note = note(bytes);
    print_row(encode);
  }

  // Applying needs the state before it: copied beforehand, as many as there are calls.
  const auto apply_seconds = [&](const Bytes& update) {
    constexpr int calls = 15;
    std::vector<double> times;
    for (int i = 0; i < calls; ++i) {
      ModelState device = first.before;
      const auto start = std::chrono::steady_clock::now();
      apply_update(update, device);
      times.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      keep(device.values().data());
    }
    std::nth_element(times.begin(), times.begin() + calls / 2, times.end());
    return times[calls / 2];
  };
  Row apply;
  apply.what = "apply_update, compact";
  apply.seconds = apply_seconds(first.compact);
  apply.alternative = "apply_update, reference";
  apply.alternative_seconds = apply_seconds(first.reference);
  apply.floor_seconds =
      2.0 * static_cast<double>(manifest->dimension()) / memory_bytes_per_second();
  apply.note = note(reference_bytes);
  print_row(apply);
}

}  // namespace
}  // namespace ams::benchmark

int main() {
  using namespace ams;
  // Scales, shifts and a classifier: 40,000 coordinates that all may move.
  std::vector<TensorSpec> group;
  for (int t = 0; t < 100; ++t) group.push_back({.name = std::to_string(t), .shape = {200}});
  group.push_back({.name = "head", .shape = {20, 1000}});
  benchmark::measure("compact: a fixed group", std::make_shared<const Manifest>(std::move(group)),
                     0.35);
  // A gradient-guided fraction of a whole network: 2.1 million flags.
  std::vector<TensorSpec> network;
  for (int t = 0; t < 50; ++t) {
    network.push_back({.name = std::to_string(t), .shape = {128, 330}});
  }
  benchmark::measure("compact: gradient-guided",
                     std::make_shared<const Manifest>(std::move(network)), 0.02);
}
