#pragma once

#include <memory>

#include "ams/core/frame.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

struct PredictorOptions {
  /// Matrix products and convolutions in bfloat16: faster on CPUs with native bfloat16, and a few
  /// labels at borders change.
  bool bfloat16 = false;
};

/// One copy of the student for a device, loaded with load_student_values(spec). predict() takes a
/// Frame of any size, scales it to the input size, and gives a LabelMap: the argmax over the
/// selected classes at the input size. load() costs more than a copy: batch norm is folded into the
/// convolutions where that is possible. Throws as load_student_values() does.
std::unique_ptr<Predictor> make_predictor(const StudentSpec& spec,
                                          const PredictorOptions& options = {});

}  // namespace ams
