#include "ams/core/gradient_guided_adam.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/random.hpp"

namespace ams {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

std::shared_ptr<const Manifest> one_tensor(std::size_t dimension) {
  if (dimension == 0 || dimension > Manifest::max_dimension) {
    refuse(fmt::format("a vector of {} parameters: 1 to {} are allowed", dimension,
                       Manifest::max_dimension));
  }
  TensorSpec tensor;
  tensor.name = "parameters";
  tensor.shape = {static_cast<std::int64_t>(dimension)};
  return std::make_shared<const Manifest>(std::vector<TensorSpec>{std::move(tensor)});
}

}  // namespace

GradientGuidedAdam::GradientGuidedAdam(std::size_t dimension, double gamma,
                                       const AdamOptions& options, std::uint64_t seed)
    : GradientGuidedAdam(one_tensor(dimension), gamma, options, seed) {}

GradientGuidedAdam::GradientGuidedAdam(std::shared_ptr<const Manifest> manifest, double gamma,
                                       const AdamOptions& options, std::uint64_t seed)
    : GradientGuidedAdam(std::move(manifest), make_selection_strategy("gradient_guided", gamma),
                         options, seed) {}

GradientGuidedAdam::GradientGuidedAdam(std::shared_ptr<const Manifest> manifest,
                                       std::shared_ptr<const SelectionStrategy> strategy,
                                       const AdamOptions& options, std::uint64_t seed)
    : manifest_(std::move(manifest)), strategy_(std::move(strategy)), options_(options) {
  if (!manifest_ || !strategy_) refuse("the optimiser needs a manifest and a strategy, not null");
  ranges_ = learning_rate_ranges(*manifest_, options_);
  strategy_->required_gradients(*manifest_);  // a strategy that does not fit says so here
  const std::size_t dimension = manifest_->dimension();
  state_ = {AdamState(dimension), CoordinateSet::from_sorted(dimension, {}), 0, seed};
}

const CoordinateSet& GradientGuidedAdam::begin_phase() {
  // Before the first step there is nothing to choose by: the first phase, however often it is begun.
  if (state_.adam.step_count == 0) state_.phase_count = 0;
  Random random(mix64(state_.seed ^ mix64(static_cast<std::uint64_t>(state_.phase_count))));
  const CoordinateSet* previous = state_.phase_count < 2 ? nullptr : &state_.coordinates;
  state_.coordinates = strategy_->select({*manifest_, state_.adam, options_, previous}, random);
  ++state_.phase_count;
  return state_.coordinates;
}

void GradientGuidedAdam::step(std::span<float> parameters, std::span<const float> gradients) {
  if (state_.phase_count == 0) refuse("step() before begin_phase(): no coordinates are chosen yet");
  adam_step(state_.adam, options_, state_.coordinates, parameters, gradients, ranges_);
}

void GradientGuidedAdam::restore(State state) {
  const std::size_t dimension = manifest_->dimension();
  if (state.adam.first_moment.size() != dimension || state.adam.second_moment.size() != dimension ||
      state.coordinates.dimension() != dimension) {
    refuse(fmt::format(
        "a state of {} first and {} second moments and coordinates of dimension {}: {} of each are "
        "allowed",
        state.adam.first_moment.size(), state.adam.second_moment.size(),
        state.coordinates.dimension(), dimension));
  }
  // As many steps as adam_step() goes on from.
  constexpr std::int64_t most = (std::int64_t{1} << 62) - 1;
  const auto is_count = [](std::int64_t count) { return count >= 0 && count <= most; };
  if (!is_count(state.adam.step_count) || !is_count(state.phase_count)) {
    refuse(fmt::format("a state after {} steps and {} phases: 0 to 2^62 - 1 are allowed",
                       state.adam.step_count, state.phase_count));
  }
  const auto finite = [](float m) { return std::isfinite(m); };
  const auto finite_square = [](float v) { return std::isfinite(v) && v >= 0; };
  if (!std::all_of(state.adam.first_moment.begin(), state.adam.first_moment.end(), finite) ||
      !std::all_of(state.adam.second_moment.begin(), state.adam.second_moment.end(),
                   finite_square)) {
    refuse("a state's first moments must be finite, and its second moments finite and at least 0");
  }
  state_ = std::move(state);
}

}  // namespace ams
