#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/selection.hpp"

namespace ams {

/// The root mean square of a tensor's values from which on it learns at its role's whole rate.
inline constexpr double whole_rate_root_mean_square = 0.4;

/// A factor of the learning rate for each tensor, by how large its values are, so that one learning
/// rate suits networks whose weights are of different sizes. Adam moves every coordinate equally
/// far, which is little for a weight of 0.8 and a lot for one of 0.06. Both are weights of good
/// students (EDANet's from Cityscapes, and those that a usual initialisation leaves in wide
/// layers), and an eighth of the rate is best for the second. Adafactor's relative
/// step sizes are the same idea (Shazeer and Stern 2018, section 8).
///
/// A parameter of two or more extents whose root mean square is below whole_rate_root_mean_square
/// learns in proportion, down to a sixteenth. All others have 1: biases, normalisation layers, and
/// a tensor that begins at zero.
///
/// values: manifest.dimension() of them, of the parameters that training begins with. Throws
/// Error(invalid_argument) for another number of values, or one that is not finite.
inline std::vector<double> learning_rate_scales(const Manifest& manifest,
                                                std::span<const float> values) {
  constexpr double least_scale = 1.0 / 16;
  if (values.size() != manifest.dimension()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("learning rates by size: {} values for a manifest of {}", values.size(),
                            manifest.dimension()));
  }
  std::vector<double> scales;
  for (const TensorSpec& tensor : manifest.tensors()) {
    double sum = 0;
    for (const float value : values.subspan(tensor.offset, tensor.size)) {
      sum += static_cast<double>(value) * static_cast<double>(value);
    }
    if (!std::isfinite(sum)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("learning rates by size: tensor {} has values that are not finite",
                              tensor.name));
    }
    const bool is_scaled =
        tensor.kind == TensorKind::parameter && tensor.shape.size() >= 2 && sum > 0;
    const double root_mean_square = std::sqrt(sum / static_cast<double>(tensor.size));
    scales.push_back(
        is_scaled ? std::clamp(root_mean_square / whole_rate_root_mean_square, least_scale, 1.0)
                  : 1.0);
  }
  return scales;
}

/// The ranges of learning rates for a model, as adam_step() takes them: the multipliers of
/// `options` and, where by_size, learning_rate_scales(). Throws Error(invalid_argument).
inline std::vector<LearningRateRange> initial_learning_rates(const ModelState& initial,
                                                             const AdamOptions& options,
                                                             bool by_size) {
  return learning_rate_ranges(
      initial.manifest(), options,
      by_size ? learning_rate_scales(initial.manifest(), initial.values()) : std::vector<double>());
}

/// The learning rate that libams recommends: Adam's alpha for the whole model. What a strategy
/// trains learns faster (recommended_multipliers()).
inline constexpr double recommended_learning_rate = 2e-3;

/// Multipliers of some roles, as somebody gave them.
struct GivenMultipliers {
  std::optional<double> weight = std::nullopt;
  std::optional<double> normalization = std::nullopt;
  std::optional<double> head = std::nullopt;
};

/// How fast the coordinates of a strategy should learn, against a learning rate that suits the
/// whole model (docs/results.md, "What to send").
/// - A fraction alone, and last layers beside the normalisation layers, learn min(16, 1 / gamma)
///   times as fast: the fewer coordinates move, the further each must go. 16 is best for a
///   gradient-guided 5% of EDANet on clips of a minute, 4 on nine minutes whose scenes change; 1 is
///   the whole model.
/// - A gradient-guided fraction beside groups learns min(4, 1 / sqrt(gamma)) times as fast: it adds
///   to them, and more speed costs accuracy on a scene that is new.
/// - Normalisation layers in a group learn 5 times as fast, the head 4 times.
/// - The rest, `full` among it, learns at that rate.
/// `given` overrides these. Unnamed roles inherit the weight multiplier. More than 0, at most 1e6.
/// name, gamma: as make_selection_strategy() takes them; throws as it does.
inline LearningRateMultipliers recommended_multipliers(std::string_view name, double gamma,
                                                       const GivenMultipliers& given = {}) {
  (void)make_selection_strategy(name, gamma);  // throws
  constexpr double most_of_fraction = 16, most_beside_groups = 4;
  constexpr double of_normalization = 5, of_head = 4;
  const bool names_normalization = name.starts_with("normalization");
  const bool names_head = name.starts_with("normalization_and_head");
  const bool has_fraction =
      name != "full" && name != "normalization" && name != "normalization_and_head";
  // Adam moves each coordinate about as far, so 1 / sqrt(gamma) moves the fraction as far as the
  // whole model would move.
  const bool is_beside_groups = names_normalization && name.ends_with("+gradient_guided");
  const double of_fraction = is_beside_groups ? std::min(most_beside_groups, 1 / std::sqrt(gamma))
                                              : std::min(most_of_fraction, 1 / gamma);
  const double of_weights = given.weight.value_or(has_fraction ? of_fraction : 1);
  const LearningRateMultipliers multipliers = {
      .weight = of_weights,
      .normalization =
          given.normalization.value_or(names_normalization ? of_normalization : of_weights),
      .head = given.head.value_or(names_head ? of_head : of_weights)};
  validate(AdamOptions{.multipliers = multipliers});
  return multipliers;
}

/// Likewise for a strategy as a value. One that make_selection_strategy() does not know learns at
/// the learning rate itself where nothing is given.
inline LearningRateMultipliers recommended_multipliers(const SelectionStrategy& strategy,
                                                       const GivenMultipliers& given = {}) {
  const std::string name = strategy.name();
  const auto names = selection_strategy_names();
  const bool is_known = std::find(names.begin(), names.end(), name) != names.end();
  return recommended_multipliers(is_known ? name : "full", strategy.gamma(), given);
}

}  // namespace ams
