#include "ams/runtime/newest_value.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>

using ams::NewestValue;

TEST_CASE("what waits is the newest, and its taker is told once") {
  NewestValue<int> place;
  CHECK_FALSE(place.take());
  CHECK(place.put(1));
  CHECK_FALSE(place.put(2));
  CHECK_FALSE(place.put(3));
  CHECK(place.take() == 3);
  CHECK_FALSE(place.take());
  CHECK(place.put(4));
  CHECK(place.take() == 4);
}

TEST_CASE("a thousand values that nobody takes are held one at a time") {
  NewestValue<std::shared_ptr<int>> place;
  std::weak_ptr<int> before;
  for (int i = 0; i < 1000; ++i) {
    auto value = std::make_shared<int>(i);
    const std::weak_ptr<int> now = value;
    place.put(std::move(value));
    CHECK(before.expired());
    before = now;
  }
  CHECK(**place.take() == 999);
  CHECK(before.expired());
}

TEST_CASE("between threads none is taken twice, none out of order, and the last one arrives") {
  constexpr int values = 100000;
  NewestValue<int> place;
  std::atomic<int> told = 0;
  int taken = 0, last = 0;
  bool ascending = true;
  std::thread taker([&] {
    while (last < values) {
      if (taken == told) {
        std::this_thread::yield();
        continue;
      }
      const auto value = place.take();
      if (!value || *value <= last) {
        ascending = false;
        break;
      }
      last = *value;
      ++taken;
    }
  });
  for (int i = 1; i <= values; ++i) {
    if (place.put(i)) ++told;
  }
  taker.join();
  CHECK(ascending);
  CHECK(last == values);
  CHECK(taken == told);
}
