#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ams/bundle/student_bundle.hpp"
#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

struct OnnxPredictorOptions {
  int threads = 1;  ///< compute threads, 1 to 1024

  /// What computes, best first; the CPU does what none of them can. Names as ONNX Runtime has
  /// them, with or without "ExecutionProvider": "XNNPACK", "CUDA", "TensorRT", "CoreML", "CPU".
  std::vector<std::string> execution_providers = {};
};

/// One copy of a bundle's student on ONNX Runtime, for a device without libtorch; it starts with
/// the bundle's values. predict() takes a Frame of any size, scales it to the input size as the
/// students of libtorch do (resize_area), and gives a LabelMap of the input size. load() makes a
/// new session, which folds batch norm again, and may run while another copy predicts.
///
/// Throws Error: malformed_data (a graph that ONNX Runtime refuses, or with other inputs and
/// outputs than StudentBundle says), unavailable (an execution provider that this ONNX Runtime
/// lacks or that does not start; those that it has are named), invalid_argument (threads).
std::unique_ptr<Predictor> make_onnx_predictor(const StudentBundle& bundle,
                                               const OnnxPredictorOptions& options = {});

/// The short names of the execution providers of this ONNX Runtime, best first, e.g. "CUDA", "CPU".
std::vector<std::string> onnx_execution_providers();

/// E.g. "1.32.0".
std::string onnx_runtime_version();

}  // namespace ams
