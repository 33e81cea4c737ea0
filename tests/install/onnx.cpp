#include <cstdio>

#include "ams/onnx/onnx_predictor.hpp"

int main() {
  std::printf("ONNX Runtime %s, %s\n", ams::onnx_runtime_version().c_str(),
              ams::onnx_execution_providers().back().c_str());
}
