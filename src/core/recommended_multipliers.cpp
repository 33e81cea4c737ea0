#include "ams/core/recommended_multipliers.hpp"

#include <algorithm>
#include <cmath>

#include "ams/core/selection.hpp"

namespace ams {

LearningRateMultipliers recommended_multipliers(std::string_view name, double gamma,
                                                const GivenMultipliers& given) {
  (void)make_selection_strategy(name, gamma);  // throws
  constexpr double most_of_fraction = 16, most_beside_groups = 4;
  constexpr double of_normalization = 5, of_head = 4;
  const bool names_normalization = name.starts_with("normalization");
  const bool names_head = name.starts_with("normalization_and_head");
  const bool has_fraction =
      name != "full" && name != "normalization" && name != "normalization_and_head";
  // Adam moves each coordinate about as far, so 1 / sqrt(gamma) moves the fraction as far as the
  // whole model would move.
  const bool is_beside_groups = names_normalization && name.ends_with("+gradient_guided");
  const double of_fraction = is_beside_groups ? std::min(most_beside_groups, 1 / std::sqrt(gamma))
                                              : std::min(most_of_fraction, 1 / gamma);
  const double of_weights = given.weight.value_or(has_fraction ? of_fraction : 1);
  const LearningRateMultipliers multipliers = {
      .weight = of_weights,
      .normalization =
          given.normalization.value_or(names_normalization ? of_normalization : of_weights),
      .head = given.head.value_or(names_head ? of_head : of_weights)};
  validate(AdamOptions{.multipliers = multipliers});
  return multipliers;
}

}  // namespace ams
