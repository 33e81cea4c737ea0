#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "ams/core/adam.hpp"
#include "ams/core/selection.hpp"
#include "ams/policy/recommended_multipliers.hpp"

namespace ams {

/// Multipliers of some roles, as somebody gave them.
struct GivenMultipliers {
  std::optional<double> weight = std::nullopt;
  std::optional<double> normalization = std::nullopt;
  std::optional<double> head = std::nullopt;
};

/// How fast the coordinates of a strategy should learn, against a learning rate that suits the whole
/// model (docs/results.md, "Accuracy against downlink").
/// - A fraction alone, and last layers beside the normalisation layers, learn min(16, 1 / gamma) times as
///   fast: the fewer coordinates move, the further each must go. 16 is best for a gradient-guided 5% of
///   EDANet on clips of a minute, 4 on nine minutes whose scenes change; 1 is the whole model.
/// - A gradient-guided fraction beside groups learns min(4, 1 / sqrt(gamma)) times as fast: it adds to
///   them, and faster it costs on a scene that is new.
/// - Groups that are trained because they are cheap to send: normalisation layers learn 5 times as
///   fast, the head 4 times.
/// - The rest, `full` among it, learns at that rate.
/// given: instead of these. That of weights is also that of each role that the strategy does not name,
/// and so treats as weights; unless the role's own is given. More than 0, at most 1e6.
/// name, gamma: as make_selection_strategy (selection.hpp) takes them; throws as it does.
LearningRateMultipliers recommended_multipliers(std::string_view name, double gamma,
                                                const GivenMultipliers& given = {});

inline LearningRateMultipliers recommended_multipliers(std::string_view name, double gamma,
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
