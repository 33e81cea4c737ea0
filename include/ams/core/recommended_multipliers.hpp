#pragma once

#include <optional>
#include <string_view>

#include "ams/core/adam.hpp"

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

}  // namespace ams
