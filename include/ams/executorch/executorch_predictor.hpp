#pragma once

#include <memory>

#include "ams/bundle/student_bundle.hpp"
#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

struct ExecutorchPredictorOptions {
  bool all_cores = false;  ///< compute on ExecuTorch's own threads, one a core; otherwise on one
};

/// One copy of a bundle's student on ExecuTorch with XNNPACK, for a device without libtorch; it
/// starts with the bundle's values. predict() takes a Frame of any size, scales it to the input
/// size as the students of libtorch do (resize_area), and gives a LabelMap of the input size.
/// load() folds batch norm into the program's constants and opens the program anew, and may run
/// while another copy predicts.
///
/// Throws Error: unavailable (the bundle has no program for ExecuTorch), malformed_data (a program
/// that ExecuTorch refuses, or with other inputs and outputs than the ONNX graph of StudentBundle).
std::unique_ptr<Predictor> make_executorch_predictor(
    const StudentBundle& bundle, const ExecutorchPredictorOptions& options = {});

}  // namespace ams
