#pragma once

#include <torch/torch.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ams/server/training_job.hpp"
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

/// What makes a trainer one for segmentation, or for any other task. Sample is a shared pointer.
template <class Sample>
struct TrainingTask {
  /// Called once for each sample, on the trainer's thread.
  std::function<PreparedSample(const Sample& sample)> prepare;

  /// Puts a mini-batch together.
  std::function<TrainingBatch(const std::vector<PreparedSample>& samples)> collate;

  /// The scalar to minimise; an undefined tensor when the batch says nothing, and no step is made.
  std::function<torch::Tensor(const torch::Tensor& outputs, const TrainingBatch& batch)> loss;
};

/// Samples prepared earlier, while they live, up to a number of bytes; the least recently used go
/// first. Not thread-safe.
class PreparedSampleCache {
 public:
  explicit PreparedSampleCache(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  /// What `prepare` gives for this sample, from the cache if it is there.
  template <class Sample>
  PreparedSample get(const std::shared_ptr<Sample>& sample,
                     const std::function<PreparedSample(const std::shared_ptr<Sample>&)>& prepare) {
    if (const PreparedSample* known = find(sample.get())) return *known;
    PreparedSample prepared = prepare(sample);
    insert(sample, prepared);
    return prepared;
  }

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
};

/// The part of a training phase that does not depend on the type of samples.
class PhaseRunner {
 public:
  PhaseRunner(std::shared_ptr<Network> network, const NetworkTrainerOptions& options);

  const std::shared_ptr<const Manifest>& manifest() const noexcept { return vector_.manifest(); }

  /// `job` without its mini-batches; `iterations` of them come from `batch`.
  TrainingResult run(
      TrainingJob<int> job, std::size_t iterations,
      const std::function<TrainingBatch(std::size_t)>& batch,
      const std::function<torch::Tensor(const torch::Tensor&, const TrainingBatch&)>& loss);

 private:
  std::shared_ptr<Network> network_;
  NetworkTrainerOptions options_;
  ParameterVector vector_;
};

/// Runs training phases (Algorithm 2) of any network on any task. Throws as
/// make_segmentation_trainer().
template <class Sample>
class NetworkTrainer final : public Trainer<Sample> {
 public:
  NetworkTrainer(std::shared_ptr<Network> network, TrainingTask<Sample> task,
                 const NetworkTrainerOptions& options = {})
      : runner_(std::move(network), options), task_(std::move(task)), cache_(options.cache_bytes) {}

  const std::shared_ptr<const Manifest>& manifest() const override { return runner_.manifest(); }

  TrainingResult train(TrainingJob<Sample> job) override {
    cache_.drop_expired();
    const auto mini_batches = std::move(job.mini_batches);
    const auto batch = [&](std::size_t k) {
      std::vector<PreparedSample> samples;
      samples.reserve(mini_batches[k].size());
      for (const Sample& sample : mini_batches[k]) {
        samples.push_back(cache_.get(sample, task_.prepare));
      }
      return samples.empty() ? TrainingBatch{} : task_.collate(samples);
    };
    return runner_.run({std::move(job.manifest),
                        std::move(job.parameters),
                        std::move(job.adam),
                        job.adam_options,
                        std::move(job.coordinates),
                        std::move(job.required_gradients),
                        {}},
                       mini_batches.size(), batch, task_.loss);
  }

 private:
  PhaseRunner runner_;
  TrainingTask<Sample> task_;
  PreparedSampleCache cache_;
};

}  // namespace ams
