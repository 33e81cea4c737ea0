#pragma once

#include <string_view>

namespace ams {

/// CompactOptions::weight_step_multiplier for what a strategy trains: 2 for the whole model (`full`),
/// half the bytes of 1 at about its accuracy (docs/results.md, "The whole model, coarsely"); 1 for others,
/// whose few weights have learned fast and moved far. name: as make_selection_strategy (selection.hpp)
/// takes it; throws as it does for an unknown one.
double recommended_weight_step_multiplier(std::string_view name);

}  // namespace ams
