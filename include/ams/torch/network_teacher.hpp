#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ams/core/frame.hpp"
#include "ams/runtime/teacher.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// Names a network that labels frames. A plain value.
struct NetworkTeacherSpec {
  /// "fddwnet", "edanet" or "deeplabv3_mobilenetv2" with a weights file; or the path of a
  /// TorchScript module (".pt") or of an AOTInductor package (".pt2"). It maps float32 [1, 3, H, W]
  /// to logits [1, num_classes, h, w]. One output channel of 2 classes is the logit of class 1.
  std::string network = "fddwnet";

  std::string weights;     ///< path of a safetensors file; not for .pt and .pt2
  int num_classes = 19;    ///< 2 to 254; checked against what the network gives
  int input_width = 1024;  ///< pixels, 32 to 4096
  int input_height = 512;  ///< pixels, 32 to 4096

  /// The argmax is over these class ids alone, ascending. Empty: all.
  std::vector<int> selected_classes;

  Normalization normalization;

  std::string device =
      "cpu";  ///< "cpu", "cuda", "cuda:1", ...; a package runs where it was compiled for
};

/// A teacher whose labels, each a LabelMap of a Frame, are the argmax of a network, in the size of
/// the network's output. Opening labels one frame, so that a network of the wrong shape is
/// refused here and not in mid-stream. Throws Error: invalid_argument (what was wrong and what is
/// allowed), io_error, malformed_data, manifest_mismatch, unavailable (a package that this build of
/// libtorch cannot run).
std::unique_ptr<Teacher> make_network_teacher(const NetworkTeacherSpec& spec);

}  // namespace ams
