#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/error.hpp"
#include "ams/core/handle.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/random.hpp"
#include "ams/policy/budget/budget_policy.hpp"
#include "ams/policy/fixed.hpp"
#include "ams/session/session_options.hpp"
#include "ams/session/task.hpp"
#include "ams/session/training_job.hpp"

/// A student small enough to follow by hand: linear regression on six inputs, with a scene that
/// changes. Shows that nothing in a session is about label maps, networks or torch.
namespace toy {

constexpr std::size_t inputs = 6;
constexpr std::size_t dimension = inputs + 1 + inputs;

/// weight, bias, and a statistic: the moving mean of the inputs, which the trainer may follow.
inline std::shared_ptr<const ams::Manifest> manifest() {
  return std::make_shared<const ams::Manifest>(std::vector<ams::TensorSpec>{
      {.name = "weight", .shape = {1, inputs}},
      {.name = "bias", .shape = {1}},
      {.name = "mean", .shape = {inputs}, .kind = ams::TensorKind::statistic}});
}

inline ams::ModelState initial_state() {
  return ams::ModelState(manifest(), std::vector<float>(dimension, 0.25F));
}

struct Sample {
  std::vector<float> x;
  float y = 0;
};

/// The frame with this number: its inputs, and what the teacher says in the scene of its time.
/// Scenes last `scene_frames`, and each has weights of its own.
inline Sample observe(std::size_t frame, std::size_t scene_frames) {
  ams::Random random(frame + 1);
  ams::Random scene(1000 + frame / scene_frames);
  Sample sample;
  sample.x.resize(inputs);
  for (float& x : sample.x) {
    x = static_cast<float>(2 * random.uniform() - 1);
    sample.y += x * static_cast<float>(2 * scene.uniform() - 1);
  }
  sample.y += static_cast<float>(scene.uniform());
  return sample;
}

inline float predict(std::span<const float> parameters, const Sample& sample) {
  float y = parameters[inputs];
  for (std::size_t i = 0; i < inputs; ++i) y += parameters[i] * sample.x[i];
  return y;
}

/// Plain gradients of the squared error, with Adam.
class Trainer final : public ams::Trainer {
 public:
  bool follow_statistics = false;

  const std::shared_ptr<const ams::Manifest>& manifest() const override { return manifest_; }

  ams::TrainingResult train(ams::TrainingJob job) override {
    if (job.manifest->digest() != manifest_->digest()) {
      throw ams::Error(ams::ErrorCode::manifest_mismatch, "toy::Trainer: another student");
    }
    ams::TrainingResult result;
    if (job.trial) {
      std::vector<double> others;
      for (const auto& other : job.trial->others) {
        others.push_back(score(*other.parameters, job.trial->samples));
      }
      const double held = score(job.trial->held->values(), job.trial->samples);
      result.scores = ams::choose_start(*job.trial, held, std::move(others));
      if (result.scores->start > 0)
        job.parameters = *job.trial->others[result.scores->start - 1].parameters;
    }
    result.parameters = std::move(job.parameters);
    result.adam = std::move(job.adam);
    for (const std::vector<ams::Handle>& batch : job.mini_batches) {
      std::vector<float> gradients(dimension);
      double loss = 0;
      for (const ams::Handle& handle : batch) {
        const Sample& sample = handle.as<Sample>();
        const float error = predict(result.parameters, sample) - sample.y;
        loss += double{error} * error / static_cast<double>(batch.size());
        const float slope = 2 * error / static_cast<float>(batch.size());
        for (std::size_t i = 0; i < inputs; ++i) gradients[i] += slope * sample.x[i];
        gradients[inputs] += slope;
      }
      ams::adam_step(result.adam, job.adam_options, job.coordinates, result.parameters, gradients,
                     job.learning_rates);
      if (follow_statistics) {
        for (const ams::Handle& handle : batch) {
          const Sample& sample = handle.as<Sample>();
          for (std::size_t i = 0; i < inputs; ++i) {
            float& mean = result.parameters[inputs + 1 + i];
            mean += 0.1F * (sample.x[i] - mean);
          }
        }
      }
      result.losses.push_back(loss);
    }
    result.seconds = 0.5;
    return result;
  }

 private:
  static double score(std::span<const float> parameters, const std::vector<ams::Handle>& samples) {
    double squares = 0;
    for (const ams::Handle& handle : samples) {
      const double error =
          double{predict(parameters, handle.as<Sample>())} - double{handle.as<Sample>().y};
      squares += error * error / static_cast<double>(samples.size());
    }
    return 1 / (1 + squares);
  }

  std::shared_ptr<const ams::Manifest> manifest_ = toy::manifest();
};

/// phi-score of the toy task: the loss of one output against the other.
inline double phi(const Sample& previous, const Sample& current) {
  return std::abs(double{current.y} - double{previous.y});
}

/// The toy task: frames are numbers, and the sample of a frame is its label.
class Task final : public ams::Task {
 public:
  using Phi = std::function<std::optional<double>(const Sample& previous, const Sample& current)>;
  using Size = std::function<std::size_t(const Sample&)>;

  explicit Task(
      Phi phi = toy::phi, Size size = [](const Sample&) { return sizeof(Sample); })
      : phi_(std::move(phi)), size_(std::move(size)) {}

  std::string name() const override { return "toy"; }
  ams::Handle sample(const ams::Handle&, const ams::Handle& label) const override { return label; }
  std::vector<std::byte> pack_label(const ams::Handle& label) const override {
    const Sample& sample = label.as<Sample>();
    std::vector<float> values = sample.x;
    values.push_back(sample.y);
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }
  ams::Handle unpack_label(std::span<const std::byte> bytes) const override {
    std::vector<float> values(inputs + 1);
    if (bytes.size() != values.size() * sizeof(float)) {
      throw ams::Error(ams::ErrorCode::malformed_data, "toy::Task: no label");
    }
    std::memcpy(values.data(), bytes.data(), bytes.size());
    const float y = values.back();
    values.pop_back();
    return ams::Handle::make(Sample{values, y});
  }
  std::optional<double> phi(const ams::Handle& previous,
                            const ams::Handle& current) const override {
    return phi_(previous.as<Sample>(), current.as<Sample>());
  }
  /// Predictions are numbers, of toy::Predictor.
  std::optional<double> difference(const ams::Handle& previous,
                                   const ams::Handle& current) const override {
    return std::min(1.0, std::abs(double{current.as<float>()} - double{previous.as<float>()}));
  }
  std::size_t size_bytes(const ams::Handle& sample) const override {
    return size_(sample.as<Sample>());
  }
  std::unique_ptr<ams::TaskScore> score() const override { return std::make_unique<Score>(); }
  ams::Frame draw(const ams::Handle&, const ams::Handle&) const override { return {}; }

 private:
  /// Predictions are numbers; the score falls with the squared error.
  class Score final : public ams::TaskScore {
   public:
    std::optional<double> add(const ams::Handle& prediction, const ams::Handle& label,
                              double) override {
      const double error = double{prediction.as<float>()} - double{label.as<Sample>().y};
      latest_ = 1 / (1 + error * error);
      return latest_;
    }
    std::vector<std::pair<std::string, std::optional<double>>> summary() const override {
      return {{"latest", latest_}};
    }

   private:
    std::optional<double> latest_;
  };

  Phi phi_;
  Size size_;
};

/// A session's policy and its options side by side, as tests set them.
struct SessionSetup {
  ams::PaceOptions pace = ams::paper_pace();
  ams::StrategyPtr strategy = ams::make_selection_strategy("gradient_guided", 0.05);
  ams::EncodeOptions encode;
  ams::AdamOptions adam;
  bool learning_rates_by_size = true;
  std::optional<ams::DownlinkBudgetOptions> budget;  ///< in place of strategy and encoding
  ams::SessionOptions session;

  std::unique_ptr<ams::UpdatePolicy> policy() const {
    if (budget) {
      return std::make_unique<ams::BudgetPolicy>(
          ams::BudgetOptions{pace, *budget, adam, learning_rates_by_size});
    }
    return std::make_unique<ams::FixedPolicy>(
        ams::FixedOptions{pace, strategy, encode, adam, {1, 1, 1}, learning_rates_by_size});
  }
};

}  // namespace toy
