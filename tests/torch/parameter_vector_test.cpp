#include <torch/script.h>
#include <torch/torch.h>

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "ams/core/error.hpp"
#include "ams/torch/gradient_guided_adam.hpp"
#include "ams/torch/parameter_vector.hpp"

namespace {

torch::nn::Sequential small_module() {
  torch::manual_seed(1);
  return torch::nn::Sequential(torch::nn::Conv2d(3, 4, 3), torch::nn::BatchNorm2d(4),
                               torch::nn::Conv2d(4, 2, 1));
}

}  // namespace

TEST_CASE("parameters and gradients are views of the flat vectors") {
  auto module = small_module();
  const torch::Tensor before = module->named_parameters()["0.weight"].detach().clone();
  ams::ParameterVector vector(ams::trainable_parameters(*module));
  const auto& manifest = *vector.manifest();
  REQUIRE(manifest.tensors().size() == 6);
  CHECK(manifest.tensors()[0].name == "0.weight");
  CHECK(manifest.tensors()[0].shape == std::vector<std::int64_t>{4, 3, 3, 3});
  CHECK(manifest.tensors()[3].name == "1.bias");
  CHECK(manifest.dimension() == 4 * 27 + 4 + 4 + 4 + 8 + 2);
  CHECK(torch::equal(module->named_parameters()["0.weight"], before));

  std::vector<float> values(manifest.dimension());
  std::iota(values.begin(), values.end(), 1.0F);
  vector.load(values);
  CHECK(module->named_parameters()["2.bias"][1].item<float>() == values.back());
  {
    const torch::NoGradGuard no_gradients;
    module->named_parameters()["2.bias"][1] = -7;
  }
  CHECK(vector.copy().back() == -7);

  const auto run = [&] {
    vector.zero_gradients();
    module->forward(torch::ones({1, 3, 5, 5})).sum().backward();
  };
  run();
  CHECK(vector.gradients().abs().sum().item<float>() > 0);
  CHECK(module->named_parameters()["2.bias"].grad().data_ptr() ==
        vector.gradients().data_ptr<float>() + manifest.tensors()[5].offset);
  const torch::Tensor first = vector.gradients().clone();
  run();
  CHECK(torch::equal(first, vector.gradients()));

  CHECK_THROWS_AS(vector.load(std::vector<float>(3)), ams::Error);
  CHECK_THROWS_AS(vector.set_required_gradients({true}), ams::Error);
}

TEST_CASE("gradients that are not required do not exist") {
  auto module = small_module();
  ams::ParameterVector vector(ams::trainable_parameters(*module));
  vector.set_required_gradients({false, false, true, true, false, true});
  module->forward(torch::ones({2, 3, 5, 5})).square().sum().backward();
  const auto parameters = module->named_parameters();
  CHECK(!parameters["0.weight"].grad().defined());
  CHECK(!parameters["2.weight"].grad().defined());
  CHECK(parameters["1.weight"].grad().defined());
  for (std::size_t t : {0U, 1U, 4U}) {
    const auto& tensor = vector.manifest()->tensors()[t];
    CHECK(vector.gradients()
              .narrow(0, static_cast<std::int64_t>(tensor.offset),
                      static_cast<std::int64_t>(tensor.size))
              .abs()
              .sum()
              .item<float>() == 0);
  }
  vector.set_required_gradients(std::vector<bool>(6, true));
  module->forward(torch::ones({2, 3, 5, 5})).square().sum().backward();
  CHECK(parameters["0.weight"].grad().defined());
}

TEST_CASE("statistics stand after all parameters and are the module's own") {
  auto module = small_module();
  ams::ParameterVector vector(ams::trainable_parameters(*module),
                              ams::batch_norm_statistics(*module));
  const auto tensors = vector.manifest()->tensors();
  REQUIRE(tensors.size() == 8);
  CHECK(tensors[6].name == "1.running_mean");
  CHECK(tensors[6].kind == ams::TensorKind::statistic);
  CHECK(tensors[7].name == "1.running_var");
  const auto before = vector.copy();
  module->train();
  module->forward(torch::randn({4, 3, 8, 8}) + 3);
  const auto after = vector.copy();
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK((before[i] != after[i]) == (i >= tensors[6].offset));
  }
}

TEST_CASE("a TorchScript module's tensors serve as well") {
  torch::jit::Module module("m");
  module.register_parameter("weight", torch::ones({2, 3}), false);
  module.register_parameter("fixed", torch::ones({5}).set_requires_grad(false), false);
  module.register_buffer("running_mean", torch::zeros({4}));
  module.attr("weight").toTensor().set_requires_grad(true);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.weight)\n");
  ams::ParameterVector vector(ams::trainable_parameters(module),
                              ams::batch_norm_statistics(module));
  REQUIRE(vector.manifest()->dimension() == 10);
  std::vector<float> values(10);
  std::iota(values.begin(), values.end(), 0.0F);
  vector.load(values);
  const torch::Tensor out = module.forward({torch::ones({1, 2})}).toTensor();
  CHECK(torch::equal(out.detach(), torch::tensor({{3.0F, 5.0F, 7.0F}})));
  out.sum().backward();
  CHECK(torch::equal(vector.gradients(),
                     torch::tensor({1.F, 1.F, 1.F, 1.F, 1.F, 1.F, 0.F, 0.F, 0.F, 0.F})));
}

TEST_CASE("scales and shifts of every kind of normalisation have their role, and so has the head") {
  namespace nn = torch::nn;
  nn::Sequential module(
      nn::Conv2d(3, 4, 3), nn::BatchNorm2d(4), nn::Conv2d(4, 4, 1), nn::GroupNorm(2, 4),
      nn::InstanceNorm2d(nn::InstanceNorm2dOptions(4).affine(true)),
      nn::LayerNorm(nn::LayerNormOptions({4})), nn::BatchNorm1d(4), nn::InstanceNorm1d(4),
      nn::Linear(4, 5), nn::Linear(5, 2), nn::BatchNorm1d(2), nn::ReLU());
  const auto text = [](const ams::Manifest& manifest) {
    std::string roles;
    for (const auto& tensor : manifest.tensors()) {
      roles += "wnh"[static_cast<int>(tensor.role)];
    }
    return roles;
  };
  const std::string expected = "wwnnwwnnnnnnnnwwhhnn";
  const ams::ParameterVector bare(ams::trainable_parameters(*module));
  CHECK(text(*bare.manifest()) == expected);
  const auto network =
      ams::wrap_module(std::shared_ptr<nn::Module>(module.ptr()),
                       [m = module](const torch::Tensor& x) mutable { return m->forward(x); });
  CHECK(text(*ams::ParameterVector(*network, true).manifest()) == expected + "wwwwww");

  // A last layer that is not trained is no head.
  for (torch::Tensor& tensor : module->children()[9]->parameters()) {
    tensor.set_requires_grad(false);
  }
  CHECK(text(*ams::ParameterVector(*network).manifest()) == "wwnnwwnnnnnnnnhhnn");

  // One layer alone is its own head.
  const nn::Linear layer(2, 3);
  CHECK(text(*ams::ParameterVector(ams::trainable_parameters(*layer)).manifest()) == "hh");
}

TEST_CASE("a tensor under two names is taken once; what cannot be trained is refused") {
  const torch::Tensor shared = torch::ones({3}).set_requires_grad(true);
  CHECK(ams::ParameterVector({{"a", shared}, {"b", shared}}).manifest()->dimension() == 3);
  CHECK_THROWS_AS(ams::ParameterVector(std::vector<ams::NetworkTensor>{}), ams::Error);
  CHECK_THROWS_AS(
      ams::ParameterVector({{"a", torch::ones({3}, torch::kDouble).set_requires_grad(true)}}),
      ams::Error);
}

TEST_CASE("Algorithm 2 on tensors follows core's, whatever the arithmetic") {
  constexpr std::int64_t n = 500;
  for (const auto placement :
       {ams::EpsilonPlacement::outside_root, ams::EpsilonPlacement::inside_root}) {
    ams::AdamOptions options;
    options.learning_rate = 3e-3;
    options.epsilon_placement = placement;
    torch::manual_seed(6);
    const torch::Tensor start = torch::randn({n});
    torch::Tensor core_values = start.clone(), torch_values = start.clone();
    using Arithmetic = ams::GradientGuidedAdam::Arithmetic;
    ams::GradientGuidedAdam core(ams::AdamState(n), options, torch::kCPU);
    ams::GradientGuidedAdam tensors(ams::AdamState(n), options, torch::kCPU, Arithmetic::torch);
    CHECK(core.update().abs().sum().item<float>() == 0);
    CHECK(tensors.update().abs().sum().item<float>() == 0);
    for (int phase = 0; phase < 4; ++phase) {
      std::vector<std::uint32_t> indices;
      for (std::uint32_t i = static_cast<std::uint32_t>(phase); i < n; i += 3) indices.push_back(i);
      const auto set =
          phase == 3 ? ams::CoordinateSet::all(n) : ams::CoordinateSet::from_sorted(n, indices);
      core.begin_phase(set);
      tensors.begin_phase(set);
      const torch::Tensor held = torch_values.clone();
      for (int k = 0; k < 5; ++k) {
        const torch::Tensor gradient = torch::randn({n}) * (k + 1);
        core.step(core_values, gradient);
        tensors.step(torch_values, gradient);
      }
      CHECK(torch::allclose(core_values, torch_values, 1e-5, 1e-6));
      CHECK(torch::allclose(core.update(), tensors.update(), 1e-4, 1e-7));
      if (phase == 0) CHECK(torch_values[1].item<float>() == held[1].item<float>());
      CHECK(torch_values[phase].item<float>() != held[phase].item<float>());
    }
    const ams::AdamState a = core.state(), b = tensors.state();
    CHECK(a.step_count == 20);
    CHECK(b.step_count == 20);
    for (std::size_t i = 0; i < n; ++i) {
      CHECK(a.first_moment[i] == doctest::Approx(b.first_moment[i]).epsilon(1e-4));
      CHECK(a.second_moment[i] == doctest::Approx(b.second_moment[i]).epsilon(1e-4));
    }
  }
}

TEST_CASE("a learning rate for each range, whatever the arithmetic") {
  constexpr std::int64_t n = 300;
  const std::vector<ams::LearningRateRange> ranges = {{0, 10, 5}, {100, 250, 0.5}};
  for (const auto placement :
       {ams::EpsilonPlacement::outside_root, ams::EpsilonPlacement::inside_root}) {
    ams::AdamOptions options;
    options.epsilon_placement = placement;
    torch::manual_seed(8);
    torch::Tensor core_values = torch::randn({n}), torch_values = core_values.clone();
    std::vector<float> plain(core_values.data_ptr<float>(), core_values.data_ptr<float>() + n);
    ams::AdamState state(n);
    using Arithmetic = ams::GradientGuidedAdam::Arithmetic;
    ams::GradientGuidedAdam core(ams::AdamState(n), options, torch::kCPU, Arithmetic::automatic,
                                 ranges);
    ams::GradientGuidedAdam tensors(ams::AdamState(n), options, torch::kCPU, Arithmetic::torch,
                                    ranges);
    std::vector<std::uint32_t> indices;
    for (std::uint32_t i = 0; i < n; i += 3) indices.push_back(i);
    const auto set = ams::CoordinateSet::from_sorted(n, indices);
    core.begin_phase(set);
    tensors.begin_phase(set);
    for (int k = 0; k < 8; ++k) {
      const torch::Tensor gradient = torch::randn({n});
      core.step(core_values, gradient);
      tensors.step(torch_values, gradient);
      ams::adam_step(state, options, set, plain, {gradient.data_ptr<float>(), n}, ranges);
    }
    CHECK(torch::equal(core_values, torch::tensor(plain)));
    CHECK(torch::allclose(core_values, torch_values, 1e-5, 1e-6));
    CHECK(torch::allclose(core.update(), tensors.update(), 1e-4, 1e-7));
  }
  for (const ams::LearningRateRange& bad :
       {ams::LearningRateRange{0, 301, 5}, {7, 7, 5}, {9, 2, 5}}) {
    CHECK_THROWS_AS(ams::GradientGuidedAdam(ams::AdamState(n), {}, torch::kCPU,
                                            ams::GradientGuidedAdam::Arithmetic::torch, {bad}),
                    ams::Error);
  }
}

TEST_CASE("Adam on tensors refuses what does not fit") {
  ams::GradientGuidedAdam adam(ams::AdamState(4), {}, torch::kCPU);
  torch::Tensor values = torch::zeros({4});
  CHECK_THROWS_AS(adam.step(values, torch::zeros({3})), ams::Error);
  CHECK_THROWS_AS(adam.step(values, torch::zeros({4}, torch::kDouble)), ams::Error);
  CHECK_THROWS_AS(adam.step(values, torch::zeros({8}).slice(0, 0, 8, 2)), ams::Error);
  CHECK_THROWS_AS(adam.begin_phase(ams::CoordinateSet::all(5)), ams::Error);
  ams::AdamState uneven(4);
  uneven.second_moment.pop_back();
  CHECK_THROWS_AS(ams::GradientGuidedAdam(uneven, {}, torch::kCPU), ams::Error);
}
