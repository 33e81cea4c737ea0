#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ams/runtime/predictor.hpp"
#include "ams/session/task.hpp"
#include "ams/torch/student_spec.hpp"
#include "edge/flags.hpp"

namespace ams {

/// The device's student, whatever computes it.
struct EdgeStudent {
  StudentSpec spec;
  StudentValues values;
  std::string runtime;  ///< "torch", "onnx" or "executorch"
  std::function<std::unique_ptr<Predictor>()> make_predictor;
};

/// The student of the flags, in the runtime of --runtime. `default_classes`: of a clip. Throws
/// Error: unavailable (a runtime that this program was built without), invalid_argument (flags that
/// do not go with the runtime), and as the runtimes do.
EdgeStudent open_edge_student(const EdgeFlags& flags, const std::vector<int>& default_classes);

/// How predictions of the student differ: the device tells cuts of the video by that.
std::shared_ptr<const Task> difference_task(const StudentSpec& spec);

}  // namespace ams
