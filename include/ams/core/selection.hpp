#pragma once

#include <cstddef>
#include <memory>
#include <optional>
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
  /// Of the phase before; null where there was none or it chose at random, as the first one does.
  const CoordinateSet* previous = nullptr;
};

/// Which coordinates a training phase trains and sends (section 3.1.2, Table 3). A value without memory of
/// its own, so that one object serves many sessions and threads. Derive from it for strategies of your own.
class SelectionStrategy {
 public:
  virtual ~SelectionStrategy() = default;

  /// The coordinates of the coming phase; of tensors of kind `parameter` only. Throws
  /// Error(invalid_argument) when the Adam state or the previous coordinates that it looks at are not of
  /// the manifest's dimension, or when the manifest lacks what the strategy trains.
  virtual CoordinateSet select(const SelectionInput& input, Random& random) const = 0;

  /// For each tensor of the manifest: must its gradient be computed? The trainer skips the others. Throws
  /// Error(invalid_argument) when the manifest lacks what the strategy trains: ask once, early.
  virtual std::vector<bool> required_gradients(const Manifest& manifest) const = 0;

  /// For people and reports; of those that make_selection_strategy makes, what it takes.
  virtual std::string name() const = 0;
};

/// name:
/// - gradient_guided: the fraction of largest |u| of the previous phase, over all tensors together; random
///   in the first phase (Algorithm 2, line 1), and as far as fewer than that have a u at all.
/// - random: another uniformly random fraction in every phase.
/// - first_layers, last_layers, first_and_last_layers: the fraction that comes first or last in the
///   manifest's order, or half of it (rounded up) first and the rest last; the same in every phase, so only
///   the gradients of the tensors that hold it are required.
/// - normalization: scale and shift of every normalisation layer (TensorRole), the same in every phase.
/// - normalization_and_head: these and the classifier. A manifest without such tensors is refused.
/// - normalization+last_layers: the normalisation layers, and the fraction that comes last: the head and what
///   is right before it, when that is more than the head.
/// - normalization+gradient_guided, normalization_and_head+gradient_guided: these, and of the coordinates
///   outside the group as many as gamma of all trainable ones (or all there are). Those of the phase before
///   stay, since coordinates that come again take less than half of the bytes of new ones in profile
///   compact (measured at 1%); where the fraction grows those of largest |u| join them, and where it
///   shrinks those of largest |u| stay.
/// - full: all trainable coordinates, which is Adam.
/// gamma: the fraction of the trainable coordinates, in (0, 1]; `full` and the groups alone ignore it.
/// Throws Error(invalid_argument) that lists what is allowed.
std::unique_ptr<SelectionStrategy> make_selection_strategy(std::string_view name, double gamma);

/// What `group` chooses, which must be the same in every phase, and beside it a gradient-guided fraction that
/// stays, as `+gradient_guided` above. Its name is the group's with `+gradient_guided` behind it, also where
/// make_selection_strategy does not take that. Throws Error(invalid_argument) on null and on gamma outside
/// (0, 1]; its select() on a group that chooses for another dimension.
std::unique_ptr<SelectionStrategy> with_gradient_guided(std::unique_ptr<SelectionStrategy> group,
                                                        double gamma);

/// The names that make_selection_strategy takes.
std::span<const std::string_view> selection_strategy_names();

}  // namespace ams
