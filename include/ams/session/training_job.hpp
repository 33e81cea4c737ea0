#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/handle.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

/// A parameter vector that several owners share.
using SharedParameters = std::shared_ptr<const std::vector<float>>;

/// A state that a phase may start from.
struct OtherStart {
  SharedParameters parameters;  ///< dimension values
  double margin = 0.05;         ///< how much better than what the device holds it must score, >= 0
};

/// States that a phase may start from, and labels to try them on. Nothing has been trained on these
/// labels, so what a state scores on them is what it is worth now.
struct StartTrial {
  std::shared_ptr<const ModelState> held;  ///< what the device holds
  std::vector<OtherStart> others;          ///< the un-customised student first
  std::vector<Handle> samples;             ///< of Task::sample(), the newest; at least one
};

/// What came of a StartTrial. Scores are in [0, 1], 1 the best.
struct StartScores {
  double held = 0;
  std::vector<double> others;  ///< in the order of StartTrial::others
  std::size_t start = 0;       ///< 0: TrainingJob::parameters; k: StartTrial::others[k - 1]
};

/// The phase starts from the best of the others that are better than what the device holds by more
/// than their margins. scores: one for each of the trial's others.
inline StartScores choose_start(const StartTrial& trial, double held, std::vector<double> scores) {
  StartScores chosen{held, std::move(scores), 0};
  for (std::size_t k = 0; k < chosen.others.size(); ++k) {
    const double score = chosen.others[k];
    if (!(score > held + trial.others[k].margin)) continue;
    if (chosen.start == 0 || score > chosen.others[chosen.start - 1]) chosen.start = k + 1;
  }
  return chosen;
}

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
  /// Before the first step: the phase starts where choose_start() says. A trainer that computes no
  /// scores ignores it and starts from `parameters`.
  std::optional<StartTrial> trial = std::nullopt;
};

/// What a phase gives back.
struct TrainingResult {
  /// w_{n,K}. Values outside the job's coordinates are unchanged, except those of tensors of kind
  /// `statistic`, which follow the data.
  std::vector<float> parameters;
  AdamState adam;
  std::vector<double> losses;                        ///< of the K mini-batches, before each step
  double seconds = 0;                                ///< wall time of the phase
  std::optional<StartScores> scores = std::nullopt;  ///< of the job's trial
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
