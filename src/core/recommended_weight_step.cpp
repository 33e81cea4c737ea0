#include "ams/core/recommended_weight_step.hpp"

#include "ams/core/selection.hpp"

namespace ams {

double recommended_weight_step(std::string_view name) {
  (void)make_selection_strategy(name, 1);  // throws
  return name == "full" ? 4 : 1;
}

}  // namespace ams
