#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// A set of coordinates of a parameter vector: the I_n of Algorithm 2. An immutable value, safe to
/// read from any thread. Sets are equal when their dimensions are and they hold the same
/// coordinates.
class CoordinateSet {
 public:
  /// The empty set of a vector of 0 values.
  CoordinateSet() = default;

  /// Every coordinate of a vector of `dimension` values; takes no memory per coordinate.
  /// Throws Error(invalid_argument) when dimension is over 2^32 - 1.
  static CoordinateSet all(std::size_t dimension);

  /// Throws Error(invalid_argument) unless `indices` are strictly ascending and below `dimension`,
  /// which is at most 2^32 - 1. A set that turns out to name every coordinate is_all().
  static CoordinateSet from_sorted(std::size_t dimension, std::vector<std::uint32_t> indices);

  std::size_t dimension() const noexcept { return dimension_; }
  std::size_t size() const noexcept { return is_all_ ? dimension_ : indices_.size(); }
  bool empty() const noexcept { return size() == 0; }
  bool is_all() const noexcept { return is_all_; }

  /// The ascending indices. Empty when is_all(): then every index below dimension() is in the set.
  std::span<const std::uint32_t> indices() const noexcept { return indices_; }

  /// Calls f(std::uint32_t index) for every coordinate, ascending.
  template <class F>
  void for_each(F&& f) const {
    if (is_all_) {
      for (std::size_t i = 0; i < dimension_; ++i) f(static_cast<std::uint32_t>(i));
    } else {
      for (std::uint32_t i : indices_) f(i);
    }
  }

  /// Union of two sets of the same dimension; throws Error(invalid_argument) when dimensions
  /// differ.
  static CoordinateSet unite(const CoordinateSet& a, const CoordinateSet& b);

  friend bool operator==(const CoordinateSet&, const CoordinateSet&) = default;

 private:
  std::size_t dimension_ = 0;
  bool is_all_ = true;  // exactly when every coordinate is in the set; indices_ is then empty
  std::vector<std::uint32_t> indices_;
};

namespace detail::coordinates {

inline constexpr std::size_t max_dimension = std::numeric_limits<std::uint32_t>::max();

inline void check_dimension(std::size_t dimension) {
  if (dimension > max_dimension) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("coordinate set of dimension {}: at most {} is allowed", dimension,
                            max_dimension));
  }
}

}  // namespace detail::coordinates

inline CoordinateSet CoordinateSet::all(std::size_t dimension) {
  detail::coordinates::check_dimension(dimension);
  CoordinateSet result;
  result.dimension_ = dimension;
  return result;
}

inline CoordinateSet CoordinateSet::from_sorted(std::size_t dimension,
                                                std::vector<std::uint32_t> indices) {
  detail::coordinates::check_dimension(dimension);
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

inline CoordinateSet CoordinateSet::unite(const CoordinateSet& a, const CoordinateSet& b) {
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
