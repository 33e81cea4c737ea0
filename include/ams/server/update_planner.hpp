#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/downlink_budget.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/update_codec.hpp"

namespace ams {

/// Makes the best of a downlink budget: for every phase it chooses which coordinates are trained,
/// and for every update how finely they are written (profile compact).
///
/// The strategies form a ladder: the normalisation layers, these and the classifier, these and a
/// growing gradient-guided fraction, the whole model; a network without such layers has the
/// fractions alone. A phase trains the richest one that is worth it, going by how large updates have
/// been so far: a fixed group is worth training even when its updates must be written four times as
/// coarsely, a further fraction only when they nearly fit. An update is then written in the finest
/// step that its allowance takes (DownlinkBudget). A plain value; not thread-safe.
class UpdatePlanner {
 public:
  /// manifest: not null. Throws Error(invalid_argument).
  UpdatePlanner(std::shared_ptr<const Manifest> manifest, const DownlinkBudgetOptions& budget,
                double start_seconds = 0);

  /// What the coming phase trains.
  const std::shared_ptr<const SelectionStrategy>& strategy(double update_interval_seconds) const;

  /// How to write trained[coordinates] after `held`; nothing when not even the coarsest step fits
  /// into what is left. `coordinates` are those that strategy() chose. Throws as encode_update()
  /// does.
  std::optional<EncodeOptions> fit(const ModelState& held, std::span<const float> trained,
                                   const CoordinateSet& coordinates, double now_seconds,
                                   double update_interval_seconds, bool scene_changed);

  /// An update of so many bytes goes out.
  void spend(double now_seconds, std::size_t update_bytes);

  /// Other bytes go out, as DownlinkBudget::owe() says.
  void owe(double now_seconds, std::size_t bytes);

 private:
  struct Rung {
    std::shared_ptr<const SelectionStrategy> strategy;
    double model_bytes;  ///< of an update at the usual step, to be scaled by what is measured
    double coarseness;   ///< worth training when its update is at most so many times too large
  };

  std::size_t rung(double update_interval_seconds) const;

  std::vector<Rung> ladder_;  // ascending
  DownlinkBudget budget_;
  double scale_ = 1;  // of measured bytes to model_bytes, a running mean
};

}  // namespace ams
