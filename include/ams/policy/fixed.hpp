#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/selection.hpp"
#include "ams/policy/learning_rates.hpp"
#include "ams/policy/pace.hpp"

namespace ams {

/// What libams trains and sends unless told otherwise: normalisation layers and head. A model
/// without normalisation layers is trained whole.
inline StrategyPtr recommended_strategy(const Manifest& manifest) {
  const auto& tensors = manifest.tensors();
  const bool has_normalization =
      std::any_of(tensors.begin(), tensors.end(), [](const TensorSpec& tensor) {
        return tensor.kind == TensorKind::parameter && tensor.role == TensorRole::normalization;
      });
  return has_normalization ? normalization_and_head() : full();
}

/// How libams writes an update unless told otherwise.
inline EncodeOptions recommended_encoding() {
  EncodeOptions options{.profile = UpdateProfile::compact};
  options.compact.relative_step = 2;
  return options;
}

/// One strategy and one encoding for the life of a session. The defaults are the settings that
/// libams recommends (docs/results.md); those of the paper are PaperPolicy's.
struct FixedOptions {
  PaceOptions pace = {};
  StrategyPtr strategy = nullptr;  ///< what a phase trains and sends; null: recommended_strategy()
  EncodeOptions encode = recommended_encoding();  ///< how an update is written
  /// alpha, beta1, beta2, epsilon; its multipliers are replaced by those below.
  AdamOptions adam = {.learning_rate = recommended_learning_rate};
  GivenMultipliers multipliers = {};  ///< in place of recommended_multipliers() of the strategy
  /// Tensors whose values are small at the beginning learn less fast (learning_rate_scales()), so
  /// that one alpha suits most networks.
  bool learning_rates_by_size = true;
};

/// FixedOptions as a policy.
class FixedPolicy final : public PacedPolicy {
 public:
  /// Throws Error(invalid_argument), naming the option and its range.
  explicit FixedPolicy(FixedOptions options = {})
      : PacedPolicy(options.pace), options_(std::move(options)) {
    options_.adam.multipliers = {};
    validate(options_.adam);
    validate(options_.encode);
    (void)recommended_multipliers("full", 1, options_.multipliers);  // throws
  }

  /// Throws Error(invalid_argument) when the model lacks what the strategy trains.
  void prepare(const ModelState& initial) override {
    PacedPolicy::prepare(initial);
    if (!options_.strategy) options_.strategy = recommended_strategy(initial.manifest());
    options_.adam.multipliers = recommended_multipliers(*options_.strategy, options_.multipliers);
    required_gradients_ = options_.strategy->required_gradients(initial.manifest());
    learning_rates_ =
        initial_learning_rates(initial, options_.adam, options_.learning_rates_by_size);
  }

  PhasePlan plan(const PhaseContext& context, Random& random) override {
    PhasePlan plan = plan_at_pace(context);
    plan.adam = options_.adam;
    plan.learning_rates = learning_rates_;
    plan.coordinates = options_.strategy->select(
        {context.held.manifest(), context.adam, options_.adam, learning_rates_}, random);
    plan.required_gradients = required_gradients_;
    return plan;
  }

  EncodePlan encode(double, std::span<const double>) override {
    return {.ways = {options_.encode}};
  }

 private:
  FixedOptions options_;
  std::vector<bool> required_gradients_;
  std::vector<LearningRateRange> learning_rates_;
};

}  // namespace ams
