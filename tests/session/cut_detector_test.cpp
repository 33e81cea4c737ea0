#include "ams/session/cut_detector.hpp"

#include <doctest/doctest.h>

#include "ams/core/random.hpp"

using namespace ams;

TEST_CASE("a prediction that differs much more than usual is a cut, once") {
  CutDetector cuts;
  Random random(1);
  double now = 0;
  for (int i = 0; i < 200; ++i, now += 0.1) {
    CHECK_FALSE(cuts.on_difference(0.03 + 0.03 * random.uniform(), now));
  }
  CHECK(cuts.on_difference(0.6, now));
  CHECK_FALSE(cuts.on_difference(0.6, now + 0.1));  // a flash: its end is no other cut
  CHECK_FALSE(cuts.on_difference(0.05, now + 0.2));
  CHECK(cuts.on_difference(0.6, now + 3));
}

TEST_CASE("what flickers all the time, or changes slowly, is no cut") {
  CutDetector restless;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(restless.on_difference(0.5, i));
  CutDetector slow;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(slow.on_difference(0.002 * i, 0.1 * i));
  CutDetector quiet;
  for (int i = 0; i < 50; ++i) CHECK_FALSE(quiet.on_difference(0.001, i));
  CHECK_FALSE(quiet.on_difference(0.1, 50));  // a hundred times as much, and still little
}

TEST_CASE("the first prediction is no cut, and a clock that steps back does no harm") {
  CutDetector cuts;
  CHECK_FALSE(cuts.on_difference(1, 5));
  for (int i = 0; i < 50; ++i) cuts.on_difference(0.01, i);
  CHECK(cuts.on_difference(0.9, 60));
  CHECK(cuts.on_difference(0.9, 1));
}
