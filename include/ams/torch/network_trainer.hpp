#pragma once

#include <torch/torch.h>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ams/core/handle.hpp"
#include "ams/session/training_job.hpp"
#include "ams/torch/network.hpp"
#include "ams/torch/parameter_vector.hpp"

namespace ams {

/// One sample as the network reads it, compact: kept as long as the sample lives.
struct PreparedSample {
  torch::Tensor input;
  torch::Tensor target;
};

/// A mini-batch as the network reads it.
struct TrainingBatch {
  torch::Tensor inputs;   ///< [N, ...]
  torch::Tensor targets;  ///< as the task's loss takes them
};

/// What makes a trainer one for segmentation, or for any other task.
struct TrainingTask {
  /// Called once for each sample of Task::sample(), on the trainer's thread.
  std::function<PreparedSample(const Handle& sample)> prepare;

  /// Puts a mini-batch together.
  std::function<TrainingBatch(const std::vector<PreparedSample>& samples)> collate;

  /// The scalar to minimise; an undefined tensor when the batch says nothing, and no step is made.
  std::function<torch::Tensor(const torch::Tensor& outputs, const TrainingBatch& batch)> loss;

  /// How good outputs are, in [0, 1], for StartTrial; nothing when the batch says nothing. Without
  /// it no trial is made.
  std::function<std::optional<double>(const torch::Tensor& outputs, const TrainingBatch& batch)>
      score = nullptr;
};

/// Samples prepared earlier, while they live, up to a number of bytes; the least recently used go
/// first. Not thread-safe.
class PreparedSampleCache {
 public:
  explicit PreparedSampleCache(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  /// What `prepare` gives for this sample, from the cache if it is there.
  PreparedSample get(const Handle& sample,
                     const std::function<PreparedSample(const Handle&)>& prepare);

  /// Forgets the samples that nobody else holds any more.
  void drop_expired();

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Entry {
    std::weak_ptr<const void> owner;
    PreparedSample prepared;
    std::list<const void*>::iterator use;
  };

  const PreparedSample* find(const void* sample);
  void insert(const std::shared_ptr<const void>& sample, const PreparedSample& prepared);
  void erase(const void* sample);

  std::size_t capacity_bytes_;
  std::size_t bytes_ = 0;
  std::list<const void*> uses_;  // most recent first
  std::unordered_map<const void*, Entry> entries_;
};

struct NetworkTrainerOptions {
  bool train_batch_norm_statistics = false;  ///< see StudentSpec
  bool bfloat16 = false;                     ///< see SegmentationTrainerOptions
  std::string device = "cpu";                ///< see SegmentationTrainerOptions
  std::size_t cache_bytes = std::size_t{256} << 20;

  /// train_together() takes at most so many pictures at once: for EDANet at 256 x 128 each takes 45
  /// MiB. A mini-batch is not divided. 0: 8 on a CPU, where more gain nothing, 256 elsewhere.
  std::size_t pictures_together = 0;
};

class OwnColumns;
class TakesOwnValues;

/// Runs training phases (Algorithm 2) of any network on any task. Throws as
/// make_segmentation_trainer().
class NetworkTrainer final : public Trainer {
 public:
  NetworkTrainer(std::shared_ptr<Network> network, TrainingTask task,
                 const NetworkTrainerOptions& options = {});

  const std::shared_ptr<const Manifest>& manifest() const override { return vector_.manifest(); }

  TrainingResult train(TrainingJob job) override;

  /// Whether train_together() takes this job: the network is a TakesOwnValues, batch norm is frozen,
  /// and the job's coordinates and required gradients are of the parameters in which devices may
  /// differ (for EDANet: batch norms and head). Throws as train() for a job that fits no network.
  bool can_join(const TrainingJob& job) const;

  /// Phases of several devices in passes of neighbouring jobs, as many as pictures_together allows:
  /// step k of a pass is one forward and one backward over the k-th mini-batches of its jobs. A
  /// result is what train() gives of the job alone, within rounding, and the same bits for a job
  /// that is a pass by itself; `seconds` is that of its pass.
  /// Throws as train() when one of the jobs does, and Error(invalid_argument), naming the job, for
  /// one that cannot join and for one whose other parameters are not those of the first job. No
  /// job has a result then; each can be trained alone.
  std::vector<TrainingResult> train_together(const std::vector<TrainingJob>& jobs);

 private:
  TrainingResult run(TrainingJob job);
  void run_together(const std::vector<TrainingJob>& jobs, std::size_t begin, std::size_t end,
                    std::vector<TrainingResult>& results);

  /// Where the phase starts: choose_start() of its trial, whose scores it gives.
  const std::vector<float>& start_of(const TrainingJob& job, std::optional<StartScores>& scores);
  bool wants_contiguous(const std::vector<bool>& required_gradients) const;
  TrainingBatch batch(const std::vector<Handle>& samples);
  std::optional<StartScores> try_starts(const StartTrial& trial);
  TrainingBatch placed(TrainingBatch batch, bool contiguous) const;

  std::shared_ptr<Network> network_;
  TrainingTask task_;
  NetworkTrainerOptions options_;
  ParameterVector vector_;
  PreparedSampleCache cache_;
  TakesOwnValues* own_network_ = nullptr;          // network_, where it is one
  std::shared_ptr<const OwnColumns> own_columns_;  // null: no job can join
};

}  // namespace ams
