#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/selection.hpp"
#include "ams/policy/learning_rates.hpp"
#include "ams/policy/pace.hpp"

namespace ams {

/// One strategy and one encoding for the life of a session.
struct FixedOptions {
  PaceOptions pace = {};
  StrategyPtr strategy;       ///< what a phase trains and sends; not null
  EncodeOptions encode = {};  ///< how an update is written
  AdamOptions adam = {};      ///< alpha, multipliers by role, ...
  /// Tensors whose values are small at the beginning learn less fast (learning_rate_scales()), so
  /// that one alpha suits most networks.
  bool learning_rates_by_size = true;
};

/// FixedOptions as a policy.
class FixedPolicy final : public PacedPolicy {
 public:
  /// Throws Error(invalid_argument), naming the option and its range.
  explicit FixedPolicy(FixedOptions options)
      : PacedPolicy(options.pace), options_(std::move(options)) {
    validate(options_.adam);
    validate(options_.encode);
    if (!options_.strategy) {
      throw Error(ErrorCode::invalid_argument, "FixedPolicy: the strategy is null");
    }
  }

  /// Throws Error(invalid_argument) when the model lacks what the strategy trains.
  void prepare(const ModelState& initial) override {
    PacedPolicy::prepare(initial);
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
