#include "ams/torch/pretrain.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/safetensors.hpp"
#include "ams/torch/segmentation_task.hpp"
#include "ams/torch/student.hpp"
#include "autocast.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

/// As python/ams/experiments/checkpoint.py reads it: a JSON list of names and digests; a name is
/// enough.
constexpr const char* clips_key = "ams_pretrained_on";

/// The clips that this training and the one before it learned from; empty when there are none.
std::string clips_of(const StudentSpec& spec, const PretrainOptions& options) {
  nlohmann::json clips = nlohmann::json::array();
  if (!spec.weights.empty()) {
    const Safetensors start = read_safetensors(spec.weights);
    if (const auto known = start.metadata.find(clips_key); known != start.metadata.end()) {
      clips = nlohmann::json::parse(known->second, nullptr, false);
      if (!clips.is_array()) {
        throw Error(ErrorCode::malformed_data,
                    spec.weights + ": its metadata '" + clips_key + "' is no JSON list");
      }
    }
  }
  for (const std::string& name : options.clip_names) {
    clips.push_back({{"name", name}, {"digest", ""}});
  }
  return clips.empty() ? "" : clips.dump();
}

double learning_rate(const PretrainOptions& options, int step) {
  if (step < options.warmup_steps) {
    return options.learning_rate * (step + 1) / (options.warmup_steps + 1);
  }
  const double done = static_cast<double>(step) / options.steps;
  switch (options.schedule) {
    case LearningRateSchedule::constant:
      return options.learning_rate;
    case LearningRateSchedule::cosine:
      return options.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
    case LearningRateSchedule::polynomial:
      return options.learning_rate * std::pow(1 - done, 0.9);
  }
  return options.learning_rate;
}

/// Every sample once in a random order, then again in another.
class EpochOrder {
 public:
  explicit EpochOrder(std::size_t size) : order_(size), next_(size) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }

  std::size_t next(Random& random) {
    if (next_ == order_.size()) {
      for (std::size_t i = order_.size(); i > 1; --i) {
        std::swap(order_[i - 1], order_[static_cast<std::size_t>(random.below(i))]);
      }
      next_ = 0;
    }
    return order_[next_++];
  }

 private:
  std::vector<std::size_t> order_;
  std::size_t next_;
};

/// Brightness, contrast and saturation, each by a factor of 1 -+ jitter. uint8 [H, W, 3].
torch::Tensor jittered(const torch::Tensor& image, double jitter, Random& random) {
  const auto factor = [&] { return 1 + jitter * (2 * random.uniform() - 1); };
  torch::Tensor x = image.to(torch::kFloat).mul_(factor());
  const double contrast = factor();
  x.mul_(contrast).add_(x.mean() * ((1 - contrast) / contrast));
  const double saturation = factor();
  const torch::Tensor gray = x.mean(2, /*keepdim=*/true);
  return x.mul_(saturation).add_(gray, 1 - saturation).round_().clamp_(0, 255).to(torch::kUInt8);
}

PreparedSample augmented(PreparedSample sample, const PretrainOptions& options, Random& random) {
  if (options.horizontal_flip && random.below(2) == 1) {
    sample.input = sample.input.flip(1);
    sample.target = sample.target.flip(1);
  }
  if (options.color_jitter > 0) sample.input = jittered(sample.input, options.color_jitter, random);
  return sample;
}

}  // namespace

void validate(const PretrainOptions& options) {
  const auto require = [](bool holds, const char* message) {
    if (!holds) throw Error(ErrorCode::invalid_argument, message);
  };
  require(options.steps >= 1, "pretrain: steps must be 1 or more");
  require(options.batch_size >= 2, "pretrain: batch_size must be 2 or more (batch norm)");
  require(options.learning_rate > 0, "pretrain: learning_rate must be above 0");
  require(options.warmup_steps >= 0, "pretrain: warmup_steps must be 0 or more");
  require(options.weight_decay >= 0, "pretrain: weight_decay must be 0 or more");
  require(options.color_jitter >= 0 && options.color_jitter < 1,
          "pretrain: color_jitter must be in [0, 1)");
}

PretrainResult pretrain(const StudentSpec& spec, const LabelledDataset& dataset,
                        const PretrainOptions& options, const std::string& output,
                        TensorType stored_as) {
  const auto start = std::chrono::steady_clock::now();
  validate(options);
  if (dataset.size < 1 || dataset.sample == nullptr) {
    throw Error(ErrorCode::invalid_argument, "pretrain: the dataset is empty");
  }
  if (stored_as != TensorType::f32 && stored_as != TensorType::f16) {
    throw Error(ErrorCode::invalid_argument, "pretrain: weights are stored as F32 or F16");
  }
  const std::string clips = clips_of(spec, options);
  const Student student = open_student(spec);
  const auto task = segmentation_task(spec, options.ignore_id, student.network->align_corners());
  PreparedSampleCache cache(std::size_t{1} << 30);

  std::vector<torch::Tensor> decayed, others;
  for (const NetworkTensor& parameter : student.network->parameters()) {
    if (!parameter.tensor.requires_grad()) continue;
    (parameter.tensor.dim() >= 2 ? decayed : others).push_back(parameter.tensor);
  }
  const auto group = [&](std::vector<torch::Tensor> tensors, double weight_decay) {
    auto settings = std::make_unique<torch::optim::AdamWOptions>(options.learning_rate);
    settings->weight_decay(weight_decay);
    return torch::optim::OptimizerParamGroup(std::move(tensors), std::move(settings));
  };
  torch::optim::AdamW optimizer({group(decayed, options.weight_decay), group(others, 0)});

  Random random(options.seed);
  EpochOrder order(dataset.size);
  std::vector<double> losses;
  student.network->train(true);
  torch::manual_seed(options.seed);  // of drop-out, if there is any
  for (int step = 0; step < options.steps; ++step) {
    std::vector<PreparedSample> samples;
    for (int i = 0; i < options.batch_size; ++i) {
      const LabelledFramePtr sample = dataset.sample(order.next(random));
      if (sample == nullptr) throw Error(ErrorCode::invalid_argument, "pretrain: a sample is null");
      samples.push_back(augmented(cache.get(Handle(sample), task.prepare), options, random));
    }
    const TrainingBatch batch = task.collate(samples);
    const double rate = learning_rate(options, step);
    for (auto& parameters : optimizer.param_groups()) parameters.options().set_lr(rate);
    translate_errors(
        ErrorCode::invalid_argument, "pretrain: step " + std::to_string(step + 1) + " failed", [&] {
          optimizer.zero_grad();
          torch::Tensor loss;
          {
            const Autocast autocast(options.bfloat16);
            // Not channels-last in bfloat16: see NetworkTrainer::train().
            const torch::Tensor inputs =
                options.bfloat16 ? batch.inputs.contiguous() : batch.inputs;
            loss = task.loss(student.network->forward(inputs), batch);
          }
          losses.push_back(loss.defined() ? loss.item<double>() : 0.0);
          if (!std::isfinite(losses.back())) {
            throw Error(ErrorCode::invalid_argument, "pretrain: the loss of step " +
                                                         std::to_string(step + 1) +
                                                         " is not finite; lower the learning rate");
          }
          if (!loss.defined()) return;
          loss.backward();
          optimizer.step();
        });
    if (options.progress && !options.progress(step + 1, losses.back())) break;
  }

  student.network->train(false);
  Safetensors content = store_tensors(*student.network, stored_as);
  content.metadata["architecture"] = spec.network;
  content.metadata["classes"] = std::to_string(spec.num_classes);
  if (!clips.empty()) content.metadata[clips_key] = clips;
  write_safetensors(output, content);

  const std::size_t tail = std::max<std::size_t>(1, losses.size() / 10);
  return {static_cast<int>(losses.size()),
          std::accumulate(losses.end() - static_cast<std::ptrdiff_t>(tail), losses.end(), 0.0) /
              static_cast<double>(tail),
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

}  // namespace ams
