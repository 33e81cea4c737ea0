#pragma once

#include <memory>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/handle.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// One training phase as a self-contained value (Algorithm 2, lines 3 to 14): everything that a
/// trainer needs and nothing of the session that it comes from. It can be queued, run on another
/// thread or machine, and run together with other sessions' phases.
struct TrainingJob {
  std::shared_ptr<const Manifest> manifest;
  std::vector<float> parameters;  ///< w_{n,0}
  AdamState adam;
  AdamOptions adam_options;
  std::vector<LearningRateRange>
      learning_rates;                    ///< where the rate differs, as adam_step() takes it
  CoordinateSet coordinates;             ///< I_n
  std::vector<bool> required_gradients;  ///< one for each tensor of the manifest
  std::vector<std::vector<Handle>> mini_batches;  ///< S_1 to S_K, of Task::sample()
};

/// What a phase gives back.
struct TrainingResult {
  /// w_{n,K}. Values outside the job's coordinates are unchanged, except those of tensors of kind
  /// `statistic`, which follow the data.
  std::vector<float> parameters;
  AdamState adam;
  std::vector<double> losses;  ///< of the K mini-batches, before each step
  double seconds = 0;          ///< wall time of the phase
};

/// Runs training phases. Sessions of one student share one trainer, one phase after another.
class Trainer {
 public:
  virtual ~Trainer() = default;

  /// Layout of the parameter vector that the trainer's network has.
  virtual const std::shared_ptr<const Manifest>& manifest() const = 0;

  /// Not thread-safe. Throws Error(manifest_mismatch) for a job of another network.
  virtual TrainingResult train(TrainingJob job) = 0;
};

}  // namespace ams
