#include "ams/session/sample_clock.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "ams/core/random.hpp"

using ams::SampleClock;

namespace {

std::vector<double> taken(SampleClock& clock, double begin, double end, double frame_rate_fps) {
  std::vector<double> times;
  const auto first = static_cast<long>(std::ceil(begin * frame_rate_fps));
  for (long frame = first; static_cast<double>(frame) / frame_rate_fps < end; ++frame) {
    const double time = static_cast<double>(frame) / frame_rate_fps;
    const bool wanted = clock.wants(time);
    const bool took = clock.take(time);
    CHECK(wanted == took);
    if (took) times.push_back(time);
  }
  return times;
}

}  // namespace

TEST_CASE("the first frame at or after each sampling time is taken, without drift") {
  for (const double rate : {1.0, 0.3, 0.1, 7.0, 29.0}) {
    CAPTURE(rate);
    const double frame_rate = 29.97;
    SampleClock clock(rate);
    const std::vector<double> times = taken(clock, 0, 200, frame_rate);
    CHECK(times.size() == doctest::Approx(200 * rate).epsilon(0.01));
    for (std::size_t k = 0; k < times.size(); ++k) {
      const double due = static_cast<double>(k) / rate;
      CHECK(times[k] >= due - 1e-9);
      CHECK(times[k] < due + 1 / frame_rate + 1e-9);
    }
  }
}

TEST_CASE("a rate above the video's takes every frame") {
  SampleClock clock(100);
  CHECK(taken(clock, 0, 10, 30).size() == 300);
}

TEST_CASE("a gap gives no burst") {
  SampleClock clock(1);
  taken(clock, 0, 5, 10);
  CHECK(taken(clock, 60.3, 63.2, 10).size() == 3);  // 60.3, 61.3, 62.3
}

TEST_CASE("a timeline that jumps back starts anew") {
  SampleClock clock(0.5);
  CHECK(taken(clock, 100, 104, 10).size() == 2);
  CHECK(taken(clock, 0, 4, 10) == std::vector<double>{0, 2});
}

TEST_CASE("a new rate holds from the latest sample on") {
  SampleClock clock(1);
  CHECK(clock.take(0));
  clock.set_rate(0.25);
  CHECK(clock.rate_fps() == 0.25);
  CHECK_FALSE(clock.take(3.9));
  CHECK(clock.take(4));
  clock.set_rate(2);
  CHECK_FALSE(clock.take(4.4));
  CHECK(clock.take(4.5));
}

TEST_CASE("times without order are no trouble") {
  ams::Random random(3);
  SampleClock clock(1);
  std::size_t count = 0;
  for (int i = 0; i < 10000; ++i) count += clock.take(1e12 * random.uniform()) ? 1 : 0;
  CHECK(count > 0);
}
