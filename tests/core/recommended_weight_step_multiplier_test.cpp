#include "ams/core/recommended_weight_step_multiplier.hpp"

#include <doctest/doctest.h>

#include "ams/core/selection.hpp"
#include "expect_error.hpp"

TEST_CASE("how coarsely a strategy's weights are written") {
  for (const std::string_view name : ams::selection_strategy_names()) {
    CHECK(ams::recommended_weight_step_multiplier(name) == (name == "full" ? 2 : 1));
  }
  ams::test::expect_error(
      ams::ErrorCode::invalid_argument, [] { ams::recommended_weight_step_multiplier("fulll"); },
      "fulll");
}
