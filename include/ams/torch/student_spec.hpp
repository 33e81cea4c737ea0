#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// Maps 8-bit RGB to what a network takes: (value / 255 - mean) / standard_deviation, per channel.
/// The defaults are ImageNet's.
struct Normalization {
  std::array<float, 3> mean{0.485F, 0.456F, 0.406F};
  std::array<float, 3> standard_deviation{0.229F, 0.224F, 0.225F};  ///< each > 0
};

/// Names a student so that a server and a device build the same one. A plain value.
struct StudentSpec {
  /// "edanet", "deeplabv3_mobilenetv2", or the path of a TorchScript module whose name ends in
  /// ".pt". The module maps float32 [N, 3, H, W] to logits [N, num_classes, H, W]. One output
  /// channel of 2 classes is the logit of class 1.
  std::string network = "edanet";

  /// Path of a safetensors file with every tensor of the network; empty: values drawn from `seed`
  /// (the same on every machine), or for a TorchScript module the values that it was saved with.
  std::string weights;

  int num_classes = 19;    ///< 2 to 254 outputs of the network
  int input_width = 256;   ///< pixels, 32 to 4096
  int input_height = 128;  ///< pixels, 32 to 4096

  /// Class ids that this video is about, ascending: loss and argmax are over these alone
  /// (section 4.1), two or more. Empty: all.
  std::vector<int> selected_classes;

  Normalization normalization;

  /// Batch-norm moving statistics become tensors of kind `statistic` of the parameter vector: they
  /// follow the data while training and travel in every update. Otherwise they are frozen and must
  /// be equal on both sides: compare student_fingerprint().
  bool train_batch_norm_statistics = false;

  std::uint64_t seed = 1;  ///< of the initial values where there is no weights file

  /// Names of normalisation and head tensors where those that Network::parameters() finds are not
  /// the right ones. Only the trainer's side needs them.
  RolePatterns roles;
};

/// The parameter vector that server and device start from (version 0).
struct StudentValues {
  std::shared_ptr<const Manifest> manifest;
  std::vector<float> values;  ///< manifest->dimension() of them
  Digest fingerprint = 0;     ///< student_fingerprint() of the same spec
};

/// Throws Error: invalid_argument (a field out of range, with what is allowed; a TorchScript module
/// that cannot be trained, with the reason), io_error, malformed_data, manifest_mismatch (weights
/// of another network: the missing and unexpected tensors are named).
StudentValues load_student_values(const StudentSpec& spec);

/// Digest of all that must agree between server and device and is not in the parameter vector: the
/// network, its frozen tensors, its input size, normalisation and classes; and the manifest.
Digest student_fingerprint(const StudentSpec& spec);

/// The names that StudentSpec::network takes besides a path.
const std::vector<std::string>& student_network_names();

/// Throws Error(invalid_argument), naming the field and its range. Opens no file.
void validate(const StudentSpec& spec);

}  // namespace ams
