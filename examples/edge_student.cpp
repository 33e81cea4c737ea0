// Compiled for each device program, with the runtimes that it has: AMS_EDGE_TORCH, AMS_EDGE_ONNX.

#include "edge/edge_student.hpp"

#include <algorithm>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/segmentation/segmentation_task.hpp"

#ifdef AMS_EDGE_ONNX
#include "ams/onnx/onnx_predictor.hpp"
#endif
#ifdef AMS_EDGE_TORCH
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/runtime.hpp"
#include "common/torch_student.hpp"
#endif

namespace ams {
namespace {

#ifdef AMS_EDGE_TORCH
constexpr bool has_torch = true;
#else
constexpr bool has_torch = false;
#endif
#ifdef AMS_EDGE_ONNX
constexpr bool has_onnx = true;
#else
constexpr bool has_onnx = false;
#endif

constexpr const char* how_to_bundle = "give --student x.bundle; ams.export.bundle() writes one";

std::string chosen_runtime(const EdgeFlags& flags) {
  const bool bundled = flags.student.bundle() != nullptr;
  const bool is_auto = flags.runtime == "auto";
  const std::string runtime = !is_auto                              ? flags.runtime
                              : (bundled || !has_torch) && has_onnx ? "onnx"
                                                                    : "torch";
  if (runtime == "torch" && !has_torch) {
    throw Error(ErrorCode::unavailable,
                "this program was built without libtorch; leave --runtime out, or build it with "
                "-DAMS_WITH_TORCH=ON");
  }
  if (runtime == "onnx" && !has_onnx) {
    throw Error(ErrorCode::unavailable,
                "this program was built without ONNX Runtime; leave --runtime out, or build it "
                "with -DAMS_WITH_ONNX=ON");
  }
  if (runtime == "onnx" && !bundled) {
    throw Error(ErrorCode::invalid_argument,
                std::string(is_auto ? "this program was built without libtorch and runs student "
                                      "bundles alone: "
                                    : "--runtime onnx runs student bundles alone: ") +
                    how_to_bundle);
  }
  if (runtime == "torch" && !flags.execution_providers.empty()) {
    throw Error(ErrorCode::invalid_argument,
                std::string("--execution-provider is for --runtime onnx: ") + how_to_bundle);
  }
  return runtime;
}

}  // namespace

EdgeStudent open_edge_student(const EdgeFlags& flags, const std::vector<int>& default_classes) {
  const std::string runtime = chosen_runtime(flags);
  StudentSpec spec = flags.student.spec(default_classes);
#ifdef AMS_EDGE_ONNX
  if (runtime == "onnx") {
    const StudentBundle& bundle = *flags.student.bundle();
    const OnnxPredictorOptions options{std::max(1, flags.threads), flags.execution_providers};
    return {std::move(spec),
            {bundle.manifest, bundle.values, bundle.fingerprint},
            runtime,
            [bundle, options] { return make_onnx_predictor(bundle, options); }};
  }
#endif
#ifdef AMS_EDGE_TORCH
  set_compute_threads(std::max(1, flags.threads));
  const TorchStudent student = load_torch_student(flags.student, std::move(spec));
  return {student.spec, student.values, runtime,
          [student] { return make_predictor(student.spec); }};
#else
  throw Error(ErrorCode::unavailable, "this program has no runtime");
#endif
}

std::shared_ptr<const Task> difference_task(const StudentSpec& spec) {
  const std::vector<int>& selected = spec.selected_classes;
  return std::make_shared<const SegmentationTask>(
      selected.empty() ? ClassSubset::first(static_cast<std::size_t>(spec.num_classes))
                       : ClassSubset({selected.begin(), selected.end()}));
}

}  // namespace ams
