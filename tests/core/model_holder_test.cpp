#include "ams/core/model_holder.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

using ams::DoubleBufferedHolder;

namespace {

using Values = std::vector<std::uint64_t>;

struct Failure : std::runtime_error {
  Failure() : std::runtime_error("failure") {}
};

template <class M>
concept CanModify = requires(DoubleBufferedHolder<M>& h) {
  h.modify([](M&) {});
};
static_assert(CanModify<int>);
static_assert(!CanModify<std::unique_ptr<int>>);
using Guard = DoubleBufferedHolder<int>::ReadGuard;
static_assert(!std::is_copy_constructible_v<Guard> && std::is_nothrow_move_constructible_v<Guard>);
static_assert(!std::is_copy_constructible_v<DoubleBufferedHolder<int>>);
static_assert(noexcept(std::declval<const DoubleBufferedHolder<int>&>().read()));

}  // namespace

TEST_CASE("readers see the initial value, then each update") {
  DoubleBufferedHolder<int> holder(5);
  CHECK(*holder.read() == 5);
  CHECK(holder.read().generation() == 0);
  for (int i = 1; i <= 10; ++i) {
    CHECK(holder.modify([&](int& value) { value += i; }) == static_cast<std::uint64_t>(i));
    CHECK(*holder.read() == 5 + i * (i + 1) / 2);
    CHECK(holder.read().generation() == static_cast<std::uint64_t>(i));
  }
}

TEST_CASE("update gives both copies; what it finds in the inactive one is old") {
  DoubleBufferedHolder<Values> holder(Values{0});
  for (std::uint64_t i = 1; i <= 6; ++i) {
    const Values* written = nullptr;
    holder.update([&](Values& inactive, const Values& active) {
      CHECK(&inactive != &active);
      CHECK(active == Values{i - 1});
      CHECK(inactive == Values{i < 2 ? 0 : i - 2});
      inactive[0] = active[0] + 1;
      written = &inactive;
    });
    CHECK(&*holder.read() == written);
    CHECK(holder.read()->at(0) == i);
  }
}

TEST_CASE("a guard keeps seeing its own version while the next one is published") {
  DoubleBufferedHolder<int> holder(1);
  auto before = holder.read();
  holder.modify([](int& value) { value = 2; });  // does not wait for readers of the active copy
  const auto after = holder.read();
  CHECK(*before == 1);
  CHECK(*after == 2);
  CHECK(before.generation() == 0);
  CHECK(after.generation() == 1);
}

TEST_CASE("a model that cannot be copied") {
  using Model = std::unique_ptr<int>;
  DoubleBufferedHolder<Model> holder(std::make_unique<int>(1), std::make_unique<int>(0));
  CHECK(**holder.read() == 1);
  const auto next = [](Model& inactive, const Model& active) { *inactive = *active + 1; };
  holder.update(next);
  holder.update(next);
  CHECK(**holder.read() == 3);
}

TEST_CASE("an update that fails publishes nothing and harms no later one") {
  DoubleBufferedHolder<Values> holder(Values{7, 7});
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t generation = holder.read().generation();
    const Values before = *holder.read();
    CHECK_THROWS_AS(holder.update([](Values& inactive, const Values&) {
      inactive = {999};
      throw Failure();
    }),
                    Failure);
    CHECK_THROWS_AS(holder.modify([](Values& values) {
      values[0] = 999;
      throw Failure();
    }),
                    Failure);
    CHECK(*holder.read() == before);
    CHECK(holder.read().generation() == generation);
    holder.modify([](Values& values) { ++values[1]; });
    CHECK(holder.read()->at(0) == 7);
    CHECK(holder.read()->at(1) == before[1] + 1);
    CHECK(holder.read().generation() == generation + 1);
  }
}

TEST_CASE("guards can be moved and assigned, and release once") {
  DoubleBufferedHolder<int> holder(1);
  std::optional<Guard> kept;
  {
    Guard first = holder.read();
    Guard second = std::move(first);
    CHECK(*second == 1);
    kept.emplace(std::move(second));
  }
  holder.modify([](int& value) { value = 2; });
  Guard newer = holder.read();
  *kept = std::move(newer);  // lets go of the first copy
  CHECK(**kept == 2);
  Guard& self = *kept;
  self = std::move(*kept);
  CHECK(**kept == 2);
  holder.modify(
      [](int& value) { value = 3; });  // would wait forever were the first copy still held
  kept.reset();
  holder.modify([](int& value) { value = 4; });  // the same for the second
  CHECK(*holder.read() == 4);
}

TEST_CASE("an update waits for readers of the copy that it writes, and for no others") {
  DoubleBufferedHolder<int> holder(0);
  std::optional<Guard> slow(holder.read());
  holder.modify([](int& value) { value = 1; });
  std::optional<Guard> current(holder.read());

  std::atomic<bool> wrote{false};
  std::thread writer([&] {
    holder.modify([&](int& value) {
      wrote.store(true);
      value = 2;
    });
  });
  // The writer must not write while `slow` holds generation 0; new readers come and go meanwhile.
  for (int i = 0; i < 2000; ++i) {
    const auto guard = holder.read();
    CHECK(*guard == 1);
    CHECK_FALSE(wrote.load());
    if (i % 16 == 0) std::this_thread::yield();
  }
  CHECK(**slow == 0);
  slow.reset();
  writer.join();  // although `current` still reads generation 1
  CHECK(**current == 1);
  CHECK(*holder.read() == 2);
}

TEST_CASE("many readers, two writers: versions are whole and never go back") {
  // Every value of a version is the same number, so a half-written version shows. ThreadSanitizer
  // sees every access to the two vectors.
  constexpr std::size_t size = 257;
  constexpr int updates_each = 200;  // each waits for readers that may have lost their core
  constexpr int reader_count = 2;
  DoubleBufferedHolder<Values> holder(Values(size, 0));
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::atomic<int> went_back{0};
  std::atomic<int> wrong_generation{0};
  std::atomic<std::uint64_t> reads{0};

  std::vector<std::thread> readers;
  readers.reserve(reader_count);
  for (int r = 0; r < reader_count; ++r) {
    readers.emplace_back([&, r] {
      std::uint64_t last = 0;
      std::uint64_t own_reads = 0;
      do {
        const auto model = holder.read();
        const std::uint64_t first = model->front();
        for (const std::uint64_t value : *model) {
          if (value != first) torn.fetch_add(1);
        }
        if (r == 0 && own_reads % 16 == 0) std::this_thread::yield();  // a reader that holds on
        if (model->back() != first) torn.fetch_add(1);
        if (first < last) went_back.fetch_add(1);
        if (model.generation() != first) wrong_generation.fetch_add(1);
        last = first;
        ++own_reads;
      } while (!done.load(std::memory_order_relaxed));
      reads.fetch_add(own_reads);
    });
  }

  std::vector<std::thread> writers;
  writers.reserve(2);
  std::atomic<int> failed{0};
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < updates_each; ++i) {
        const bool fails = i % 7 == 3;
        try {
          if (w == 0) {
            holder.update([&](Values& inactive, const Values& active) {
              for (std::size_t k = 0; k < size; ++k) {
                if (fails && k == size / 2) throw Failure();
                inactive[k] = active[k] + 1;
              }
            });
          } else {
            holder.modify([&](Values& values) {
              for (std::size_t k = 0; k < size; ++k) {
                if (fails && k == size / 2) throw Failure();
                ++values[k];
              }
            });
          }
        } catch (const Failure&) {
          failed.fetch_add(1);
        }
        if (i % 8 == 0) std::this_thread::yield();
      }
    });
  }
  for (std::thread& t : writers) t.join();
  done.store(true);
  for (std::thread& t : readers) t.join();

  const int expected_failures = 2 * ((updates_each + 3) / 7);
  CHECK(failed == expected_failures);
  CHECK(torn == 0);
  CHECK(went_back == 0);
  CHECK(wrong_generation == 0);
  CHECK(reads >= static_cast<std::uint64_t>(reader_count));
  const auto published = static_cast<std::uint64_t>(2 * updates_each - expected_failures);
  CHECK(holder.read()->front() == published);
  CHECK(holder.read().generation() == published);
}
