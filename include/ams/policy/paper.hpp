#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_choice.hpp"
#include "ams/core/selection.hpp"
#include "ams/policy/pace.hpp"

namespace ams {

/// The paper's algorithm and nothing else: Khani et al., "Adaptive Model Streaming". The defaults
/// are those of its section 4.1.
struct PaperOptions {
  PaceOptions pace = paper_pace();  ///< T_update, K, T_horizon, equation (1), appendix D
  double gamma = 0.05;              ///< fraction of the parameters that an update carries, (0, 1]
  AdamOptions adam = {};            ///< alpha, beta1, beta2, epsilon
};

/// Algorithms 1 and 2 as a policy: the server's decisions in the order in which the paper makes
/// them. ServerSession carries them out.
///
///   Algorithm 1  every T_update: sample mini-batches from the last T_horizon seconds of labelled
///                frames, train for K iterations, send the parameters of I_n.
///   Algorithm 2  I_n: the fraction gamma of the coordinates that the latest iteration of the phase
///                before moved most, |u|; random in the first phase. Adam's moments follow all
///                gradients; only the coordinates of I_n move.
///   Equation (1) the device's sampling rate follows how fast the teacher's labels change.
///   Appendix D   T_update grows while the scene is slow.
///   Section 3.1.2 the update: half-precision values and a bit-vector of their places, compressed.
class PaperPolicy final : public PacedPolicy {
 public:
  /// Throws Error(invalid_argument), naming the option and its range.
  explicit PaperPolicy(PaperOptions options = {})
      : PacedPolicy(options.pace),
        options_((validate(options.adam), options)),
        strategy_(gradient_guided(options.gamma)) {}

  /// Lines 1 to 5 of Algorithm 2, for the coming phase of Algorithm 1.
  PhasePlan plan(const PhaseContext& context, Random& random) override {
    const Manifest& manifest = context.held.manifest();
    PhasePlan plan = plan_at_pace(context);  // w_{n,0}: what the device holds
    plan.adam = options_.adam;
    plan.coordinates = strategy_->select({manifest, context.adam, options_.adam, {}}, random);
    plan.required_gradients = strategy_->required_gradients(manifest);
    return plan;
  }

  /// Line 15 of Algorithm 1: the new values at I_n, in the paper's format.
  EncodePlan encode(double, std::span<const double>) override {
    return {.ways = {{.profile = UpdateProfile::reference}}};
  }

 private:
  PaperOptions options_;
  StrategyPtr strategy_;
};

}  // namespace ams
