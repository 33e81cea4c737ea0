#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/policy/budget/downlink_budget.hpp"

namespace ams {

/// Makes the best of a downlink budget: for every phase it chooses which coordinates are trained and
/// how fast they learn, and for every update how finely they are written (profile compact).
///
/// The strategies form a ladder: the normalisation layers, these and the classifier, these and all
/// of the last 2% of the parameters, these and a growing gradient-guided fraction, the whole model.
/// A network without such layers has the fractions alone, and one whose classifier is not within less
/// than the last 2% goes without that rung. A phase trains the richest one that is worth it, going by
/// how large updates have been so far: the normalisation layers and the classifier are worth training
/// even when their updates must be written four times as coarsely, with the last layers 1.6 times, and
/// what was trained before half as much again; a further fraction only when it fits. Where there is a
/// group, a fraction is trained only after a phase that computed all gradients, so that there are
/// moments to choose it by, instead of at random (Algorithm 2): a phase before trains the group and
/// computes them. As long as there is a fraction it stays, and grows or shrinks with the rung: what
/// says where its coordinates are is paid for once. What is trained learns as fast as
/// recommended_multipliers() says, so the rates change with the rung. An update is then written as
/// finely as its allowance takes (DownlinkBudget). A plain value; not thread-safe.
class UpdatePlanner {
 public:
  /// What a phase trains, and which rung of the ladder that is.
  struct Choice {
    std::shared_ptr<const SelectionStrategy> strategy;   ///< selects the coordinates
    std::shared_ptr<const SelectionStrategy> gradients;  ///< tells the gradients to compute
    LearningRateMultipliers multipliers;                 ///< recommended_multipliers()
    std::size_t rung = 0;
  };

  /// manifest: not null. Throws Error(invalid_argument).
  UpdatePlanner(std::shared_ptr<const Manifest> manifest, const DownlinkBudgetOptions& budget,
                double start_seconds = 0);

  /// For the coming phase.
  Choice choose(double update_interval_seconds) const;

  /// How to write trained[coordinates] after `held`; nothing when next to nothing of the movement
  /// fits into what is left. `coordinates` are those that `choice` gave, and maybe statistics.
  /// Throws as encode_update() does.
  std::optional<EncodeOptions> fit(const Choice& choice, const ModelState& held,
                                   std::span<const float> trained, const CoordinateSet& coordinates,
                                   double now_seconds, double update_interval_seconds,
                                   bool scene_changed);

  /// As DownlinkBudget's; a message has headers besides.
  void spend(double now_seconds, std::size_t update_bytes, double update_interval_seconds);
  void owe(double now_seconds, std::size_t bytes);
  void owe_message(double now_seconds, std::size_t message_bytes);

 private:
  struct Rung {
    std::shared_ptr<const SelectionStrategy> strategy;
    LearningRateMultipliers multipliers;
    /// Of an update at the usual step, before the scales.
    double group_bytes = 0, guided_bytes = 0;
    bool is_kept = false;   ///< the fraction stays from phase to phase
    double coarseness = 1;  ///< worth training when its update is at most so many times too large
    std::size_t before_moments = 0;  ///< trained instead where its choice would be random
  };

  double expected_bytes(const Rung& rung) const;
  void learn(const Rung& rung, const CoordinateSet& coordinates, std::size_t usual_bytes);

  std::vector<Rung> ladder_;  // ascending
  CoordinateSet written_;     // of the latest update
  DownlinkBudget budget_;
  /// The latest phase: whether it computed all gradients; its rung, where that had no fraction.
  bool has_moments_ = false;
  std::optional<std::size_t> trained_group_;
  double group_scale_ = 1, guided_scale_ = 1;  // of measured bytes to expected ones, running means
};

}  // namespace ams
