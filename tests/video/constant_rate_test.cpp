#include "ams/video/constant_rate.hpp"

#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

/// For each frame of the result, the number of the source's frame.
std::vector<int> resampled(const std::vector<double>& times, double fps,
                           ConstantRate* counted = nullptr) {
  ConstantRate own(fps);
  ConstantRate& constant = counted != nullptr ? *counted : own;
  std::vector<int> numbers;
  const auto take = [&](const Frame& frame) {
    CHECK(frame.capture_seconds == doctest::Approx(static_cast<double>(numbers.size()) / fps));
    numbers.push_back(frame.rgb[0]);
  };
  for (std::size_t i = 0; i < times.size(); ++i) {
    Frame frame = solid(1, 1, static_cast<std::uint8_t>(i), 0, 0);
    frame.capture_seconds = times[i];
    constant.add(std::move(frame), take);
  }
  constant.finish(take);
  return numbers;
}

}  // namespace

TEST_CASE("a source of this rate comes out as it is") {
  CHECK(resampled({0, 0.1, 0.2, 0.3, 0.4}, 10) == std::vector{0, 1, 2, 3, 4});
  CHECK(resampled({0, 0.14, 0.17, 0.33, 0.36}, 10) == std::vector{0, 1, 2, 3, 4});
  CHECK(resampled({0}, 10) == std::vector{0});
  CHECK(resampled({}, 10).empty());
}

TEST_CASE("every frame is shown when it was, until the next one") {
  CHECK(resampled({0, 0.1, 0.5, 0.6}, 10) == std::vector{0, 1, 1, 1, 1, 2, 3});
  CHECK(resampled({0, 0.5}, 4) == std::vector{0, 0, 1});
  ConstantRate counted(10);
  CHECK(resampled({0, 0.1, 0.11, 0.12, 0.2, 0.6}, 10, &counted) ==
        std::vector{0, 3, 4, 4, 4, 4, 5});
  CHECK(counted.repeated() == 3);
  CHECK(counted.left_out() == 2);
}

TEST_CASE("what is no rate is refused") {
  for (const double fps : {0.0, -1.0, 2000.0, std::nan("")}) {
    CHECK(error_of([&] { ConstantRate constant(fps); }) == "invalid_argument");
  }
}

TEST_CASE("a jump in time is not filled with frames for ever") {
  CHECK(resampled({0, 3000}, 1).size() == 3001);
  CHECK_THROWS_WITH_AS(resampled({0, 1e9}, 30), doctest::Contains("gaps"), Error);
}
