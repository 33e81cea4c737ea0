#include "ams/server/weight_step_warm_up.hpp"

#include <algorithm>
#include <cmath>

namespace ams {

EncodeOptions warmed_up(EncodeOptions options, std::size_t updates) {
  double& multiplier = options.compact.weight_step_multiplier;
  multiplier = std::min(multiplier, std::exp2(static_cast<double>(updates)));
  return options;
}

}  // namespace ams
