#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "ams/core/coordinate_set.hpp"

namespace ams::test {

/// A set's coordinates, ascending.
inline std::vector<std::uint32_t> listed(const CoordinateSet& set) {
  std::vector<std::uint32_t> out;
  set.for_each([&](std::uint32_t i) { out.push_back(i); });
  return out;
}

/// What largest_by_magnitude chooses: the first `count` of a stable sort by descending magnitude.
inline std::vector<std::uint32_t> sorted_choice(const std::vector<float>& u, std::size_t count) {
  std::vector<std::uint32_t> order(u.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto magnitude = [&](std::uint32_t i) {
    return std::isnan(u[i])   ? std::numeric_limits<double>::infinity()
           : std::isinf(u[i]) ? 1e300
                              : std::fabs(static_cast<double>(u[i]));
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return magnitude(a) > magnitude(b); });
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace ams::test
