#pragma once

#include <cmath>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/random.hpp"
#include "ams/server/training_job.hpp"

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
class Trainer final : public ams::Trainer<Sample> {
 public:
  bool follow_statistics = false;

  const std::shared_ptr<const ams::Manifest>& manifest() const override { return manifest_; }

  ams::TrainingResult train(ams::TrainingJob<Sample> job) override {
    if (job.manifest->digest() != manifest_->digest()) {
      throw ams::Error(ams::ErrorCode::manifest_mismatch, "toy::Trainer: another student");
    }
    ams::TrainingResult result;
    result.parameters = std::move(job.parameters);
    result.adam = std::move(job.adam);
    for (const std::vector<Sample>& batch : job.mini_batches) {
      std::vector<float> gradients(dimension);
      double loss = 0;
      for (const Sample& sample : batch) {
        const float error = predict(result.parameters, sample) - sample.y;
        loss += double{error} * error / static_cast<double>(batch.size());
        const float slope = 2 * error / static_cast<float>(batch.size());
        for (std::size_t i = 0; i < inputs; ++i) gradients[i] += slope * sample.x[i];
        gradients[inputs] += slope;
      }
      ams::adam_step(result.adam, job.adam_options, job.coordinates, result.parameters, gradients,
                     ams::learning_rate_ranges(*job.manifest, job.adam_options));
      if (follow_statistics) {
        for (const Sample& sample : batch) {
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
  std::shared_ptr<const ams::Manifest> manifest_ = toy::manifest();
};

/// phi-score of the toy task: the loss of one output against the other.
inline double phi(const Sample& previous, const Sample& current) {
  return std::abs(double{current.y} - double{previous.y});
}

}  // namespace toy
