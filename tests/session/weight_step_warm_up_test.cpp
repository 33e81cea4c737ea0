#include "ams/server/weight_step_warm_up.hpp"

#include <doctest/doctest.h>

using namespace ams;

TEST_CASE("the multiplier of weights' steps doubles from one to what it is to be") {
  EncodeOptions options{UpdateProfile::compact, 7, {}};
  options.compact.relative_step = 0.5;
  options.compact.weight_step_multiplier = 6;
  const double expected[] = {1, 2, 4, 6, 6};
  for (std::size_t updates = 0; updates < 5; ++updates) {
    const EncodeOptions now = warmed_up(options, updates);
    CHECK(now.compact.weight_step_multiplier == expected[updates]);
    CHECK(now.compact.relative_step == 0.5);
    CHECK(now.zstd_level == 7);
    CHECK(now.profile == UpdateProfile::compact);
  }
  CHECK(warmed_up(options, 1UL << 40).compact.weight_step_multiplier == 6);
}

TEST_CASE("one that is finer than usual is so from the beginning") {
  EncodeOptions options{UpdateProfile::compact, 1, {}};
  options.compact.weight_step_multiplier = 0.25;
  CHECK(warmed_up(options, 0).compact.weight_step_multiplier == 0.25);
  CHECK(warmed_up(options, 9).compact.weight_step_multiplier == 0.25);
}
