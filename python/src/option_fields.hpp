#pragma once

#include <pybind11/typing.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ams/core/adam.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/policy/budget/downlink_budget.hpp"
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
struct EnumWords<TensorRole> {
  static constexpr std::array words{std::pair{"weight", TensorRole::weight},
                                    std::pair{"normalization", TensorRole::normalization},
                                    std::pair{"head", TensorRole::head}};
};
template <>
struct EnumWords<UpdateProfile> {
  static constexpr std::array words{std::pair{"reference", UpdateProfile::reference},
                                    std::pair{"compact", UpdateProfile::compact}};
};

/// Exponents of steps by group: a dict of those that are set.
template <>
struct ArgumentType<CompactOptions::StepExponents> {
  using T = CompactOptions::StepExponents;
  static constexpr const char* name = "dict[str, int]";
  static constexpr std::array groups{
      std::pair{"weight", &T::weight}, std::pair{"normalization", &T::normalization},
      std::pair{"head", &T::head}, std::pair{"statistic", &T::statistic}};

  static void read(T& target, const std::string& argument, const py::handle& value) {
    const auto refuse = [&](const std::string& what) {
      throw_invalid(argument + what +
                    "; allowed is a dict from any of 'weight', 'normalization', 'head' and "
                    "'statistic' to a whole number");
    };
    if (!py::isinstance<py::dict>(value)) refuse(" is " + repr_text(value));
    T exponents;
    for (const auto& [key, exponent] : py::reinterpret_borrow<py::dict>(value)) {
      std::optional<int> T::*member = nullptr;
      for (const auto& [group, place] : groups) {
        if (key.equal(py::str(group))) member = place;
      }
      if (!member) refuse(" has the key " + repr_text(key));
      read_argument((exponents.*member).emplace(), argument + "[" + repr_text(key) + "]", exponent);
    }
    target = exponents;
  }
  static py::typing::Dict<py::str, int> write(const T& exponents) {
    py::typing::Dict<py::str, int> set;
    for (const auto& [group, place] : groups) {
      if (exponents.*place) set[group] = *(exponents.*place);
    }
    return set;
  }
};

/// Algorithm 2's choice of coordinates, as Python names it.
struct StrategyArguments {
  std::string strategy = "gradient_guided";
  double gamma = 0.05;

  std::shared_ptr<const SelectionStrategy> make() const {
    return make_selection_strategy(strategy, gamma);
  }
};

/// multipliers: (Struct&) -> LearningRateMultipliers&.
template <class Struct, class Multipliers>
void add_multiplier_fields(Fields<Struct>& fields, Multipliers multipliers) {
  fields
      .add(
          "weight_multiplier", [=](Struct& s) -> double& { return multipliers(s).weight; },
          "of learning_rate, for tensors of role 'weight'; (0, 1e6]")
      .add(
          "normalization_multiplier",
          [=](Struct& s) -> double& { return multipliers(s).normalization; },
          "likewise, of role 'normalization'")
      .add(
          "head_multiplier", [=](Struct& s) -> double& { return multipliers(s).head; },
          "likewise, of role 'head'");
}

/// adam, strategy: (Struct&) -> AdamOptions& and something like StrategyArguments&.
template <class Struct, class Adam, class Strategy>
void add_optimiser_fields(Fields<Struct>& fields, Adam adam, Strategy strategy) {
  fields
      .add(
          "gamma", [=](Struct & s) -> auto& { return strategy(s).gamma; },
          "fraction of the trainable coordinates that a phase trains and sends, in (0, 1]")
      .add(
          "strategy", [=](Struct & s) -> auto& { return strategy(s).strategy; },
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
  add_multiplier_fields(fields,
                        [=](Struct& s) -> LearningRateMultipliers& { return adam(s).multipliers; });
}

/// budget: (Struct&) -> something like DownlinkBudgetOptions&. Names: of its fields, in their
/// order.
template <class Struct, class Budget>
void add_budget_fields(Fields<Struct>& fields, Budget budget, const char* budget_name,
                       const char* link_name, const char* window_name, const char* overhead_name) {
  fields
      .add(
          budget_name, [=](Struct & s) -> auto& { return budget(s).budget_bps; },
          "what the downlink may carry, the mean over a window with every byte counted; 50 to 1e9")
      .add(
          link_name, [=](Struct & s) -> auto& { return budget(s).link_bps; },
          "what the link takes: no update is larger than this times T_update; at least the budget; "
          "0: four times that")
      .add(
          window_name, [=](Struct & s) -> auto& { return budget(s).window_seconds; },
          "of the mean, >= 1")
      .add(
          overhead_name, [=](Struct & s) -> auto& { return budget(s).overhead_bytes; },
          "that an update costs besides its own: message, chunk, WebSocket and TLS headers; >= 0");
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
