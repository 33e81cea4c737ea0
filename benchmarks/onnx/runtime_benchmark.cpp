// The same student on libtorch and on ONNX Runtime; executorch_benchmark measures ExecuTorch, which
// does not go into one program with libtorch.
//
//   runtime_benchmark x.bundle ...       scripts/bench.sh makes the bundles

#include "ams/onnx/onnx_predictor.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/runtime.hpp"
#include "runtime_latency.hpp"

namespace {

ams::StudentSpec spec_of(const ams::StudentBundle& bundle) {
  ams::StudentSpec spec;
  spec.network = bundle.network;  // a built-in one
  spec.num_classes = bundle.num_classes;
  spec.input_width = bundle.input_width;
  spec.input_height = bundle.input_height;
  spec.selected_classes = bundle.selected_classes;
  return spec;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ams::benchmark;
  return for_each_bundle(argc, argv, [](const ams::StudentBundle& bundle) {
    const bool torch_went_well = in_child([&] {
      ams::set_compute_threads(1);
      measure("libtorch", bundle, [&] { return ams::make_predictor(spec_of(bundle)); });
    });
    const bool onnx_went_well = in_child([&] {
      measure("ONNX Runtime " + ams::onnx_runtime_version(), bundle,
              [&] { return ams::make_onnx_predictor(bundle); });
    });
    return torch_went_well && onnx_went_well;
  });
}
