#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ams {

/// A set of coordinates of a parameter vector: the I_n of Algorithm 2. An immutable value, safe to read
/// from any thread. Sets are equal when their dimensions are and they hold the same coordinates.
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

  /// Union of two sets of the same dimension; throws Error(invalid_argument) when dimensions differ.
  static CoordinateSet unite(const CoordinateSet& a, const CoordinateSet& b);

  friend bool operator==(const CoordinateSet&, const CoordinateSet&) = default;

 private:
  std::size_t dimension_ = 0;
  bool is_all_ = true;  // exactly when every coordinate is in the set; indices_ is then empty
  std::vector<std::uint32_t> indices_;
};

}  // namespace ams
