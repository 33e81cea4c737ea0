#include "ams/core/coordinate_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {
namespace {

constexpr std::size_t max_dimension = std::numeric_limits<std::uint32_t>::max();

void check_dimension(std::size_t dimension) {
  if (dimension > max_dimension) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("coordinate set of dimension {}: at most {} is allowed", dimension,
                            max_dimension));
  }
}

}  // namespace

CoordinateSet CoordinateSet::all(std::size_t dimension) {
  check_dimension(dimension);
  CoordinateSet result;
  result.dimension_ = dimension;
  return result;
}

CoordinateSet CoordinateSet::from_sorted(std::size_t dimension,
                                         std::vector<std::uint32_t> indices) {
  check_dimension(dimension);
  const auto descent = std::adjacent_find(indices.begin(), indices.end(),
                                          [](std::uint32_t a, std::uint32_t b) { return a >= b; });
  if (descent != indices.end()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("coordinates must be strictly ascending: {} is followed by {}",
                            *descent, *std::next(descent)));
  }
  if (!indices.empty() && indices.back() >= dimension) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("coordinate {} is outside a vector of {} values", indices.back(), dimension));
  }
  CoordinateSet result;
  result.dimension_ = dimension;
  result.is_all_ = indices.size() == dimension;
  if (!result.is_all_) result.indices_ = std::move(indices);
  return result;
}

CoordinateSet CoordinateSet::unite(const CoordinateSet& a, const CoordinateSet& b) {
  if (a.dimension_ != b.dimension_) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("cannot unite coordinates of a vector of {} values with those of {}",
                            a.dimension_, b.dimension_));
  }
  if (a.is_all_ || b.empty()) return a;
  if (b.is_all_ || a.empty()) return b;
  std::vector<std::uint32_t> indices;
  indices.reserve(std::min(a.dimension_, a.size() + b.size()));
  std::set_union(a.indices_.begin(), a.indices_.end(), b.indices_.begin(), b.indices_.end(),
                 std::back_inserter(indices));
  return from_sorted(a.dimension_, std::move(indices));
}

}  // namespace ams
