// One optimiser step on tensors of 2,113,043 parameters (DeepLabV3-MobileNetV2): gradient-guided
// Adam at gamma = 5% beside torch.optim.Adam followed by a mask that puts the other coordinates
// back, and beside the time that moving its bytes must take.

#include <torch/torch.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "ams/core/coordinate_choice.hpp"
#include "ams/core/random.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/tensor_adam.hpp"
#include "harness.hpp"

int main() {
  using namespace ams::benchmark;
  using Arithmetic = ams::TensorAdam::Arithmetic;
  constexpr std::int64_t n = 2'113'043;
  ams::set_compute_threads(1);
  torch::manual_seed(1);
  const torch::Tensor gradients = torch::randn({n}) * 1e-2;
  torch::Tensor values = torch::randn({n}).set_requires_grad(true);
  values.mutable_grad() = gradients.clone();
  ams::Random random(2);

  print_header("Optimiser step on tensors, 2,113,043 parameters, one core");
  for (const double gamma : {0.05, 1.0}) {
    const auto count = ams::fraction_count(gamma, n);
    const auto set = ams::random_coordinates(n, count, random);
    torch::Tensor mask = torch::zeros({n}, torch::kBool);
    set.for_each([&](std::uint32_t i) { mask.data_ptr<bool>()[i] = true; });
    torch::optim::Adam adam({values}, torch::optim::AdamOptions(1e-3));
    const double theirs = median_seconds([&] {
      if (gamma == 1) {
        adam.step();
        return;
      }
      const torch::NoGradGuard no_gradients;
      const torch::Tensor before = values.clone();
      adam.step();
      values.copy_(torch::where(mask, values, before));
    });
    const double floor = 4.0 * static_cast<double>(5 * n + 2 * static_cast<std::int64_t>(count)) /
                         memory_bytes_per_second();
    const torch::Tensor own = torch::randn({n});
    for (const auto& [arithmetic, name] : {std::pair{Arithmetic::automatic, "core's arithmetic"},
                                           {Arithmetic::torch, "torch operations"}}) {
      ams::TensorAdam ours(ams::AdamState(n), {}, torch::kCPU, arithmetic);
      ours.begin_phase(set);
      const double seconds = median_seconds([&] { ours.step(own, gradients); });
      print_row({std::string(name) + (gamma < 1 ? ", gamma 5%" : ", full"), seconds,
                 gamma < 1 ? "torch.optim.Adam and a mask" : "torch.optim.Adam", theirs, floor,
                 ""});
    }
  }
}
