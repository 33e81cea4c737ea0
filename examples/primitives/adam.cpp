#include <ams/core/gradient_guided_adam.hpp>
#include <cstdio>

int main() {
  std::vector<float> parameters(1000, 1.0F), gradients(1000);
  ams::GradientGuidedAdam adam(parameters.size(), 0.05);  // gamma = 5%
  for (int phase = 0; phase < 3; ++phase) {
    adam.begin_phase();  // Algorithm 2, line 1: by |u| of the previous phase, random in the first
    for (int k = 0; k < 20; ++k) {
      for (std::size_t i = 0; i < parameters.size(); ++i)
        gradients[i] = 2 * parameters[i] * float(i);
      adam.step(parameters, gradients);
    }
  }
  std::printf("%zu coordinates moved in the last phase\n", adam.coordinates().size());
}
