#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ams/segmentation/label_map.hpp"
#include "ams/torch/safetensors.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// Labelled frames in random access.
struct LabelledDataset {
  std::size_t size = 0;  ///< >= 1
  std::function<LabelledFramePtr(std::size_t index)>
      sample;  ///< index < size; called from one thread
};

/// How the learning rate falls over the steps, from `learning_rate` to 0.
enum class LearningRateSchedule : std::uint8_t {
  constant,    ///< it does not
  cosine,      ///< half a cosine
  polynomial,  ///< (1 - step / steps)^0.9
};

struct PretrainOptions {
  int steps = 1000;             ///< >= 1
  int batch_size = 8;           ///< >= 2, as batch norm takes its statistics from the batch
  double learning_rate = 1e-3;  ///< > 0
  int warmup_steps = 50;        ///< linear rise at the start
  double weight_decay = 1e-4;   ///< decoupled, on convolution weights only; >= 0
  LearningRateSchedule schedule = LearningRateSchedule::cosine;
  bool horizontal_flip = true;  ///< half of the samples mirrored
  double color_jitter =
      0.2;  ///< brightness, contrast and saturation by up to this fraction; 0: none
  int ignore_id = LabelMap::default_ignore_id;
  bool bfloat16 = false;   ///< as SegmentationTrainerOptions::bfloat16
  std::uint64_t seed = 1;  ///< of the order of samples and of the augmentation

  /// Names of the clips that samples come from. The file remembers them, and those that the
  /// starting weights' file names, so that python -m ams.experiments evaluates the student on none
  /// of them.
  std::vector<std::string> clip_names;

  /// Called after each step; returning false ends training early (the result so far is saved).
  std::function<bool(int step, double loss)> progress;
};

/// Throws Error(invalid_argument), naming the option and its range.
void validate(const PretrainOptions& options);

struct PretrainResult {
  int steps = 0;       ///< made
  double loss = 0;     ///< mean over the last tenth of the steps
  double seconds = 0;  ///< wall time
};

/// Trains the whole student offline, batch norm in training mode, from spec.weights (or from the
/// seed), and writes all its tensors to `output` (safetensors, whole or not at all).
/// spec.selected_classes bounds the loss as everywhere. Throws as load_student_values() and
/// write_safetensors() do, and Error(invalid_argument) for options out of range and a loss that is
/// not finite.
PretrainResult pretrain(const StudentSpec& spec, const LabelledDataset& dataset,
                        const PretrainOptions& options, const std::string& output,
                        TensorType stored_as = TensorType::f16);

}  // namespace ams
