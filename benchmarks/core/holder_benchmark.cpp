#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "ams/core/model_holder.hpp"
#include "ams/core/random.hpp"
#include "harness.hpp"

// What an update costs, and what readers notice of it, at the paper's 2,113,043 parameters with 5%
// of them changed. Alternative: one copy behind a std::shared_mutex, changed in place.
namespace {

using Clock = std::chrono::steady_clock;
using Values = std::vector<float>;

constexpr std::size_t dimension = 2'113'043;
constexpr double run_seconds = 2;
constexpr auto pause = std::chrono::milliseconds(5);

struct LockedModel {
  Values values;
  mutable std::shared_mutex mutex;
};

struct Span {
  Clock::time_point begin;
  Clock::time_point end;
  double seconds() const { return std::chrono::duration<double>(end - begin).count(); }
};

template <class F>
Span timed(F&& f) {
  Span span;
  span.begin = Clock::now();
  f();
  span.end = Clock::now();
  return span;
}

// All sorted, in seconds.
struct Measured {
  std::vector<double> reads;
  std::vector<double> updates;
  std::vector<double> longest_reads;  // for each update, of the reads that met it
};

double at(const std::vector<double>& sorted, double fraction) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(fraction * static_cast<double>(sorted.size() - 1))];
}

// One thread reads at full rate while this one updates, with a pause in between. A reader that
// waits reads less often, so percentiles over all reads hide its waits; those over updates do not.
template <class Read, class Update>
Measured measure(Read&& read, Update&& update) {
  std::vector<Span> reads;
  reads.reserve(std::size_t{1} << 23);
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done.load(std::memory_order_relaxed) && reads.size() < reads.capacity()) {
      reads.push_back(timed(read));
    }
  });
  std::vector<Span> updates;
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < run_seconds) {
    updates.push_back(timed(update));
    std::this_thread::sleep_for(pause);
  }
  done.store(true);
  reader.join();

  Measured result;
  auto next = reads.begin();
  for (const Span& u : updates) {
    result.updates.push_back(u.seconds());
    double longest = 0;
    while (next != reads.end() && next->end < u.begin) ++next;
    for (; next != reads.end() && next->begin < u.end; ++next) {
      longest = std::max(longest, next->seconds());
    }
    if (longest > 0) result.longest_reads.push_back(longest);
  }
  for (const Span& r : reads) result.reads.push_back(r.seconds());
  std::sort(result.reads.begin(), result.reads.end());
  std::sort(result.updates.begin(), result.updates.end());
  std::sort(result.longest_reads.begin(), result.longest_reads.end());
  return result;
}

float sum_of_some(const Values& values) {
  float sum = 0;
  for (std::size_t i = 0; i < values.size(); i += values.size() / 512) sum += values[i];
  return sum;
}

}  // namespace

int main() {
  using namespace ams;
  Random random(1);
  std::vector<std::uint32_t> indices;
  for (std::uint32_t i = 0; i < dimension; ++i) {
    if (random.below(20) == 0) indices.push_back(i);
  }
  const auto apply = [&](Values& values) {
    for (const std::uint32_t i : indices) values[i] += 0.5f;
  };
  const Values initial(dimension, 1.0f);

  DoubleBufferedHolder<Values> holder(initial);
  const Measured ours = measure(
      [&] {
        const auto model = holder.read();
        const float sum = sum_of_some(*model);
        benchmark::keep(&sum);
      },
      [&] { holder.modify(apply); });

  LockedModel locked{initial, {}};
  const Measured theirs = measure(
      [&] {
        const std::shared_lock lock(locked.mutex);
        const float sum = sum_of_some(locked.values);
        benchmark::keep(&sum);
      },
      [&] {
        // To keep the old model should the update fail half way, the copy is the alternative's,
        // too.
        const std::unique_lock lock(locked.mutex);
        Values next = locked.values;
        apply(next);
        locked.values = next;
      });

  benchmark::print_header(
      "model holder, 2,113,043 parameters, 5% changed, one reader at full rate");
  Values to(dimension);
  const double copy = benchmark::median_seconds([&] {
    std::memcpy(to.data(), initial.data(), dimension * sizeof(float));
    benchmark::keep(to.data());
  });
  const auto row = [&](const char* what, double seconds, double alternative, double floor,
                       std::string note) {
    benchmark::print_row({what, seconds, "std::shared_mutex, in place", alternative, floor, note});
  };
  row("update: copy, apply, publish (median)", at(ours.updates, 0.5), at(theirs.updates, 0.5), copy,
      "floor: memcpy of the values");

  const double plain_read = benchmark::median_seconds([&] {
    const float sum = sum_of_some(initial);
    benchmark::keep(&sum);
  });
  const std::string reads =
      std::to_string(ours.reads.size()) + " and " + std::to_string(theirs.reads.size()) + " reads";
  row("read 512 values, p50", at(ours.reads, 0.5), at(theirs.reads, 0.5), plain_read,
      reads + "; floor: without a guard");
  row("read 512 values, p99", at(ours.reads, 0.99), at(theirs.reads, 0.99), 0, "");
  row("longest read that met an update, p50", at(ours.longest_reads, 0.5),
      at(theirs.longest_reads, 0.5), 0, "over updates");
  row("longest read that met an update, p99", at(ours.longest_reads, 0.99),
      at(theirs.longest_reads, 0.99), 0, "the scheduler's share included");

  // Nothing but the swap, and nothing but the guard: no reader, an empty update.
  DoubleBufferedHolder<int> small(0);
  constexpr int repeats = 1000;
  const double swap = benchmark::median_seconds([&] {
                        for (int i = 0; i < repeats; ++i)
                          small.update([](int& to_write, int from) { to_write = from; });
                      }) /
                      repeats;
  const double guard = benchmark::median_seconds([&] {
                         for (int i = 0; i < repeats; ++i) benchmark::keep(&*small.read());
                       }) /
                       repeats;
  std::shared_mutex mutex;
  const double unique = benchmark::median_seconds([&] {
                          for (int i = 0; i < repeats; ++i) {
                            const std::unique_lock lock(mutex);
                            benchmark::keep(&lock);
                          }
                        }) /
                        repeats;
  const double shared = benchmark::median_seconds([&] {
                          for (int i = 0; i < repeats; ++i) {
                            const std::shared_lock lock(mutex);
                            benchmark::keep(&lock);
                          }
                        }) /
                        repeats;
  // A thousand at a time: the table's unit is too coarse for one.
  row("1000 empty updates (swap alone)", swap * repeats, unique * repeats, 0, "");
  row("1000 guards", guard * repeats, shared * repeats, 0, "");
}
