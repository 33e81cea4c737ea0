#include "ams/server/update_planner.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ams/core/error.hpp"

namespace ams {
namespace {

// Bits a coordinate takes at a relative step of 1, measured on recorded drives: a fixed group is
// cheap because its coordinates come again and again.
constexpr double group_bits = 1;
constexpr double guided_bits = 2.6;
constexpr double header_bytes = 24;

// How many times too large a rung's updates may be (Rung::coarseness). Coarse steps cost a group
// little: at 1 Kbps both groups in steps four times the usual are better than scales alone in
// usual ones. A fraction that has to be written coarsely gains nothing over a smaller one.
constexpr double group_coarseness = 4;
constexpr double guided_coarseness = 1.5;

constexpr double fractions[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};

// Relative steps that are tried. Finer ones than the first add bytes and no accuracy.
constexpr double finest_step = 0.125;
constexpr double usual_step = 1;
constexpr double coarsest_step = 1024;

std::size_t bytes_of(const ModelState& held, std::span<const float> trained,
                     const CoordinateSet& coordinates, const EncodeOptions& options) {
  ModelState copy = held;
  return encode_update(copy, trained, coordinates, options).size();
}

EncodeOptions with_step(double relative_step) {
  EncodeOptions options;
  options.profile = UpdateProfile::compact;
  options.compact.relative_step = relative_step;
  return options;
}

}  // namespace

UpdatePlanner::UpdatePlanner(std::shared_ptr<const Manifest> manifest,
                             const DownlinkBudgetOptions& budget, double start_seconds)
    : budget_(budget, start_seconds) {
  if (!manifest) throw Error(ErrorCode::invalid_argument, "UpdatePlanner: the manifest is null");
  std::size_t normalization = 0, head = 0, trainable = 0;
  for (const TensorSpec& tensor : manifest->tensors()) {
    if (tensor.kind != TensorKind::parameter) continue;
    trainable += tensor.size;
    if (tensor.role == TensorRole::normalization) normalization += tensor.size;
    if (tensor.role == TensorRole::head) head += tensor.size;
  }
  const auto add = [&](const std::string& name, double gamma, double group, double guided) {
    guided = std::min(guided, static_cast<double>(trainable) - group);
    ladder_.push_back({make_selection_strategy(name, gamma),
                       header_bytes + (group * group_bits + guided * guided_bits) / 8,
                       guided > 0 ? guided_coarseness : group_coarseness});
  };
  const auto n = static_cast<double>(trainable);
  const auto scales = static_cast<double>(normalization),
             both = static_cast<double>(normalization + head);
  const bool has_groups = normalization > 0 && head > 0;
  if (has_groups) {
    add("normalization", 1, scales, 0);
    add("normalization_and_head", 1, both, 0);
  }
  for (const double gamma : fractions) {
    if (has_groups) {
      add("normalization_and_head+gradient_guided", gamma, both, gamma * n);
    } else {
      add("gradient_guided", gamma, 0, gamma * n);
    }
  }
  add("full", 1, 0, n);
}

std::size_t UpdatePlanner::rung(double update_interval_seconds) const {
  const double steady = budget_.steady_bytes(update_interval_seconds);
  std::size_t best = 0;
  for (std::size_t i = 1; i < ladder_.size(); ++i) {
    if (scale_ * ladder_[i].model_bytes <= ladder_[i].coarseness * steady) best = i;
  }
  return best;
}

const std::shared_ptr<const SelectionStrategy>& UpdatePlanner::strategy(
    double update_interval_seconds) const {
  return ladder_[rung(update_interval_seconds)].strategy;
}

std::optional<EncodeOptions> UpdatePlanner::fit(const ModelState& held,
                                                std::span<const float> trained,
                                                const CoordinateSet& coordinates,
                                                double now_seconds, double update_interval_seconds,
                                                bool scene_changed) {
  const std::size_t allowance =
      budget_.allowance_bytes(now_seconds, update_interval_seconds, scene_changed);
  double step = usual_step;
  std::size_t bytes = bytes_of(held, trained, coordinates, with_step(step));
  const double model_bytes = ladder_[rung(update_interval_seconds)].model_bytes;
  scale_ += 0.3 * (std::clamp(static_cast<double>(bytes) / model_bytes, 0.1, 10.0) - scale_);
  if (bytes <= allowance) {
    while (step > finest_step &&
           bytes_of(held, trained, coordinates, with_step(step / 2)) <= allowance) {
      step /= 2;
    }
    return with_step(step);
  }
  while (step < coarsest_step) {
    step *= 2;
    if (bytes_of(held, trained, coordinates, with_step(step)) <= allowance) return with_step(step);
  }
  return std::nullopt;
}

void UpdatePlanner::spend(double now_seconds, std::size_t update_bytes) {
  budget_.spend(now_seconds, update_bytes);
}

void UpdatePlanner::owe(double now_seconds, std::size_t bytes) { budget_.owe(now_seconds, bytes); }

}  // namespace ams
