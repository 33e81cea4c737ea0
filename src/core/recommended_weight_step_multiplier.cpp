#include "ams/core/recommended_weight_step_multiplier.hpp"

#include "ams/core/selection.hpp"

namespace ams {

double recommended_weight_step_multiplier(std::string_view name) {
  (void)make_selection_strategy(name, 1);  // throws
  return name == "full" ? 2 : 1;
}

}  // namespace ams
