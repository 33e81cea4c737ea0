#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"

namespace ams {

/// Where epsilon stands in the denominator of Adam's update.
enum class EpsilonPlacement : std::uint8_t {
  outside_root,  ///< sqrt(v / (1 - beta2^i)) + epsilon, as torch.optim.Adam
  inside_root,   ///< sqrt(v + epsilon), as line 12 of Algorithm 2 is printed
};

/// Adam's hyper-parameters; the defaults are the paper's (section 4.1).
struct AdamOptions {
  double learning_rate = 1e-3;  ///< alpha, > 0
  double beta1 = 0.9;           ///< [0, 1)
  double beta2 = 0.999;         ///< [0, 1)
  double epsilon = 1e-8;        ///< > 0
  EpsilonPlacement epsilon_placement = EpsilonPlacement::outside_root;
};

/// Adam's memory of one parameter vector: plain, can be copied, moved and saved. It outlives training
/// phases: moments and the global step count persist (Algorithm 2, lines 4, 5 and 11).
struct AdamState {
  std::vector<float> first_moment;   ///< m, one value a coordinate
  std::vector<float> second_moment;  ///< v, one value a coordinate
  std::int64_t step_count = 0;       ///< i, over all phases

  AdamState() = default;
  explicit AdamState(std::size_t dimension) : first_moment(dimension), second_moment(dimension) {}
};

/// One iteration of Algorithm 2 (lines 9 to 13): the moments of all coordinates follow the gradient, and
/// those parameters that `coordinates` names move. In place, no allocation, O(dimension).
/// parameters, gradients: as many values as the state has. A gradient may be absent for a whole tensor that
/// no strategy asks for: pass zeros there. Throws Error(invalid_argument) on sizes that differ.
void adam_step(AdamState& state, const AdamOptions& options, const CoordinateSet& coordinates,
               std::span<float> parameters, std::span<const float> gradients);

/// u of the latest iteration for all coordinates (line 12), from the moments: the vector by which the next
/// phase chooses its coordinates. All zeros before the first step. `update` has as many values as the state.
void adam_update(const AdamState& state, const AdamOptions& options, std::span<float> update);

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const AdamOptions& options);

}  // namespace ams
