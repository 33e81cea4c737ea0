#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

namespace ams {

/// The value below which `fraction` of the values lie (nearest rank); 0 for none.
inline double percentile(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  const auto rank =
      static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
  const auto nth = values.begin() +
                   static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(rank, 1, values.size()) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

/// {"p50": ..., "p99": ...} as the reports have it; values times `scale`.
inline nlohmann::json percentiles(const std::vector<double>& values, double scale = 1) {
  return {{"p50", percentile(values, 0.50) * scale}, {"p99", percentile(values, 0.99) * scale}};
}

}  // namespace ams
