#include "ams/torch/network_trainer.hpp"

#include <ATen/autocast_mode.h>

#include <chrono>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/manifest_difference.hpp"
#include "ams/torch/open_device.hpp"
#include "ams/torch/tensor_adam.hpp"
#include "autocast.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

std::size_t bytes_of(const PreparedSample& prepared) {
  std::size_t bytes = 0;
  for (const torch::Tensor* tensor : {&prepared.input, &prepared.target}) {
    if (tensor->defined()) bytes += tensor->nbytes();
  }
  return bytes;
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

std::shared_ptr<Network> on_device(std::shared_ptr<Network> network, const std::string& device) {
  network->to(open_device(device));
  return network;
}

/// Whether a convolution that is larger than one pixel needs its weights' gradient.
bool trains_spatial_kernels(const Manifest& manifest, const std::vector<bool>& required) {
  for (std::size_t t = 0; t < required.size(); ++t) {
    const auto& shape = manifest.tensors()[t].shape;
    if (required[t] && shape.size() == 4 && shape[2] * shape[3] > 1) return true;
  }
  return false;
}

void check(const TrainingJob& job, const Manifest& own) {
  if (job.manifest == nullptr || job.manifest->digest() != own.digest()) {
    throw Error(ErrorCode::manifest_mismatch,
                "the training job belongs to another network: " +
                    manifest_difference(own, job.manifest ? *job.manifest : Manifest(),
                                        "this network", "the job"));
  }
  const std::size_t dimension = own.dimension();
  if (job.parameters.size() != dimension || job.adam.first_moment.size() != dimension ||
      job.adam.second_moment.size() != dimension || job.coordinates.dimension() != dimension ||
      job.required_gradients.size() != own.tensors().size()) {
    refuse(
        "the training job's parameters, moments, coordinates or required gradients do not fit its "
        "manifest (" +
        std::to_string(dimension) + " values in " + std::to_string(own.tensors().size()) +
        " tensors)");
  }
  if (job.trial) {
    if (!job.trial->held || job.trial->held->values().size() != dimension) {
      refuse("the trial's held state does not fit the manifest");
    }
    for (const OtherStart& other : job.trial->others) {
      if (!other.parameters || other.parameters->size() != dimension)
        refuse("the trial's states do not fit the manifest");
    }
  }
  validate(job.adam_options);
}

}  // namespace

PreparedSample PreparedSampleCache::get(
    const Handle& sample, const std::function<PreparedSample(const Handle&)>& prepare) {
  if (const PreparedSample* known = find(sample.owner().get())) return *known;
  PreparedSample prepared = prepare(sample);
  insert(sample.owner(), prepared);
  return prepared;
}

void PreparedSampleCache::drop_expired() {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (entry->second.owner.expired()) erase(entry->first);
    entry = next;
  }
}

const PreparedSample* PreparedSampleCache::find(const void* sample) {
  const auto found = entries_.find(sample);
  if (found == entries_.end()) return nullptr;
  if (found->second.owner.expired()) {  // another sample now has the address
    erase(sample);
    return nullptr;
  }
  uses_.splice(uses_.begin(), uses_, found->second.use);
  return &found->second.prepared;
}

void PreparedSampleCache::insert(const std::shared_ptr<const void>& sample,
                                 const PreparedSample& prepared) {
  const std::size_t bytes = bytes_of(prepared);
  if (bytes > capacity_bytes_) return;
  while (bytes_ + bytes > capacity_bytes_) erase(uses_.back());
  uses_.push_front(sample.get());
  entries_.emplace(sample.get(), Entry{sample, prepared, uses_.begin()});
  bytes_ += bytes;
}

void PreparedSampleCache::erase(const void* sample) {
  const auto found = entries_.find(sample);
  bytes_ -= bytes_of(found->second.prepared);
  uses_.erase(found->second.use);
  entries_.erase(found);
}

NetworkTrainer::NetworkTrainer(std::shared_ptr<Network> network, TrainingTask task,
                               const NetworkTrainerOptions& options)
    : network_(on_device(std::move(network), options.device)),
      task_(std::move(task)),
      options_(options),
      vector_(*network_, options.train_batch_norm_statistics),
      cache_(options.cache_bytes) {}

TrainingBatch NetworkTrainer::batch(const std::vector<Handle>& samples) {
  std::vector<PreparedSample> prepared;
  prepared.reserve(samples.size());
  for (const Handle& sample : samples) prepared.push_back(cache_.get(sample, task_.prepare));
  return prepared.empty() ? TrainingBatch{} : task_.collate(prepared);
}

/// On the network's device, in the memory format that is best there.
TrainingBatch NetworkTrainer::placed(TrainingBatch batch, bool contiguous) const {
  const torch::Device device = vector_.values().device();
  batch.inputs = batch.inputs.to(device);
  if (contiguous) batch.inputs = batch.inputs.contiguous();
  if (batch.targets.defined()) batch.targets = batch.targets.to(device);
  return batch;
}

std::optional<StartScores> NetworkTrainer::try_starts(const StartTrial& trial) {
  if (!task_.score) return std::nullopt;
  const torch::NoGradGuard no_gradients;
  const torch::Device device = vector_.values().device();
  network_->train(false);
  return translate_errors(ErrorCode::invalid_argument, "the newest samples cannot be scored",
                          [&]() -> std::optional<StartScores> {
                            const TrainingBatch newest =
                                placed(batch(trial.samples), !device.is_cpu());
                            const auto score = [&](std::span<const float> values) {
                              vector_.load(values);
                              const Autocast autocast(options_.bfloat16, device);
                              return task_.score(network_->forward(newest.inputs), newest);
                            };
                            const auto held = score(trial.held->values());
                            if (!held) return std::nullopt;
                            std::vector<double> others;
                            for (const OtherStart& other : trial.others) {
                              others.push_back(score(*other.parameters).value_or(0));
                            }
                            return choose_start(trial, *held, std::move(others));
                          });
}

TrainingResult NetworkTrainer::train(TrainingJob job) {
  cache_.drop_expired();
  const auto start = std::chrono::steady_clock::now();
  check(job, *manifest());
  at::init_num_threads();  // this thread may be new, see set_compute_threads()
  std::optional<StartScores> scores;
  if (job.trial) scores = try_starts(*job.trial);
  const bool starts_elsewhere = scores && scores->start > 0;
  vector_.load(starts_elsewhere ? *job.trial->others[scores->start - 1].parameters
                                : job.parameters);
  vector_.set_required_gradients(job.required_gradients);
  network_->train(options_.train_batch_norm_statistics);
  if (options_.train_batch_norm_statistics) {
    torch::manual_seed(
        static_cast<std::uint64_t>(job.adam.step_count));  // of drop-out, if there is any
  }
  TensorAdam adam(std::move(job.adam), job.adam_options, vector_.values().device(),
                  TensorAdam::Arithmetic::automatic, std::move(job.learning_rates));
  adam.begin_phase(std::move(job.coordinates));

  const torch::Device device = vector_.values().device();
  // Inputs come in channels-last memory. On a GPU (an H200) that is a tenth slower in float32. On a
  // CPU oneDNN (of torch 2.13) gives infinite bfloat16 weight gradients of dilated kernels in it.
  const bool contiguous =
      options_.bfloat16
          ? device.is_cpu() && trains_spatial_kernels(*manifest(), job.required_gradients)
          : !device.is_cpu();

  TrainingResult result;
  result.losses.reserve(job.mini_batches.size());
  for (std::size_t k = 0; k < job.mini_batches.size(); ++k) {
    const auto where = [k] { return "mini-batch " + std::to_string(k + 1); };
    TrainingBatch next = batch(job.mini_batches[k]);
    if (!next.inputs.defined()) refuse(where() + " of the training job is empty");
    const bool stepped =
        translate_errors(ErrorCode::invalid_argument, where() + " cannot be trained on", [&] {
          vector_.zero_gradients();
          next = placed(std::move(next), contiguous);
          torch::Tensor value;
          {
            const Autocast autocast(options_.bfloat16, device);
            value = task_.loss(network_->forward(next.inputs), next);
          }
          result.losses.push_back(value.defined() ? value.item<double>() : 0.0);
          if (!value.defined() || !std::isfinite(result.losses.back())) return false;
          if (value.requires_grad()) value.backward();
          return true;
        });
    if (!std::isfinite(result.losses.back())) {
      refuse("the loss of " + where() + " is not finite; lower the learning rate (" +
             std::to_string(job.adam_options.learning_rate) +
             ", times its multipliers) or look at the labels");
    }
    if (stepped) adam.step(vector_.values(), vector_.gradients());
  }
  if (!vector_.values().isfinite().all().item<bool>()) {
    refuse("training led to parameters that are not finite; lower the learning rate (" +
           std::to_string(job.adam_options.learning_rate) + ", times its multipliers)");
  }
  result.parameters = vector_.copy();
  result.adam = adam.state();
  result.scores = std::move(scores);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace ams
