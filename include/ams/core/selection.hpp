#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/random.hpp"

namespace ams {

/// What a strategy may look at when a training phase begins.
struct SelectionInput {
  const Manifest& manifest;
  const AdamState& adam;  ///< as the previous phase left it; step_count 0 in the first phase
  const AdamOptions& adam_options;
};

/// Which coordinates a training phase trains and sends (section 3.1.2, Table 3). A value without memory of
/// its own, so that one object serves many sessions and threads.
class SelectionStrategy {
 public:
  virtual ~SelectionStrategy() = default;

  /// The coordinates of the coming phase; of tensors of kind `parameter` only.
  virtual CoordinateSet select(const SelectionInput& input, Random& random) const = 0;

  /// For each tensor of the manifest: must its gradient be computed? The trainer skips the others.
  virtual std::vector<bool> required_gradients(const Manifest& manifest) const = 0;

  /// As make_selection_strategy takes it, e.g. "gradient_guided".
  virtual std::string name() const = 0;
};

/// name: gradient_guided, random, first_layers, last_layers, first_and_last_layers or full.
/// gamma: the fraction of the trainable coordinates, in (0, 1]; `full` ignores it.
/// Throws Error(invalid_argument) that lists what is allowed.
std::unique_ptr<SelectionStrategy> make_selection_strategy(std::string_view name, double gamma);

/// The names that make_selection_strategy takes.
std::span<const std::string_view> selection_strategy_names();

/// The `count` coordinates of largest |update|; among equals the lower index wins, so that the result is
/// the same on every machine. O(n), independent of the values' order. count <= update.size().
CoordinateSet largest_by_magnitude(std::span<const float> update, std::size_t count);

/// `count` coordinates below `dimension`, uniformly without replacement. O(dimension).
CoordinateSet random_coordinates(std::size_t dimension, std::size_t count, Random& random);

/// gamma * dimension, rounded to nearest, at least 1.
std::size_t fraction_count(double gamma, std::size_t dimension);

}  // namespace ams
