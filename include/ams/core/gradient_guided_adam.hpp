#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/random.hpp"
#include "ams/core/selection.hpp"

namespace ams {

/// Algorithm 2 (section 3.1.2) in one object, for whoever wants nothing else: an optimiser that in
/// each training phase moves a fraction of the parameters, those that moved most in the phase
/// before.
///
///     ams::GradientGuidedAdam adam(weights.size(), 0.05);     // gamma = 5%
///     for (;;) {                                              // one round is one training phase
///       const ams::CoordinateSet& chosen = adam.begin_phase();
///       for (int k = 0; k < 20; ++k) adam.step(weights, gradients_of(weights));
///       send(weights, chosen);                                // all other weights are as they were
///     }
///
/// It keeps no parameters, only what the algorithm remembers. Equal seeds and gradients give equal
/// results on every machine. Not thread-safe for one object.
class GradientGuidedAdam {
 public:
  /// What persists over phases: plain, can be copied, moved and saved.
  struct State {
    AdamState adam;
    CoordinateSet coordinates;     ///< of the current phase
    std::int64_t phase_count = 0;  ///< phases begun; those before the first step are one
    std::uint64_t seed = 0;  ///< of the random choices, which depend on it and phase_count alone
  };

  /// One tensor of `dimension` trainable values, strategy gradient_guided with the fraction gamma,
  /// in (0, 1]. Throws Error(invalid_argument) on an argument or option out of range, as the others
  /// do.
  GradientGuidedAdam(std::size_t dimension, double gamma, const AdamOptions& options = {},
                     std::uint64_t seed = 0);

  /// The parameter vector of a network: tensors of kind `statistic` are never chosen.
  GradientGuidedAdam(std::shared_ptr<const Manifest> manifest, double gamma,
                     const AdamOptions& options = {}, std::uint64_t seed = 0);

  /// Any strategy (selection.hpp) that finds in the manifest what it trains. Neither pointer may be
  /// null.
  GradientGuidedAdam(std::shared_ptr<const Manifest> manifest,
                     std::shared_ptr<const SelectionStrategy> strategy,
                     const AdamOptions& options = {}, std::uint64_t seed = 0);

  /// Chooses I_n (lines 1 to 5): at random in the first phase, then by |u| of the latest step.
  /// The first phase ends with the first step: begun again before that, it chooses the same.
  /// The reference is good until the next begin_phase() or restore().
  const CoordinateSet& begin_phase();

  /// One iteration (lines 9 to 13), as adam_step: `gradients` are those of the loss at
  /// `parameters`, and tensors without one have zeros. Throws Error(invalid_argument), with nothing
  /// changed, before the first begin_phase() and as adam_step does.
  void step(std::span<float> parameters, std::span<const float> gradients);

  /// I_n; empty before the first begin_phase().
  const CoordinateSet& coordinates() const noexcept { return state_.coordinates; }

  /// For each tensor of the manifest: must step() be given its gradient?
  std::vector<bool> required_gradients() const { return strategy_->required_gradients(*manifest_); }

  const Manifest& manifest() const noexcept { return *manifest_; }
  const AdamOptions& options() const noexcept { return options_; }
  const State& state() const noexcept { return state_; }

  /// Continues from a state() of an object with the same manifest, exactly as that one would have.
  /// Throws Error(invalid_argument), with nothing changed, on a wrong dimension, a negative count,
  /// a first moment that is not finite or a second moment that is negative or not finite.
  void restore(State state);

 private:
  std::shared_ptr<const Manifest> manifest_;
  std::shared_ptr<const SelectionStrategy> strategy_;
  AdamOptions options_;
  std::vector<LearningRateRange> ranges_;
  State state_;
};

namespace detail::optimiser {

inline std::shared_ptr<const Manifest> one_tensor(std::size_t dimension) {
  if (dimension == 0 || dimension > Manifest::max_dimension) {
    refuse(fmt::format("a vector of {} parameters: 1 to {} are allowed", dimension,
                       Manifest::max_dimension));
  }
  TensorSpec tensor;
  tensor.name = "parameters";
  tensor.shape = {static_cast<std::int64_t>(dimension)};
  return std::make_shared<const Manifest>(std::vector<TensorSpec>{std::move(tensor)});
}

}  // namespace detail::optimiser

inline GradientGuidedAdam::GradientGuidedAdam(std::size_t dimension, double gamma,
                                              const AdamOptions& options, std::uint64_t seed)
    : GradientGuidedAdam(detail::optimiser::one_tensor(dimension), gamma, options, seed) {}

inline GradientGuidedAdam::GradientGuidedAdam(std::shared_ptr<const Manifest> manifest,
                                              double gamma, const AdamOptions& options,
                                              std::uint64_t seed)
    : GradientGuidedAdam(std::move(manifest), make_selection_strategy("gradient_guided", gamma),
                         options, seed) {}

inline GradientGuidedAdam::GradientGuidedAdam(std::shared_ptr<const Manifest> manifest,
                                              std::shared_ptr<const SelectionStrategy> strategy,
                                              const AdamOptions& options, std::uint64_t seed)
    : manifest_(std::move(manifest)), strategy_(std::move(strategy)), options_(options) {
  if (!manifest_ || !strategy_)
    detail::refuse("the optimiser needs a manifest and a strategy, not null");
  ranges_ = learning_rate_ranges(*manifest_, options_);
  strategy_->required_gradients(*manifest_);  // a strategy that does not fit says so here
  const std::size_t dimension = manifest_->dimension();
  state_ = {AdamState(dimension), CoordinateSet::from_sorted(dimension, {}), 0, seed};
}

inline const CoordinateSet& GradientGuidedAdam::begin_phase() {
  // Before the first step there is nothing to choose by: the first phase, however often it is
  // begun.
  if (state_.adam.step_count == 0) state_.phase_count = 0;
  Random random(mix64(state_.seed ^ mix64(static_cast<std::uint64_t>(state_.phase_count))));
  state_.coordinates = strategy_->select({*manifest_, state_.adam, options_, ranges_}, random);
  ++state_.phase_count;
  return state_.coordinates;
}

inline void GradientGuidedAdam::step(std::span<float> parameters,
                                     std::span<const float> gradients) {
  if (state_.phase_count == 0)
    detail::refuse("step() before begin_phase(): no coordinates are chosen yet");
  adam_step(state_.adam, options_, state_.coordinates, parameters, gradients, ranges_);
}

inline void GradientGuidedAdam::restore(State state) {
  const std::size_t dimension = manifest_->dimension();
  if (state.adam.first_moment.size() != dimension || state.adam.second_moment.size() != dimension ||
      state.coordinates.dimension() != dimension) {
    detail::refuse(fmt::format(
        "a state of {} first and {} second moments and coordinates of dimension {}: {} of each are "
        "allowed",
        state.adam.first_moment.size(), state.adam.second_moment.size(),
        state.coordinates.dimension(), dimension));
  }
  // As many steps as adam_step() goes on from.
  constexpr std::int64_t most = (std::int64_t{1} << 62) - 1;
  const auto is_count = [](std::int64_t count) { return count >= 0 && count <= most; };
  if (!is_count(state.adam.step_count) || !is_count(state.phase_count)) {
    detail::refuse(fmt::format("a state after {} steps and {} phases: 0 to 2^62 - 1 are allowed",
                               state.adam.step_count, state.phase_count));
  }
  const auto finite = [](float m) { return std::isfinite(m); };
  const auto finite_square = [](float v) { return std::isfinite(v) && v >= 0; };
  if (!std::all_of(state.adam.first_moment.begin(), state.adam.first_moment.end(), finite) ||
      !std::all_of(state.adam.second_moment.begin(), state.adam.second_moment.end(),
                   finite_square)) {
    detail::refuse(
        "a state's first moments must be finite, and its second moments finite and at least 0");
  }
  state_ = std::move(state);
}

}  // namespace ams
