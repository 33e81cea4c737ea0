// Compiled for each device program, with the runtimes that it has: AMS_EDGE_TORCH, AMS_EDGE_ONNX,
// AMS_EDGE_EXECUTORCH.

#include "edge/edge_student.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/segmentation/segmentation_task.hpp"

#ifdef AMS_EDGE_EXECUTORCH
#include "ams/executorch/executorch_predictor.hpp"
#endif
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
#ifdef AMS_EDGE_EXECUTORCH
constexpr bool has_executorch = true;
#else
constexpr bool has_executorch = false;
#endif

constexpr const char* how_to_bundle = "give --student x.bundle; ams.export.bundle() writes one";

struct Runtime {
  const char* name;
  const char* library;
  const char* how_to_have_it;
  bool is_here;
  bool wants_bundle;
};

/// Best first for a bundle.
constexpr std::array<Runtime, 3> runtimes{
    {{"onnx", "ONNX Runtime", "build it with -DAMS_WITH_ONNX=ON", has_onnx, true},
     {"executorch", "ExecuTorch",
      has_torch ? "run ams-edge-executorch, which -DAMS_WITH_EXECUTORCH=ON builds"
                : "build it with -DAMS_WITH_EXECUTORCH=ON",
      has_executorch, true},
     {"torch", "libtorch", "build it with -DAMS_WITH_TORCH=ON", has_torch, false}}};
static_assert(has_onnx || has_executorch || has_torch);

const Runtime& chosen_runtime(const EdgeFlags& flags) {
  const bool bundled = flags.student.bundle() != nullptr;
  const bool is_auto = flags.runtime == "auto";
  const Runtime& runtime = *std::find_if(runtimes.begin(), runtimes.end(), [&](const Runtime& one) {
    if (!is_auto) return one.name == flags.runtime;
    return one.is_here && (bundled || !has_torch || !one.wants_bundle);
  });
  if (!runtime.is_here) {
    throw Error(ErrorCode::unavailable,
                fmt::format("this program was built without {}; leave --runtime out, or {}",
                            runtime.library, runtime.how_to_have_it));
  }
  if (runtime.wants_bundle && !bundled) {
    throw Error(ErrorCode::invalid_argument,
                (is_auto ? "this program was built without libtorch and"
                         : fmt::format("--runtime {}", runtime.name)) +
                    " runs student bundles alone: " + how_to_bundle);
  }
  if (std::string_view(runtime.name) != "onnx" && !flags.execution_providers.empty()) {
    throw Error(ErrorCode::invalid_argument,
                std::string("--execution-provider is for --runtime onnx: ") + how_to_bundle);
  }
  return runtime;
}

}  // namespace

EdgeStudent open_edge_student(const EdgeFlags& flags, const std::vector<int>& default_classes) {
  const std::string runtime = chosen_runtime(flags).name;
  StudentSpec spec = flags.student.spec(default_classes);
  [[maybe_unused]] const auto bundled = [&](auto make_predictor) {
    const StudentBundle& bundle = *flags.student.bundle();
    return EdgeStudent{std::move(spec),
                       {bundle.manifest, bundle.values, bundle.fingerprint},
                       runtime,
                       [bundle, make_predictor] { return make_predictor(bundle); }};
  };
#ifdef AMS_EDGE_ONNX
  if (runtime == "onnx") {
    const OnnxPredictorOptions options{std::max(1, flags.threads), flags.execution_providers};
    return bundled([options](const auto& bundle) { return make_onnx_predictor(bundle, options); });
  }
#endif
#ifdef AMS_EDGE_EXECUTORCH
  if (runtime == "executorch") {
    const ExecutorchPredictorOptions options{.all_cores = flags.threads > 1};
    return bundled(
        [options](const auto& bundle) { return make_executorch_predictor(bundle, options); });
  }
#endif
#ifdef AMS_EDGE_TORCH
  set_compute_threads(std::max(1, flags.threads));
  const TorchStudent student = load_torch_student(flags.student, std::move(spec));
  return {student.spec, student.values, runtime,
          [student] { return make_predictor(student.spec); }};
#else
  throw Error(ErrorCode::unavailable, "this program has no runtime " + runtime);
#endif
}

std::shared_ptr<const Task> difference_task(const StudentSpec& spec) {
  const std::vector<int>& selected = spec.selected_classes;
  return std::make_shared<const SegmentationTask>(
      selected.empty() ? ClassSubset::first(static_cast<std::size_t>(spec.num_classes))
                       : ClassSubset({selected.begin(), selected.end()}));
}

}  // namespace ams
