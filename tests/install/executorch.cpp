#include <cstdio>

#include "ams/core/error.hpp"
#include "ams/executorch/executorch_predictor.hpp"

int main() {
  try {
    ams::make_executorch_predictor(ams::StudentBundle());
  } catch (const ams::Error& error) {
    std::printf("%s\n", error.what());
  }
}
