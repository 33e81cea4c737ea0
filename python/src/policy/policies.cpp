#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <utility>

#include "ams/policy/budget/budget_policy.hpp"
#include "ams/policy/fixed.hpp"
#include "ams/policy/paper.hpp"
#include "bindings.hpp"
#include "forwarding_policy.hpp"
#include "policy/policy_fields.hpp"

namespace py = pybind11;

namespace ams::python {
namespace {

/// A policy of the library, and the keyword arguments that it was made of.
template <class Options>
class Configured final : public ForwardingPolicy {
 public:
  Configured(std::shared_ptr<UpdatePolicy> policy, Options options)
      : ForwardingPolicy(std::move(policy)), options_(std::move(options)) {}
  const Options& options() const noexcept { return options_; }

 private:
  Options options_;
};

/// make: (const Options&) -> std::shared_ptr of a policy.
template <class Options, class Make>
void bind_policy(py::module_& m, const char* name, const char* doc, const Fields<Options>& fields,
                 Make make) {
  using Bound = Configured<Options>;
  py::class_<Bound, UpdatePolicy, std::shared_ptr<Bound>> policy(m, name, doc);
  fields.define_init(policy, name, [make](const Options& options) {
    return std::make_shared<Bound>(make(options), options);
  });
  // What changes has a property of UpdatePolicy's already.
  fields.define_attributes(policy, name, [](const Bound& p) -> auto& { return p.options(); },
                           {"update_interval_seconds", "horizon_seconds"});
}

/// FixedOptions with the strategy as Python gives it.
struct FixedArguments {
  std::optional<StrategyArgument> strategy;
  std::optional<double> gamma;
  FixedOptions options;
};

Fields<GivenMultipliers> given_multiplier_fields() {
  using M = GivenMultipliers;
  Fields<M> fields;
  fields
      .add("weight_multiplier", &M::weight,
           "of learning_rate, for tensors of role 'weight', (0, 1e6]; None: the strategy's of "
           "recommended_multipliers()")
      .add("normalization_multiplier", &M::normalization, "likewise, of role 'normalization'")
      .add("head_multiplier", &M::head, "likewise, of role 'head'");
  return fields;
}

}  // namespace

void bind_policies(py::module_& m) {
  Fields<PaperOptions> paper;
  paper
      .add("gamma", &PaperOptions::gamma,
           "fraction of the parameters that an update carries, (0, 1]")
      .include(
          adam_fields(), [](PaperOptions & o) -> auto& { return o.adam; })
      .include(
          pace_fields(), [](PaperOptions & o) -> auto& { return o.pace; });
  bind_policy(m, "PaperPolicy", R"(
The paper's algorithm and nothing else: Algorithms 1 and 2, equation (1) and appendix D, updates in
profile 'reference'. The defaults are those of its section 4.1.)",
              paper, [](const PaperOptions& o) { return std::make_shared<PaperPolicy>(o); });

  using F = FixedArguments;
  Fields<F> fixed;
  fixed
      .add("strategy", &F::strategy,
           "what a phase trains and sends, a Strategy or one of selection_strategy_names(); None: "
           "normalisation layers and head, or the whole model where it has no such layers")
      .add("gamma", &F::gamma,
           "fraction of the trainable coordinates, of strategies that choose one; (0, 1]; None: "
           "0.05. Without a strategy it asks for 'gradient_guided'")
      .include(
          adam_fields(), [](F & a) -> auto& { return a.options.adam; })
      .include(
          given_multiplier_fields(), [](F & a) -> auto& { return a.options.multipliers; })
      .add(
          "learning_rates_by_size", [](F & a) -> auto& { return a.options.learning_rates_by_size; },
          "tensors whose values are small at the beginning learn less fast "
          "(learning_rate_scales()), so that one learning rate suits most networks; False: as in "
          "the paper")
      .include(
          encode_fields(), [](F & a) -> auto& { return a.options.encode; })
      .include(
          pace_fields(), [](F & a) -> auto& { return a.options.pace; });
  bind_policy(m, "FixedPolicy", R"(
One strategy and one encoding for the life of a session. The defaults are the settings that libams
recommends; those of the paper are PaperPolicy's.)",
              fixed, [](F a) {
                if (a.strategy) {
                  a.options.strategy = a.strategy->make(a.gamma.value_or(0.05));
                } else if (a.gamma) {
                  a.options.strategy = gradient_guided(*a.gamma);
                }
                return std::make_shared<FixedPolicy>(a.options);
              });

  using B = BudgetOptions;
  Fields<B> budget;
  budget
      .include(
          budget_fields(), [](B & o) -> auto& { return o.budget; })
      .include(
          all_adam_fields(), [](B & o) -> auto& { return o.adam; })
      .add("learning_rates_by_size", &B::learning_rates_by_size, "as FixedPolicy's")
      .include(
          pace_fields(), [](B & o) -> auto& { return o.pace; });
  bind_policy(m, "BudgetPolicy", R"(
Keeps a downlink budget: chooses what each phase trains and how fast it learns, and writes each
update as finely as the budget allows. Given multipliers multiply recommended_multipliers().)",
              budget, [](const B& o) { return std::make_shared<BudgetPolicy>(o); });
}

}  // namespace ams::python
