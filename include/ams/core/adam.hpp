#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// Where epsilon stands in the denominator of Adam's update.
enum class EpsilonPlacement : std::uint8_t {
  outside_root,  ///< sqrt(v / (1 - beta2^i)) + epsilon, as torch.optim.Adam
  inside_root,   ///< sqrt(v + epsilon), as line 12 of Algorithm 2 is printed
};

/// How much faster than learning_rate the tensors of each role learn (TensorRole): (0, 1e6] each.
struct LearningRateMultipliers {
  double weight = 1;
  double normalization = 1;
  double head = 1;
};

/// Adam's hyper-parameters; the defaults are the paper's (section 4.1).
struct AdamOptions {
  double learning_rate = 1e-3;  ///< alpha, > 0 and at most 1e6
  double beta1 = 0.9;           ///< [0, 1), and below 1 as a float
  double beta2 = 0.999;         ///< [0, 1), and below 1 as a float
  double epsilon = 1e-8;        ///< [1e-30, 1e6]
  EpsilonPlacement epsilon_placement = EpsilonPlacement::outside_root;

  /// They work through learning_rate_ranges(): whoever calls adam_step without these has one rate for all.
  LearningRateMultipliers multipliers = {};
};

/// The coordinates from begin to end - 1 learn `multiplier` times as fast as the others.
struct LearningRateRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  double multiplier = 1;
  friend bool operator==(const LearningRateRange&, const LearningRateRange&) = default;
};

/// What options.multipliers, and the tensors' learning_rate_scale, mean for the coordinates of a manifest,
/// as adam_step takes it: ascending ranges, neighbours of one multiplier joined, those of multiplier 1 left
/// out.
/// Throws Error(invalid_argument) on options out of range.
std::vector<LearningRateRange> learning_rate_ranges(const Manifest& manifest,
                                                    const AdamOptions& options);

/// Adam's memory of one parameter vector: plain, can be copied, moved and saved. It outlives training
/// phases: moments and the global step count persist (Algorithm 2, lines 4, 5 and 11).
struct AdamState {
  std::vector<float> first_moment;   ///< m, one value a coordinate
  std::vector<float> second_moment;  ///< v, one value a coordinate
  std::int64_t step_count = 0;       ///< i, over all phases

  AdamState() = default;
  explicit AdamState(std::size_t dimension) : first_moment(dimension), second_moment(dimension) {}
};

/// Largest |gradient| that adam_step takes: its square, and so every moment, is finite in float32.
inline constexpr float max_gradient_magnitude = 1e18F;

/// One iteration of Algorithm 2 (lines 9 to 13): the moments of all coordinates follow the gradient, and
/// those parameters that `coordinates` names move. In place, no allocation, O(dimension).
/// parameters, gradients: as many values as the state has, in memory of their own. A gradient may be absent
/// for a whole tensor that no strategy asks for: pass zeros there; the moments of a coordinate whose
/// gradients are all zero stay zero, and its parameter stays where it is.
/// ranges: where the learning rate is another one; ascending, not empty, without overlap, within the
/// state's coordinates. u is the same product with learning_rate * multiplier in place of learning_rate, so
/// a multiplier of 1 changes nothing, bit for bit.
/// One gradient that is not a number would spoil its moments for all phases to come. So this throws
/// Error(invalid_argument), with nothing changed, when a |gradient| is over max_gradient_magnitude or not a
/// number, and on sizes that differ, or options or ranges that are not as said here.
/// Arithmetic is float32 with one rounding an operation, the same bit for bit on every machine (as long as
/// nobody has told the processor to flush denormals or to round otherwise); at coordinates = all it is Adam.
/// Not thread-safe for one state.
void adam_step(AdamState& state, const AdamOptions& options, const CoordinateSet& coordinates,
               std::span<float> parameters, std::span<const float> gradients,
               std::span<const LearningRateRange> ranges = {});

/// u of the latest iteration for all coordinates (line 12), from the moments: the vector by which the next
/// phase chooses its coordinates. All zeros before the first step. `update` has as many values as the state.
/// Throws Error(invalid_argument) on sizes that differ, or options or ranges out of range.
void adam_update(const AdamState& state, const AdamOptions& options, std::span<float> update,
                 std::span<const LearningRateRange> ranges = {});

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const AdamOptions& options);

}  // namespace ams
