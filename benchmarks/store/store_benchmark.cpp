// What durable sessions cost a server, and a durable model its device, at the default pace.

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ams/core/random.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/policy/fixed.hpp"
#include "ams/runtime/model_journal.hpp"
#include "ams/runtime/session_store.hpp"
#include "ams/session/server_session.hpp"
#include "ams/session/write_update.hpp"
#include "ams/store/sqlite_store.hpp"
#include "harness.hpp"

namespace ams::benchmark {
namespace {

// A student as large as EDANet, and samples of its size: two a batch.
constexpr std::size_t weights = 640000, normalization = 12000, head = 20000;
constexpr std::size_t frame_bytes = 9000, label_bytes = 5000, frames_per_batch = 2;
constexpr double interval_seconds = 2;  // T_update
constexpr int phases = 300;             // a snapshot is written after 256
constexpr double save_interval_seconds = 30;

std::shared_ptr<const Manifest> manifest() {
  static const auto one = std::make_shared<const Manifest>(std::vector<TensorSpec>{
      {.name = "weight", .shape = {weights}},
      {.name = "norm", .shape = {normalization}, .role = TensorRole::normalization},
      {.name = "head", .shape = {head}, .role = TensorRole::head}});
  return one;
}

ModelState initial() {
  Random random(1);
  std::vector<float> values(manifest()->dimension());
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.5) * 0.2F;
  return ModelState(manifest(), values);
}

/// A sample is nothing here.
struct NoTask final : Task {
  std::string name() const override { return "none"; }
  Handle sample(const Handle&, const Handle&) const override { return Handle::make(0); }
  std::optional<double> phi(const Handle&, const Handle&) const override { return std::nullopt; }
  std::size_t size_bytes(const Handle&) const override { return 1; }
  std::unique_ptr<TaskScore> score() const override { return nullptr; }
  Frame draw(const Handle&, const Handle&) const override { return {}; }
};

Bytes noise(std::size_t size, Random& random) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return Bytes(std::move(bytes));
}

/// Bytes that this process has given to write() and its like.
std::uint64_t written_bytes() {
  std::ifstream file("/proc/self/io");
  for (std::string name; file >> name;) {
    std::uint64_t value = 0;
    file >> value;
    if (name == "wchar:") return value;
  }
  return 0;
}

struct Cost {
  double seconds = 0;       ///< median, from the end of training until the update may leave
  double bytes = 0;         ///< of the store, an update
  double update_bytes = 0;  ///< of an update
};

Cost measure(SessionStore& store, bool with_samples) {
  SessionOptions options;
  if (!store.keeps() || !with_samples) options.limits.max_record_sample_bytes = 0;
  ServerSession session(initial(), std::make_shared<NoTask>(),
                        std::make_unique<FixedPolicy>(FixedOptions{}), options);
  Hello hello;
  hello.device_id = "camera";
  hello.manifest_digest = manifest()->digest();
  hello.held = session.held().version();
  session.on_hello(hello, 0);
  Random random(2);
  std::vector<double> times;
  Cost cost;
  std::uint64_t bytes = 0;
  double now = 0;
  for (int phase = 1; phase <= phases; ++phase) {
    now += interval_seconds;
    FrameBatch batch{static_cast<std::uint64_t>(phase), {now, now + 1},
                     noise(frames_per_batch * frame_bytes, random)};
    std::vector<TimedSample> samples;
    for (const double time : batch.capture_seconds) {
      samples.push_back({time, Handle::make(0), noise(label_bytes, random)});
    }
    session.on_frame_batch(batch, now);
    session.on_labelled(batch.batch_id, std::move(samples), now);
    TrainingJob job = session.begin_phase(now);
    TrainingResult result{std::move(job.parameters), std::move(job.adam), {0.1}, 0.5};
    for (std::size_t i = weights; i < result.parameters.size(); ++i) {
      const auto moved = static_cast<float>(random.uniform() - 0.5) * 2e-3F;
      result.parameters[i] += moved;
      result.adam.first_moment[i] = moved;
      result.adam.second_moment[i] = moved * moved;
    }
    const auto begin = std::chrono::steady_clock::now();
    auto trained = session.on_trained(std::move(result), now);
    session.on_written(write_update(std::move(*trained.job)), now);
    const std::uint64_t before = written_bytes();
    if (store.keeps()) store.save(session.record());
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    bytes += written_bytes() - before;
    session.on_ack({session.held().version()}, now);
  }
  std::nth_element(times.begin(), times.begin() + phases / 2, times.end());
  cost.seconds = times[phases / 2];
  cost.bytes = static_cast<double>(bytes) / phases;
  cost.update_bytes = static_cast<double>(session.counters().update_bytes) / phases;
  return cost;
}

double megabytes_per_hour(double bytes_per_update) {
  return bytes_per_update * 3600 / interval_seconds / 1e6;
}

void print(const char* what, const Cost& cost, const Cost& none) {
  print_row({what, cost.seconds, "NoStore", none.seconds, 0,
             format("%.0f bytes an update (%.1f times its own), %.0f MB an hour", cost.bytes,
                    cost.bytes / cost.update_bytes, megabytes_per_hour(cost.bytes))});
}

/// The device's side: a save every 30 s.
void measure_device(const std::filesystem::path& folder) {
  ModelState held = initial();
  ModelJournal journal(folder / "state", manifest());
  journal.save(held);
  const std::uint64_t begin = journal.written_bytes();
  Random random(3);
  const auto updates_per_save = static_cast<int>(save_interval_seconds / interval_seconds);
  constexpr int saves = 120;  // an hour
  double snapshot_seconds = 0, journal_seconds = 0, update_bytes = 0;
  for (int save = 0; save < saves; ++save) {
    std::vector<Bytes> updates;
    for (int i = 0; i < updates_per_save; ++i) {
      std::vector<float> trained(held.values().begin(), held.values().end());
      std::vector<std::uint32_t> moved;
      for (std::size_t at = weights; at < trained.size(); ++at) {
        trained[at] += static_cast<float>(random.uniform() - 0.5) * 2e-3F;
        moved.push_back(static_cast<std::uint32_t>(at));
      }
      updates.emplace_back(encode_update(
          held, trained, CoordinateSet::from_sorted(trained.size(), std::move(moved)),
          recommended_encoding()));
      update_bytes += static_cast<double>(updates.back().size());
    }
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    journal.save(held, updates);
    journal_seconds += std::chrono::duration<double>(Clock::now() - start).count() / saves;
    if (save % 20 != 0) continue;
    ModelJournal whole(folder / "whole", manifest());
    const auto again = Clock::now();
    whole.save(held);
    snapshot_seconds += std::chrono::duration<double>(Clock::now() - again).count() / (saves / 20);
  }
  const double snapshot = static_cast<double>(std::filesystem::file_size(folder / "whole"));
  const double written = static_cast<double>(journal.written_bytes() - begin);
  print_row({"device: save as a journal, every 30 s", journal_seconds, "the whole state",
             snapshot_seconds, 0,
             format("%.0f MB an hour; whole: %.0f MB; updates alone: %.0f MB", written / 1e6,
                    saves * snapshot / 1e6, update_bytes / 1e6)});
}

}  // namespace
}  // namespace ams::benchmark

int main() {
  using namespace ams;
  using namespace ams::benchmark;
  std::string name = (std::filesystem::current_path() / "ams-store-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) return 1;
  const std::filesystem::path folder = name;
  NoStore none;
  const Cost without = measure(none, false);
  print_header("trained to sent (n = 672,000; an update every 2 s; 2 samples a batch)");
  for (const bool with_samples : {false, true}) {
    SqliteStore store((folder / (with_samples ? "all" : "few")).string(), manifest());
    print(with_samples ? "SqliteStore, with samples" : "SqliteStore, without samples",
          measure(store, with_samples), without);
  }
  measure_device(folder);
  std::filesystem::remove_all(folder);
}
