#pragma once

#include <memory>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// One training phase as a self-contained value (Algorithm 2, lines 3 to 14): everything that a
/// trainer needs and nothing of the session it comes from, so that it can be queued, run on another
/// thread or machine, and run together with other sessions' phases.
template <class Sample>
struct TrainingJob {
  std::shared_ptr<const Manifest> manifest;
  std::vector<float> parameters;  ///< w_{n,0}: what the device holds and, with a budget, the unsent
  AdamState adam;
  AdamOptions adam_options;
  CoordinateSet coordinates;                      ///< I_n
  std::vector<bool> required_gradients;           ///< one a tensor of the manifest
  std::vector<std::vector<Sample>> mini_batches;  ///< S_1 to S_K
};

/// What a phase gives back.
struct TrainingResult {
  std::vector<float> parameters;  ///< w_{n,K}; values outside the job's coordinates are unchanged,
                                  ///< but for tensors of kind `statistic`, which follow the data
  AdamState adam;
  std::vector<double> losses;  ///< of the K mini-batches, before each iteration's step
  double seconds = 0;          ///< wall time of the phase
};

/// Runs training phases. Sessions of one student share one trainer, one phase after another.
template <class Sample>
class Trainer {
 public:
  virtual ~Trainer() = default;

  /// Layout of the parameter vector that the trainer's network has.
  virtual const std::shared_ptr<const Manifest>& manifest() const = 0;

  /// Not thread-safe. Throws Error(manifest_mismatch) for a job of another network.
  virtual TrainingResult train(TrainingJob<Sample> job) = 0;
};

}  // namespace ams
