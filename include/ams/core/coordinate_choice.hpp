#pragma once

#include <cstddef>
#include <span>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/random.hpp"

namespace ams {

/// The `count` coordinates of largest |update|; among equals the lower index wins, so that the result is
/// the same on every machine. Values that are not numbers rank above infinity, as equals. O(n), whatever the
/// values and their order. Throws Error(invalid_argument) unless count <= update.size().
CoordinateSet largest_by_magnitude(std::span<const float> update, std::size_t count);

/// `count` coordinates below `dimension`, uniformly without replacement. O(dimension).
/// Throws Error(invalid_argument) unless count <= dimension.
CoordinateSet random_coordinates(std::size_t dimension, std::size_t count, Random& random);

/// gamma * dimension, rounded to nearest, at least 1 (0 for dimension 0).
/// Throws Error(invalid_argument) unless gamma is in (0, 1].
std::size_t fraction_count(double gamma, std::size_t dimension);

}  // namespace ams
