// The row of ExecuTorch for the tables of runtime_benchmark.
//
//   executorch_benchmark x.bundle ...       scripts/bench.sh makes the bundles

#include "ams/executorch/executorch_predictor.hpp"
#include "runtime_latency.hpp"

int main(int argc, char** argv) {
  using namespace ams::benchmark;
  return for_each_bundle(argc, argv, [](const ams::StudentBundle& bundle) {
    return in_child([&] {
      measure("ExecuTorch, XNNPACK", bundle,
              [&] { return ams::make_executorch_predictor(bundle); });
    });
  });
}
