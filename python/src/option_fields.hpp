#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "ams/core/adam.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/core/update_codec.hpp"
#include "fields.hpp"

/// The keyword arguments of options that stand in several structs, under the same names everywhere.
namespace ams::python {

template <>
struct EnumWords<EpsilonPlacement> {
  static constexpr std::array words{std::pair{"outside_root", EpsilonPlacement::outside_root},
                                    std::pair{"inside_root", EpsilonPlacement::inside_root}};
};
template <>
struct EnumWords<TensorKind> {
  static constexpr std::array words{std::pair{"parameter", TensorKind::parameter},
                                    std::pair{"statistic", TensorKind::statistic}};
};
template <>
struct EnumWords<UpdateProfile> {
  static constexpr std::array words{std::pair{"reference", UpdateProfile::reference},
                                    std::pair{"compact", UpdateProfile::compact}};
};

/// Algorithm 2's choice of coordinates, as Python names it.
struct StrategyArguments {
  std::string strategy = "gradient_guided";
  double gamma = 0.05;

  std::shared_ptr<const SelectionStrategy> make() const {
    return make_selection_strategy(strategy, gamma);
  }
};

/// adam, strategy: (Struct&) -> AdamOptions& and StrategyArguments&.
template <class Struct, class Adam, class Strategy>
void add_optimiser_fields(Fields<Struct>& fields, Adam adam, Strategy strategy) {
  fields
      .add(
          "gamma", [=](Struct& s) -> double& { return strategy(s).gamma; },
          "fraction of the trainable coordinates that a phase trains and sends, in (0, 1]")
      .add(
          "strategy", [=](Struct& s) -> std::string& { return strategy(s).strategy; },
          "how they are chosen, one of selection_strategy_names()")
      .add(
          "learning_rate", [=](Struct& s) -> double& { return adam(s).learning_rate; },
          "alpha, > 0 and at most 1e6")
      .add(
          "beta1", [=](Struct& s) -> double& { return adam(s).beta1; }, "in [0, 1)")
      .add(
          "beta2", [=](Struct& s) -> double& { return adam(s).beta2; }, "in [0, 1)")
      .add(
          "epsilon", [=](Struct& s) -> double& { return adam(s).epsilon; }, "1e-30 to 1e6")
      .add(
          "epsilon_placement",
          [=](Struct& s) -> EpsilonPlacement& { return adam(s).epsilon_placement; },
          "'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)");
}

template <class Struct, class Sampling>
void add_sampling_fields(Fields<Struct>& fields, Sampling sampling, const char* interval_name) {
  fields
      .add(
          "min_fps", [=](Struct& s) -> double& { return sampling(s).min_fps; }, "r_min, > 0")
      .add(
          "max_fps", [=](Struct& s) -> double& { return sampling(s).max_fps; }, "r_max, >= min_fps")
      .add(
          "initial_fps", [=](Struct& s) -> double& { return sampling(s).initial_fps; },
          "r_0, from min_fps to max_fps")
      .add(
          "step_fps", [=](Struct& s) -> double& { return sampling(s).step_fps; },
          "eta_r, fps for one unit of phi, > 0")
      .add(
          "phi_target", [=](Struct& s) -> double& { return sampling(s).phi_target; },
          "in the unit of the task's loss; the default is for HardLabelCrossEntropy")
      .add(
          interval_name, [=](Struct& s) -> double& { return sampling(s).interval_seconds; },
          "delta_t between decisions on the sampling rate, > 0");
}

/// All but the base interval, which a session takes from its T_update.
template <class Struct, class Training>
void add_training_rate_fields(Fields<Struct>& fields, Training training, const char* step_name,
                              const char* factor_name, const char* window_name) {
  fields
      .add(
          "slow_below_fps", [=](Struct& s) -> double& { return training(s).slow_below_fps; },
          "mean sampling rate below which slow-down begins, > 0")
      .add(
          "fast_above_fps", [=](Struct& s) -> double& { return training(s).fast_above_fps; },
          "mean sampling rate above which it ends, >= slow_below_fps")
      .add(
          step_name, [=](Struct& s) -> double& { return training(s).step_seconds; },
          "growth of T_update per update while slowed down, > 0")
      .add(
          factor_name, [=](Struct& s) -> double& { return training(s).max_factor; },
          "T_update grows up to so many times its base, >= 1")
      .add(
          window_name, [=](Struct& s) -> std::size_t& { return training(s).window; },
          "number of latest sampling rates in the mean, 1 to 1000");
}

}  // namespace ams::python
