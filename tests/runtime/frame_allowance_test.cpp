#include "ams/runtime/frame_allowance.hpp"

#include <doctest/doctest.h>

using ams::FrameAllowance;

TEST_CASE("a device that keeps to its rate is never held up") {
  for (const double rate : {0.1, 1.0, 5.0}) {
    FrameAllowance allowance;
    for (int i = 0; i < 2000; ++i) CHECK(allowance.take(1, rate, i / rate));
  }
  FrameAllowance allowance;
  for (int i = 0; i < 1000; ++i) CHECK(allowance.take(1, 0.1, i / 2.0));  // a scene that changes
  CHECK(allowance.take(200, 1, 900));  // what was kept during an outage
}

TEST_CASE("beyond it a device gets what the bucket has, all or nothing") {
  FrameAllowance allowance;
  CHECK(allowance.take(256, 1, 0));
  CHECK_FALSE(allowance.take(1, 1, 0));
  CHECK_FALSE(allowance.take(5, 1, 2));  // 4
  CHECK(allowance.take(4, 1, 2));
  CHECK_FALSE(allowance.take(1, 1, 1));  // time that steps back stands still
  std::size_t taken = 0;
  for (int second = 3; second < 103; ++second) {
    for (int i = 0; i < 50; ++i) taken += allowance.take(1, 3, second);
  }
  CHECK(taken <= 100 * 6 + 6);
  CHECK(allowance.take(256, 1, 1e6));
  CHECK_FALSE(allowance.take(257, 1, 2e6));
}
