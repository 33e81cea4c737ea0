#include "ams/core/replay_buffer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace ams;

namespace {

std::vector<double> times(const HorizonReplayBuffer<int>& buffer) {
  std::vector<double> result;
  for (const auto& entry : buffer.snapshot()) result.push_back(entry.time_seconds);
  return result;
}

std::vector<int> samples(const HorizonReplayBuffer<int>& buffer) {
  std::vector<int> result;
  for (const auto& entry : buffer.snapshot()) result.push_back(entry.sample);
  return result;
}

// The contents by brute force: sort everything ever added, then drop from the front.
struct SlowBuffer {
  ReplayBufferOptions options;
  std::vector<std::pair<double, int>> held;  // time, sample; a sample's bytes are its value % 7 + 1

  static std::size_t bytes_of(int sample) { return static_cast<std::size_t>(sample % 7 + 1); }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& [time, sample] : held) sum += bytes_of(sample);
    return sum;
  }
  bool add(double time, int sample) {
    const auto before = held;
    held.emplace_back(time, sample);
    std::stable_sort(held.begin(), held.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    while (held.front().first < held.back().first - options.horizon_seconds ||
           held.size() > options.max_samples || bytes() > options.max_bytes) {
      if (held.front().second == sample) {
        held = before;
        return false;
      }
      held.erase(held.begin());
    }
    return true;
  }
};

}  // namespace

TEST_CASE("samples older than the horizon are forgotten") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 10});
  for (int t = 0; t <= 25; ++t) CHECK(buffer.add(t, t));
  CHECK(samples(buffer) == std::vector<int>{15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25});
  CHECK(buffer.size() == 11);
  CHECK(buffer.size_bytes() == 11 * sizeof(int));
  buffer.clear();
  CHECK(buffer.size() == 0);
  CHECK(buffer.size_bytes() == 0);
  CHECK(buffer.snapshot().empty());
}

TEST_CASE(
    "late samples take their place, equal times keep their order, too late ones are not taken") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 10});
  CHECK(buffer.add(20, 1));
  CHECK(buffer.add(15, 2));
  CHECK(buffer.add(20, 3));
  CHECK(buffer.add(10, 4));
  CHECK(buffer.add(15, 5));
  CHECK_FALSE(buffer.add(9.99, 6));
  CHECK(samples(buffer) == std::vector<int>{4, 2, 5, 1, 3});
  CHECK(times(buffer) == std::vector<double>{10, 15, 15, 20, 20});
}

TEST_CASE("random adds against a brute-force buffer") {
  Random random(11);
  for (int run = 0; run < 40; ++run) {
    ReplayBufferOptions options;
    options.horizon_seconds = 1 + static_cast<double>(random.below(30));
    if (random.below(2) != 0) options.max_samples = 1 + random.below(20);
    if (random.below(2) != 0) options.max_bytes = 7 + random.below(60);
    HorizonReplayBuffer<int> buffer(options, [](int s) { return SlowBuffer::bytes_of(s); });
    SlowBuffer slow{options, {}};
    double now = -50;
    for (int i = 0; i < 300; ++i) {
      now += static_cast<double>(random.below(3));
      const double time = now - static_cast<double>(random.below(random.below(4) == 0 ? 40 : 2));
      REQUIRE(buffer.add(time, i) == slow.add(time, i));
      std::vector<int> expected;
      for (const auto& entry : slow.held) expected.push_back(entry.second);
      REQUIRE(samples(buffer) == expected);
      REQUIRE(buffer.size() == expected.size());
      REQUIRE(buffer.size_bytes() == slow.bytes());
      std::size_t in_horizon = 0;
      const double asked = now - static_cast<double>(random.below(10));
      for (const auto& entry : slow.held) {
        in_horizon += entry.first <= asked && entry.first >= asked - options.horizon_seconds;
      }
      REQUIRE(buffer.count_in_horizon(asked) == in_horizon);
    }
  }
}

TEST_CASE("draws come from the horizon before now, both ends included") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 10});
  for (int t = 0; t <= 10; ++t) buffer.add(t, t);
  Random random(1);
  std::map<int, int> seen;
  for (const auto& batch : buffer.draw(14, 50, 10, random)) {
    for (const int s : batch) ++seen[s];
  }
  CHECK(seen.size() == 7);  // 4 to 10
  CHECK(seen.begin()->first == 4);
  CHECK(seen.rbegin()->first == 10);

  seen.clear();
  for (const auto& batch : buffer.draw(3.5, 50, 10, random)) {
    for (const int s : batch) ++seen[s];
  }
  CHECK(seen.size() == 4);  // samples later than now are not drawn: 0 to 3
  CHECK(seen.rbegin()->first == 3);
}

TEST_CASE("draws are uniform, with replacement") {
  HorizonReplayBuffer<int> buffer;
  for (int i = 0; i < 10; ++i) buffer.add(i, i);
  Random random(7);
  std::vector<int> counts(10);
  int repeats = 0;
  for (const auto& batch : buffer.draw(10, 5000, 8, random)) {
    REQUIRE(batch.size() == 8);
    std::vector<int> sorted = batch;
    std::sort(sorted.begin(), sorted.end());
    repeats += std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
    for (const int s : batch) ++counts[static_cast<std::size_t>(s)];
  }
  // Chi-squared with 9 degrees of freedom exceeds 27.9 once in a thousand; the seed is fixed.
  double chi_squared = 0;
  for (const int c : counts) chi_squared += (c - 4000.0) * (c - 4000.0) / 4000.0;
  CHECK(chi_squared < 27.9);
  // A batch of 8 of 10 without a repeat has a chance of 1.8%.
  CHECK(repeats > 4800);
}

TEST_CASE("draws are the documented function of the random numbers") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 5});
  for (int t = 0; t < 20; ++t) buffer.add(t, 100 + t);
  Random random(42);
  Random same(42);
  const auto batches = buffer.draw(19, 3, 4, random);
  REQUIRE(batches.size() == 3);
  for (const auto& batch : batches) {
    for (const int s : batch) CHECK(s == 100 + 14 + static_cast<int>(same.below(6)));
  }
  CHECK(random.next() == same.next());

  HorizonReplayBuffer<int> restored(buffer.options());
  for (const auto& entry : buffer.snapshot()) restored.add(entry.time_seconds, entry.sample);
  Random a(9);
  Random b(9);
  CHECK(buffer.draw(20, 5, 5, a) == restored.draw(20, 5, 5, b));
}

TEST_CASE("the newest samples can be had alone") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 50});
  for (int t = 0; t <= 20; ++t) buffer.add(t, t);
  CHECK(buffer.newest(20, 3) == std::vector<int>{18, 19, 20});
  CHECK(buffer.newest(10, 2) == std::vector<int>{9, 10});  // not later than now
  CHECK(buffer.newest(20, 1000).size() == 21);
  CHECK(buffer.newest(20, 0).empty());
  CHECK(buffer.newest(1000, 3).empty());
}

TEST_CASE("draws can prefer what is recent, as often as documented") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 100});
  for (int t = 0; t < 40; ++t) buffer.add(t, t);
  constexpr double recency = 5;
  Random random(11);
  std::vector<double> counts(40);
  for (const auto& batch : buffer.draw(39, 5000, 8, random, recency)) {
    for (const int s : batch) ++counts[static_cast<std::size_t>(s)];
  }
  double sum = 0;
  const auto weight = [&](int t) { return std::pow(recency / (recency + 39 - t), 2); };
  for (int t = 0; t < 40; ++t) sum += weight(t);
  double chi_squared = 0;
  for (int t = 0; t < 40; ++t) {
    const double expected = 40000 * weight(t) / sum;
    chi_squared += std::pow(counts[static_cast<std::size_t>(t)] - expected, 2) / expected;
  }
  CHECK(chi_squared < 72.1);  // 39 degrees of freedom: once in a thousand; the seed is fixed

  Random one(1);
  CHECK_THROWS_AS(buffer.draw(39, 1, 1, one, -1), Error);
  CHECK_THROWS_AS(buffer.draw(39, 1, 1, one, std::nan("")), Error);
}

TEST_CASE("nothing to draw from gives no mini-batches and uses no random numbers") {
  HorizonReplayBuffer<int> buffer({.horizon_seconds = 5});
  Random random(1);
  Random same(1);
  CHECK(buffer.draw(0, 3, 4, random).empty());
  buffer.add(100, 1);
  CHECK(buffer.draw(99, 3, 4, random).empty());
  CHECK(buffer.draw(106, 3, 4, random).empty());
  CHECK(random.next() == same.next());
  CHECK(buffer.draw(105, 0, 4, random).empty());
  CHECK(buffer.draw(105, 2, 0, random) == std::vector<std::vector<int>>(2));
}

TEST_CASE("bounds and times are checked, and a refused sample changes nothing") {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -1.0, infinity, std::nan("")}) {
    CHECK_THROWS_WITH_AS(HorizonReplayBuffer<int>({.horizon_seconds = bad}),
                         doctest::Contains("horizon_seconds"), Error);
  }
  CHECK_THROWS_AS(HorizonReplayBuffer<int>({.max_samples = 0}), Error);
  CHECK_THROWS_AS(HorizonReplayBuffer<int>({.max_bytes = 0}), Error);

  HorizonReplayBuffer<std::string> buffer({.max_bytes = 10},
                                          [](const std::string& s) { return s.size(); });
  buffer.add(1, "four");
  buffer.add(2, "five5");
  for (const double bad : {infinity, -infinity, std::nan("")}) {
    CHECK_THROWS_AS(buffer.add(bad, "x"), Error);
    Random random;
    CHECK_THROWS_AS(buffer.draw(bad, 1, 1, random), Error);
    CHECK_THROWS_AS(buffer.count_in_horizon(bad), Error);
  }
  try {
    buffer.add(3, "eleven chars");
    FAIL("a sample over max_bytes was taken");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::limit_exceeded);
  }
  CHECK(buffer.size() == 2);
  CHECK(buffer.size_bytes() == 9);
  CHECK(buffer.add(3, "ten chars!"));
  CHECK(buffer.size() == 1);
}

TEST_CASE("forgotten samples are released, drawn ones live on") {
  using Handle = std::shared_ptr<const int>;
  HorizonReplayBuffer<Handle> buffer({.horizon_seconds = 5, .max_samples = 3});
  std::vector<std::weak_ptr<const int>> all;
  for (int i = 0; i < 4; ++i) {
    auto handle = std::make_shared<const int>(i);
    all.emplace_back(handle);
    buffer.add(i, std::move(handle));
  }
  CHECK(all[0].expired());
  CHECK_FALSE(all[1].expired());
  Random random(2);
  auto batches = buffer.draw(3, 1, 1, random);
  const int drawn = *batches[0][0];
  buffer.clear();
  for (int i = 1; i < 4; ++i) {
    CHECK(all[static_cast<std::size_t>(i)].expired() == (i != drawn));
  }
}

TEST_CASE("one thread adds while another draws") {
  // A sample is a handle to a pair of equal numbers, so that a torn or stale read shows;
  // ThreadSanitizer watches the rest.
  struct Pair {
    int a, b;
  };
  constexpr std::size_t sample_bytes = 64;
  constexpr std::size_t max_bytes = 30 * sample_bytes;
  HorizonReplayBuffer<std::shared_ptr<const Pair>> buffer(
      {.horizon_seconds = 50, .max_samples = 40, .max_bytes = max_bytes},
      [](const auto& p) { return p != nullptr ? sample_bytes : 0; });
  constexpr int count = 20000;
  std::atomic<int> newest{-1};
  std::thread writer([&] {
    for (int i = 0; i < count; ++i) {
      buffer.add(i, std::make_shared<const Pair>(Pair{i, i}));
      newest.store(i, std::memory_order_release);
      if (i % 64 == 0) std::this_thread::yield();
    }
  });
  Random random(3);
  int failures = 0;
  int drawn = 0;
  int at_least = -1;
  while (at_least < count - 1) {
    at_least = newest.load(std::memory_order_acquire);
    if (at_least < 0) {
      std::this_thread::yield();
      continue;
    }
    for (const auto& batch : buffer.draw(at_least, 4, 4, random)) {
      for (const auto& p : batch) {
        ++drawn;
        failures += p->a != p->b || p->a > at_least || p->a < at_least - 50;
      }
    }
    const auto entries = buffer.snapshot();
    failures += entries.size() > 30;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      failures += entries[i].sample->a != static_cast<int>(entries[i].time_seconds);
      failures += i > 0 && entries[i].sample->a != entries[i - 1].sample->a + 1;
    }
    failures += buffer.size_bytes() > max_bytes;
  }
  writer.join();
  CHECK(failures == 0);
  CHECK(drawn > 0);
  CHECK(buffer.size() == 30);
}
