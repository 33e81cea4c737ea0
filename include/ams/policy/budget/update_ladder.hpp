#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/selection.hpp"
#include "ams/policy/learning_rates.hpp"

namespace ams {

/// The strategies that a downlink budget chooses among, from cheap to rich: the normalisation
/// layers, these and the classifier, these and all of the last 2% of the parameters, these and a
/// growing gradient-guided fraction, the whole model. A network without such layers has the
/// fractions alone, and one whose classifier is not within less than the last 2% has no rung of
/// last layers.
///
/// A phase trains the richest rung that is worth it, by how large updates have been so far. A group
/// is worth training even when its updates must be written several times as coarsely; a further
/// fraction only when it fits. Where there is a group, a fraction is trained only after a phase
/// that computed all gradients, so that there are moments to choose it by (Algorithm 2): the phase
/// before trains the group and computes them. A plain value; not thread-safe.
class UpdateLadder {
 public:
  /// What a phase trains.
  struct Choice {
    StrategyPtr strategy;                 ///< selects the coordinates
    StrategyPtr gradients;                ///< tells the gradients to compute
    LearningRateMultipliers multipliers;  ///< recommended_multipliers()
    std::size_t rung = 0;
  };

  /// An update is about this long before its first value. Bytes.
  static constexpr double header_bytes = 24;

  explicit UpdateLadder(const Manifest& manifest);

  /// For the coming phase; steady_bytes: what its update may have on average.
  Choice choose(double steady_bytes) const;

  /// A phase of this choice gave an update that has usual_bytes at the usual step.
  void learn(const Choice& choice, const Manifest& manifest, std::size_t usual_bytes);

 private:
  struct Rung {
    StrategyPtr strategy;
    LearningRateMultipliers multipliers;
    double group_bytes = 0,
           guided_bytes = 0;  ///< of an update at the usual step, before the scales
    double coarseness = 1;    ///< worth training when its update is at most so many times too large
    std::size_t before_moments = 0;  ///< trained instead where its choice would be random
  };

  double expected_bytes(const Rung& rung) const {
    return header_bytes + group_scale_ * rung.group_bytes + guided_scale_ * rung.guided_bytes;
  }
  void follow_sizes(const Rung& rung, std::size_t usual_bytes);

  std::vector<Rung> ladder_;                  // ascending
  bool has_moments_ = false;                  // the latest phase computed all gradients
  std::optional<std::size_t> trained_group_;  // the latest phase's rung, where that had no fraction
  double group_scale_ = 1, guided_scale_ = 1;  // of measured bytes to expected ones, running means
};

// ---- implementation ----

namespace ladder_detail {

// Bits that a coordinate takes at the usual step, measured on recorded drives. What comes again and
// again is cheap; of a fraction, which coordinates they are costs most.
inline constexpr double group_bits = 1;
inline constexpr double full_bits = 1.5;

inline double new_bits(double fraction) {
  const double rest = 1 - fraction;
  return 0.7 * (-std::log2(fraction) - rest / fraction * std::log2(rest));
}

// How many times too large a rung's updates may be (Rung::coarseness). Coarse writing costs a group
// little: at 1 Kbps both groups, written coarsely, beat scales alone, and beat the last layers
// beside them written more coarsely still. A fraction that has to be written coarsely takes bytes
// from the groups, where they are worth more.
inline constexpr double group_coarseness = 4;
inline constexpr double last_layers_coarseness = 1.6;
inline constexpr double guided_coarseness = 1;

// A group that was trained stays worth it for so many times larger updates. Going back and forth
// changes how fast its layers learn, which costs more than either group.
inline constexpr double staying_coarseness = 1.5;

inline constexpr double fractions[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};

/// How much of the model's end is trained beside the normalisation layers.
inline constexpr double last_layers_fraction = 0.02;

/// Whether every gradient there is was computed: statistics have none.
inline bool computes_all(const std::vector<bool>& computed, const Manifest& manifest) {
  for (std::size_t t = 0; t < computed.size(); ++t) {
    if (manifest.tensors()[t].kind == TensorKind::parameter && !computed[t]) return false;
  }
  return true;
}

}  // namespace ladder_detail

inline UpdateLadder::UpdateLadder(const Manifest& manifest) {
  using namespace ladder_detail;
  std::size_t normalization = 0, head = 0, trainable = 0, before_head = 0;
  for (const TensorSpec& tensor : manifest.tensors()) {
    if (tensor.kind != TensorKind::parameter) continue;
    if (tensor.role == TensorRole::normalization) normalization += tensor.size;
    if (tensor.role == TensorRole::head) {
      if (head == 0) before_head = trainable;
      head += tensor.size;
    }
    trainable += tensor.size;
  }
  const auto n = static_cast<double>(trainable);
  const auto add_group = [&](const std::string& name, double gamma, double size,
                             double coarseness) {
    ladder_.push_back({.strategy = make_selection_strategy(name, gamma),
                       .multipliers = recommended_multipliers(name, gamma),
                       .group_bytes = size * group_bits / 8,
                       .coarseness = coarseness,
                       .before_moments = ladder_.size()});
  };
  const bool has_groups = normalization > 0 && head > 0;
  const double last = last_layers_fraction * n;
  // Else the classifier alone is as much, or lies before them.
  const bool has_last_layers = has_groups && n - static_cast<double>(before_head) < last;
  const auto scales = static_cast<double>(normalization);
  double group = 0;  // of the richest
  if (has_groups) {
    add_group("normalization", 1, scales, group_coarseness);
    group = scales + static_cast<double>(head);
    add_group("normalization_and_head", 1, group, group_coarseness);
  }
  if (has_last_layers) {
    group = std::min(n, scales + last);
    add_group("normalization+last_layers", last_layers_fraction, group, last_layers_coarseness);
  }
  const std::size_t richest_group = has_groups ? ladder_.size() - 1 : 0;
  const std::string guided =
      has_groups ? "normalization_and_head+gradient_guided" : "gradient_guided";
  for (const double fraction : fractions) {
    StrategyPtr strategy;
    LearningRateMultipliers multipliers;
    if (has_last_layers) {
      strategy = unite(make_selection_strategy("normalization+last_layers", last_layers_fraction),
                       gradient_guided(fraction));
      // The last layers' weights have no role of their own, and so the fraction's rate: theirs, and
      // less where the fraction is large.
      multipliers = recommended_multipliers("normalization+last_layers", last_layers_fraction);
      multipliers.weight = std::min(multipliers.weight, 4 / std::sqrt(fraction));
    } else {
      strategy = make_selection_strategy(guided, fraction);
      multipliers = recommended_multipliers(guided, fraction);
    }
    ladder_.push_back({.strategy = std::move(strategy),
                       .multipliers = multipliers,
                       .group_bytes = group * group_bits / 8,
                       .guided_bytes = std::min(fraction * n, n - group) * new_bits(fraction) / 8,
                       .coarseness = guided_coarseness,
                       .before_moments = has_groups ? richest_group : ladder_.size()});
  }
  ladder_.push_back({.strategy = make_selection_strategy("full", 1),
                     .multipliers = recommended_multipliers("full", 1),
                     .guided_bytes = n * full_bits / 8,
                     .coarseness = guided_coarseness,
                     .before_moments = ladder_.size()});
}

inline UpdateLadder::Choice UpdateLadder::choose(double steady_bytes) const {
  std::size_t best = 0;
  for (std::size_t i = 1; i < ladder_.size(); ++i) {
    const double stays = trained_group_ == i ? ladder_detail::staying_coarseness : 1;
    if (expected_bytes(ladder_[i]) <= stays * ladder_[i].coarseness * steady_bytes) best = i;
  }
  const std::size_t trained = has_moments_ ? best : ladder_[best].before_moments;
  return {ladder_[trained].strategy, ladder_[best].strategy, ladder_[trained].multipliers, trained};
}

inline void UpdateLadder::learn(const Choice& choice, const Manifest& manifest,
                                std::size_t usual_bytes) {
  const Rung& rung = ladder_[choice.rung];
  follow_sizes(rung, usual_bytes);
  trained_group_.reset();
  if (rung.guided_bytes == 0) trained_group_ = choice.rung;
  has_moments_ =
      ladder_detail::computes_all(choice.gradients->required_gradients(manifest), manifest);
}

inline void UpdateLadder::follow_sizes(const Rung& rung, std::size_t usual_bytes) {
  const auto follow = [](double& scale, double measured, double expected) {
    scale += 0.3 * (std::clamp(measured / std::max(expected, 1.0), 0.1, 10.0) - scale);
  };
  const double body = static_cast<double>(usual_bytes) - header_bytes;
  if (rung.guided_bytes > 0) {
    const double measured = body - group_scale_ * rung.group_bytes;
    follow(guided_scale_, measured, rung.guided_bytes);
  } else {
    follow(group_scale_, body, rung.group_bytes);
  }
}

}  // namespace ams
