#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "ams/segmentation/label_map.hpp"
#include "ams/torch/network.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// A network with all that its use as a student needs: built from a spec by open_student(), or from
/// any network of the caller's by filling it in.
struct Student {
  std::shared_ptr<Network> network;
  StudentSpec spec;  ///< its `network` and `weights` are names only here; nothing is opened

  /// Normalised float32 [N, 3, input_height, input_width] to logits [N, num_classes, input_height,
  /// input_width].
  torch::Tensor forward(const torch::Tensor& input) const;
};

/// Builds the network and loads its values. Throws as load_student_values().
Student open_student(const StudentSpec& spec);

/// Freezes batch norm, moves the network to the device, and runs it on one picture and on two. A
/// network that cannot take channels-last memory, or has one output channel for two classes (the
/// logit of class 1), is put into a wrapper that helps. With train_batch_norm_statistics it is also
/// run in training mode; its buffers are then put back. Throws Error(invalid_argument) when it
/// fails, when its output is not as Student says, or when it has no trainable parameters, with the
/// reason and what to do.
void check_student(Student& student, torch::Device device = torch::kCPU);

/// As the functions of the same name that take a spec; `student` is theirs from then on.
StudentValues student_values(const Student& student);
std::unique_ptr<Predictor> make_predictor(Student student, const PredictorOptions& options = {});
std::unique_ptr<Trainer> make_segmentation_trainer(Student student,
                                                   const SegmentationTrainerOptions& options = {});

}  // namespace ams
