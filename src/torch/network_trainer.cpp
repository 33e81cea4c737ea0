#include "ams/torch/network_trainer.hpp"

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/manifest_difference.hpp"
#include "ams/torch/open_device.hpp"
#include "ams/torch/takes_own_values.hpp"
#include "ams/torch/tensor_adam.hpp"
#include "autocast.hpp"
#include "own_columns.hpp"
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

[[noreturn]] void refuse_loss(const std::string& where, const AdamOptions& options) {
  refuse("the loss of " + where + " is not finite; lower the learning rate (" +
         std::to_string(options.learning_rate) + ", times its multipliers) or look at the labels");
}

void require_finite(const torch::Tensor& parameters, const AdamOptions& options) {
  if (parameters.isfinite().all().item<bool>()) return;
  refuse("training led to parameters that are not finite; lower the learning rate (" +
         std::to_string(options.learning_rate) + ", times its multipliers)");
}

std::string name(std::size_t job) {
  return "training job " + std::to_string(job + 1);
}

std::size_t largest_batch(const TrainingJob& job) {
  std::size_t largest = 0;
  for (const auto& mini_batch : job.mini_batches) largest = std::max(largest, mini_batch.size());
  return largest;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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
      cache_(options.cache_bytes),
      own_network_(dynamic_cast<TakesOwnValues*>(network_.get())) {
  if (own_network_ != nullptr && !options_.train_batch_norm_statistics)
    own_columns_ = OwnColumns::of(*own_network_, vector_);
}

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

const std::vector<float>& NetworkTrainer::start_of(const TrainingJob& job,
                                                   std::optional<StartScores>& scores) {
  if (job.trial) scores = try_starts(*job.trial);
  if (!scores || scores->start == 0) return job.parameters;
  return *job.trial->others[scores->start - 1].parameters;
}

/// Inputs come in channels-last memory. On a GPU (an H200) that is a tenth slower in float32. On a
/// CPU oneDNN (of torch 2.13) gives infinite bfloat16 weight gradients of dilated kernels in it.
bool NetworkTrainer::wants_contiguous(const std::vector<bool>& required_gradients) const {
  const bool on_cpu = vector_.values().is_cpu();
  return options_.bfloat16 ? on_cpu && trains_spatial_kernels(*manifest(), required_gradients)
                           : !on_cpu;
}

TrainingResult NetworkTrainer::train(TrainingJob job) {
  cache_.drop_expired();
  const auto begin = std::chrono::steady_clock::now();
  check(job, *manifest());
  at::init_num_threads();  // this thread may be new, see set_compute_threads()
  std::optional<StartScores> scores;
  const std::vector<float>& start = start_of(job, scores);
  vector_.load(start);
  TrainingResult result = run(std::move(job));
  result.scores = std::move(scores);
  result.seconds = seconds_since(begin);
  return result;
}

/// From the values that vector_ has.
TrainingResult NetworkTrainer::run(TrainingJob job) {
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
  const bool contiguous = wants_contiguous(job.required_gradients);

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
    if (!std::isfinite(result.losses.back())) refuse_loss(where(), job.adam_options);
    if (stepped) adam.step(vector_.values(), vector_.gradients());
  }
  require_finite(vector_.values(), job.adam_options);
  result.parameters = vector_.copy();
  result.adam = adam.state();
  return result;
}

bool NetworkTrainer::can_join(const TrainingJob& job) const {
  check(job, *manifest());
  return own_columns_ != nullptr && own_columns_->obstacle(job).empty();
}

std::vector<TrainingResult> NetworkTrainer::train_together(const std::vector<TrainingJob>& jobs) {
  cache_.drop_expired();
  at::init_num_threads();  // this thread may be new, see set_compute_threads()
  if (own_columns_ == nullptr) {
    refuse(
        "this network cannot train several jobs together: it has no parameters in which devices "
        "may differ (TakesOwnValues), one of them is frozen, or it trains batch-norm statistics");
  }
  std::vector<TrainingResult> results(jobs.size());
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    check(jobs[j], *manifest());
    if (const std::string obstacle = own_columns_->obstacle(jobs[j]); !obstacle.empty()) {
      refuse(name(j) + " cannot be trained together with others: " + obstacle +
             ", which all of them share; train it alone");
    }
    results[j].parameters = start_of(jobs[j], results[j].scores);
    if (!own_columns_->equal_elsewhere(results[j].parameters, results.front().parameters)) {
      refuse(name(j) +
             " cannot be trained together with the first: their shared parameters differ; train it "
             "alone");
    }
  }
  std::size_t most = options_.pictures_together;
  if (most == 0) most = vector_.values().is_cpu() ? 8 : 256;
  for (std::size_t begin = 0, end = 0; begin < jobs.size(); begin = end) {
    std::size_t pictures = largest_batch(jobs[end++]);
    while (end < jobs.size() && pictures + largest_batch(jobs[end]) <= most)
      pictures += largest_batch(jobs[end++]);
    const auto start = std::chrono::steady_clock::now();
    run_together(jobs, begin, end, results);
    for (std::size_t j = begin; j < end; ++j) results[j].seconds = seconds_since(start);
  }
  return results;
}

/// A pass of the jobs from begin to end - 1, whose starts `results` has.
void NetworkTrainer::run_together(const std::vector<TrainingJob>& jobs, std::size_t begin,
                                  std::size_t end, std::vector<TrainingResult>& results) {
  vector_.load(results[begin].parameters);
  if (end - begin == 1) {
    TrainingResult alone = run(jobs[begin]);
    alone.scores = std::move(results[begin].scores);
    results[begin] = std::move(alone);
    return;
  }
  const OwnColumns& own = *own_columns_;
  const torch::Device device = vector_.values().device();

  // A row of these is one job's own parameters.
  std::vector<TensorAdam> optimisers;
  std::vector<torch::Tensor> rows, required;
  std::size_t steps = 0;
  for (std::size_t j = begin; j < end; ++j) {
    const TrainingJob& job = jobs[j];
    rows.push_back(torch::tensor(own.gather(results[j].parameters)));
    required.push_back(torch::tensor(own.required(job.required_gradients)));
    AdamState state;
    state.first_moment = own.gather(job.adam.first_moment);
    state.second_moment = own.gather(job.adam.second_moment);
    state.step_count = job.adam.step_count;
    optimisers.emplace_back(std::move(state), job.adam_options, device,
                            TensorAdam::Arithmetic::automatic, own.ranges(job.learning_rates));
    optimisers.back().begin_phase(own.coordinates(job.coordinates));
    steps = std::max(steps, job.mini_batches.size());
  }
  const std::vector<bool> none(vector_.tensors().size());
  vector_.set_required_gradients(none);
  network_->train(false);
  const bool contiguous = wants_contiguous(none);
  const torch::Tensor values = torch::stack(rows).to(device);
  const torch::Tensor mask = torch::stack(required).to(device);
  torch::Tensor leaf = values.detach().requires_grad_();  // the same memory

  for (std::size_t k = 0; k < steps; ++k) {
    struct Part {
      std::size_t row;
      TrainingBatch batch;
      torch::Tensor loss = {};
    };
    std::vector<Part> parts;
    std::vector<torch::Tensor> inputs, losses;
    std::vector<std::int64_t> row_of_picture;
    const auto where = [&](std::size_t row) {
      return "mini-batch " + std::to_string(k + 1) + " of " + name(begin + row);
    };
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const TrainingJob& job = jobs[begin + row];
      if (k >= job.mini_batches.size()) continue;
      TrainingBatch next = batch(job.mini_batches[k]);
      if (!next.inputs.defined()) refuse(where(row) + " is empty");
      translate_errors(ErrorCode::invalid_argument, where(row) + " cannot be trained on",
                       [&] { next = placed(std::move(next), contiguous); });
      row_of_picture.insert(row_of_picture.end(), static_cast<std::size_t>(next.inputs.size(0)),
                            static_cast<std::int64_t>(row));
      inputs.push_back(next.inputs);
      parts.push_back({row, std::move(next)});
    }
    const torch::Tensor gradients = translate_errors(
        ErrorCode::invalid_argument,
        "mini-batches " + std::to_string(k + 1) + " cannot be trained on together", [&] {
          leaf.mutable_grad() = torch::Tensor();
          {
            const Autocast autocast(options_.bfloat16, device);
            const torch::Tensor outputs = own_network_->forward_each(
                torch::cat(inputs),
                own.split(leaf.index_select(0, torch::tensor(row_of_picture).to(device))));
            std::int64_t done = 0;
            for (Part& part : parts) {
              const std::int64_t pictures = part.batch.inputs.size(0);
              part.loss = task_.loss(outputs.narrow(0, done, pictures), part.batch);
              if (part.loss.defined()) losses.push_back(part.loss);
              done += pictures;
            }
          }
          if (losses.empty()) return torch::zeros_like(values);
          // A row has pictures of its own: its gradients do not depend on other rows.
          const torch::Tensor sum = torch::stack(losses).sum();
          if (sum.requires_grad()) sum.backward();
          return leaf.grad().defined() ? leaf.grad().mul(mask) : torch::zeros_like(values);
        });
    torch::Tensor host;  // one copy for all
    if (!losses.empty()) host = torch::stack(losses).detach().to(torch::kCPU, torch::kDouble);
    std::int64_t next_loss = 0;
    for (const Part& part : parts) {
      const double loss = part.loss.defined() ? host[next_loss++].item<double>() : 0.0;
      const std::size_t j = begin + part.row;
      if (!std::isfinite(loss)) refuse_loss(where(part.row), jobs[j].adam_options);
      results[j].losses.push_back(loss);
      const auto row = static_cast<std::int64_t>(part.row);
      if (part.loss.defined()) optimisers[part.row].step(values[row], gradients[row]);
    }
  }

  const torch::Tensor trained = values.cpu();
  for (std::size_t j = begin; j < end; ++j) {
    const torch::Tensor row = trained[static_cast<std::int64_t>(j - begin)];
    require_finite(row, jobs[j].adam_options);
    own.scatter(row.data_ptr<float>(), results[j].parameters);
    const AdamState state = optimisers[j - begin].state();
    AdamState& adam = results[j].adam;
    adam = jobs[j].adam;
    own.scatter(state.first_moment.data(), adam.first_moment);
    own.scatter(state.second_moment.data(), adam.second_moment);
    own.decay_elsewhere(adam, jobs[j].adam_options, state.step_count - adam.step_count);
    adam.step_count = state.step_count;
  }
}

}  // namespace ams
