#include "ams/session/backoff.hpp"

#include <doctest/doctest.h>

using ams::Backoff;

TEST_CASE("delays double up to the largest, each drawn from its upper half") {
  Backoff backoff(0.5, 30, 7);
  double expected = 0.5;
  for (int i = 0; i < 20; ++i) {
    CHECK(backoff.current_seconds() == expected);
    const double delay = backoff.next_seconds();
    CHECK(delay >= expected / 2);
    CHECK(delay < expected);
    expected = std::min(2 * expected, 30.0);
  }
  backoff.reset();
  CHECK(backoff.current_seconds() == 0.5);
  backoff.slow_down();
  CHECK(backoff.current_seconds() == 30);
  CHECK(backoff.next_seconds() >= 15);
}

TEST_CASE("two seeds do not come back together, one seed always the same") {
  Backoff a(1, 64, 1);
  Backoff b(1, 64, 2);
  Backoff a_again(1, 64, 1);
  int equal = 0;
  for (int i = 0; i < 10; ++i) {
    const double delay = a.next_seconds();
    equal += delay == b.next_seconds() ? 1 : 0;
    CHECK(delay == a_again.next_seconds());
  }
  CHECK(equal == 0);
}

TEST_CASE("one delay is possible too") {
  Backoff backoff(2, 2, 0);
  for (int i = 0; i < 5; ++i) {
    CHECK(backoff.next_seconds() < 2);
    backoff.slow_down();
    CHECK(backoff.current_seconds() == 2);
  }
}
