#pragma once

#include <pybind11/typing.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/core/update_codec.hpp"
#include "fields.hpp"

/// The fields of options that stand in several structs: they have the same names everywhere.
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

/// A selection strategy, by name or as a value.
struct StrategyArgument {
  std::string name = "gradient_guided";
  StrategyPtr value = nullptr;  ///< null: `name` counts

  StrategyPtr make(double gamma) const {
    return value ? value : make_selection_strategy(name, gamma);
  }
};

template <>
struct ArgumentType<StrategyArgument> {
  static constexpr const char* name = "str | Strategy";

  static void read(StrategyArgument& target, const std::string& argument, const py::handle& value) {
    if (py::isinstance<SelectionStrategy>(value)) {
      target.value = value.cast<std::shared_ptr<SelectionStrategy>>();
    } else if (py::isinstance<py::str>(value)) {
      target = {to_text(value), nullptr};
    } else {
      throw_invalid(argument + " is " + repr_text(value) +
                    "; allowed is a Strategy, or a name of selection_strategy_names()");
    }
  }
  static py::object write(const StrategyArgument& strategy) {
    if (!strategy.value) return py::str(strategy.name);
    return py::cast(std::const_pointer_cast<SelectionStrategy>(strategy.value));
  }
};

/// Likewise; None leaves the choice to the policy.
template <>
struct ArgumentType<std::optional<StrategyArgument>> {
  static constexpr const char* name = "str | Strategy | None";

  static void read(std::optional<StrategyArgument>& target, const std::string& argument,
                   const py::handle& value) {
    target.reset();
    if (!value.is_none()) {
      ArgumentType<StrategyArgument>::read(target.emplace(), argument, value);
    }
  }
  static py::object write(const std::optional<StrategyArgument>& strategy) {
    return strategy ? ArgumentType<StrategyArgument>::write(*strategy) : py::none();
  }
};

/// Algorithm 2's choice of coordinates.
struct Selection {
  double gamma = 0.05;
  StrategyArgument strategy;

  StrategyPtr make() const { return strategy.make(gamma); }
};

inline Fields<Selection> selection_fields() {
  Fields<Selection> fields;
  fields
      .add("gamma", &Selection::gamma,
           "fraction of the trainable coordinates that a phase trains and sends, in (0, 1]")
      .add("strategy", &Selection::strategy,
           "how they are chosen, a Strategy or one of selection_strategy_names()");
  return fields;
}

/// Without the multipliers.
inline Fields<AdamOptions> adam_fields() {
  Fields<AdamOptions> fields;
  fields.add("learning_rate", &AdamOptions::learning_rate, "alpha, > 0 and at most 1e6")
      .add("beta1", &AdamOptions::beta1, "in [0, 1)")
      .add("beta2", &AdamOptions::beta2, "in [0, 1)")
      .add("epsilon", &AdamOptions::epsilon, "1e-30 to 1e6")
      .add("epsilon_placement", &AdamOptions::epsilon_placement,
           "'outside_root' (as torch.optim.Adam) or 'inside_root' (as Algorithm 2 is printed)");
  return fields;
}

inline Fields<LearningRateMultipliers> multiplier_fields() {
  using M = LearningRateMultipliers;
  Fields<M> fields;
  fields
      .add("weight_multiplier", &M::weight,
           "of learning_rate, for tensors of role 'weight'; (0, 1e6]")
      .add("normalization_multiplier", &M::normalization, "likewise, of role 'normalization'")
      .add("head_multiplier", &M::head, "likewise, of role 'head'");
  return fields;
}

/// With the multipliers.
inline Fields<AdamOptions> all_adam_fields() {
  return adam_fields().include(
      multiplier_fields(), [](AdamOptions & o) -> auto& { return o.multipliers; });
}

inline Fields<EncodeOptions> encode_fields() {
  using C = CompactOptions;
  Fields<C> compact;
  compact
      .add("relative_step", &C::relative_step,
           "of 'compact': a step is the power of two nearest to this times the root mean square of "
           "the differences, over the parameters of one role; 2^-20 to 2^20")
      .add("weight_step_multiplier", &C::weight_step_multiplier,
           "of 'compact': times as large for weights, neither normalisation nor head; likewise")
      .add("dead_zone", &C::dead_zone,
           "of 'compact': a parameter that would move by fewer steps stays where it is; 0.5 to 4")
      .add("step_exponent", &C::step_exponent,
           "of 'compact': 2^this is every step, in place of all that; -100 to 104");
  Fields<EncodeOptions> fields;
  fields
      .add("profile", &EncodeOptions::profile,
           "'reference' (section 3.1.2: float16 values and their places) or 'compact' (differences "
           "in steps of a power of two, under a range coder that remembers)")
      .add("zstd_level", &EncodeOptions::zstd_level, "of 'reference', 1 (fast) to 19")
      .include(
          compact, [](EncodeOptions & o) -> auto& { return o.compact; });
  return fields;
}

inline Fields<SamplingRateOptions> sampling_rate_fields() {
  using O = SamplingRateOptions;
  Fields<O> fields;
  fields.add("min_fps", &O::min_fps, "r_min, > 0")
      .add("max_fps", &O::max_fps, "r_max, >= min_fps")
      .add("initial_fps", &O::initial_fps, "r_0, from min_fps to max_fps")
      .add("step_fps", &O::step_fps, "eta_r, fps for one unit of phi, > 0")
      .add("phi_target", &O::phi_target,
           "in the unit of the task's loss; the default is for HardLabelCrossEntropy")
      .add("interval_seconds", &O::interval_seconds,
           "delta_t between decisions on the sampling rate, > 0");
  return fields;
}

/// All but the base interval.
inline Fields<TrainingRateOptions> training_rate_fields() {
  using O = TrainingRateOptions;
  Fields<O> fields;
  fields
      .add("slow_below_fps", &O::slow_below_fps,
           "mean sampling rate below which slow-down begins, > 0")
      .add("fast_above_fps", &O::fast_above_fps,
           "mean sampling rate above which it ends, >= slow_below_fps")
      .add("step_seconds", &O::step_seconds, "growth of T_update per update while slowed down, > 0")
      .add("max_factor", &O::max_factor, "T_update grows up to so many times its base, >= 1")
      .add("window", &O::window, "number of latest sampling rates in the mean, 1 to 1000");
  return fields;
}

/// (begin, end, multiplier) each.
using RangeTuples = std::vector<std::tuple<std::size_t, std::size_t, double>>;

inline RangeTuples to_tuples(const std::vector<LearningRateRange>& ranges) {
  RangeTuples tuples;
  for (const LearningRateRange& range : ranges)
    tuples.emplace_back(range.begin, range.end, range.multiplier);
  return tuples;
}

inline std::vector<LearningRateRange> to_ranges(const RangeTuples& tuples) {
  std::vector<LearningRateRange> ranges;
  for (const auto& [begin, end, multiplier] : tuples) ranges.push_back({begin, end, multiplier});
  return ranges;
}

}  // namespace ams::python
