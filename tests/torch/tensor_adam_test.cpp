#include "ams/torch/tensor_adam.hpp"

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "ams/core/error.hpp"

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
    using Arithmetic = ams::TensorAdam::Arithmetic;
    ams::TensorAdam core(ams::AdamState(n), options, torch::kCPU);
    ams::TensorAdam tensors(ams::AdamState(n), options, torch::kCPU, Arithmetic::torch);
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

TEST_CASE("options may change between steps") {
  ams::AdamOptions options;
  options.learning_rate = 0.5;
  ams::TensorAdam adam(ams::AdamState(1), options, torch::kCPU);
  torch::Tensor value = torch::zeros({1});
  adam.step(value, torch::ones({1}));
  CHECK(value.item<float>() == doctest::Approx(-0.5));
  options.learning_rate = 0.25;
  adam.set_options(options);
  adam.step(value, torch::ones({1}));
  CHECK(value.item<float>() == doctest::Approx(-0.75));
  options.beta1 = 1;
  CHECK_THROWS_AS(adam.set_options(options), ams::Error);
  CHECK(adam.options().beta1 == 0.9);
}

TEST_CASE("Adam on tensors refuses what does not fit") {
  ams::TensorAdam adam(ams::AdamState(4), {}, torch::kCPU);
  torch::Tensor values = torch::zeros({4});
  CHECK_THROWS_AS(adam.step(values, torch::zeros({3})), ams::Error);
  CHECK_THROWS_AS(adam.step(values, torch::zeros({4}, torch::kDouble)), ams::Error);
  CHECK_THROWS_AS(adam.step(values, torch::zeros({8}).slice(0, 0, 8, 2)), ams::Error);
  CHECK_THROWS_AS(adam.begin_phase(ams::CoordinateSet::all(5)), ams::Error);
  ams::AdamState uneven(4);
  uneven.second_moment.pop_back();
  CHECK_THROWS_AS(ams::TensorAdam(uneven, {}, torch::kCPU), ams::Error);
}

TEST_CASE(
    "a gradient that would stay in the moments for good changes nothing, whatever the arithmetic") {
  using Arithmetic = ams::TensorAdam::Arithmetic;
  for (const auto arithmetic : {Arithmetic::automatic, Arithmetic::torch}) {
    ams::TensorAdam adam(ams::AdamState(3), {}, torch::kCPU, arithmetic);
    torch::Tensor values = torch::zeros({3});
    adam.step(values, torch::ones({3}));
    const torch::Tensor before = values.clone();
    const ams::AdamState state = adam.state();
    for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1.1e18, -1.1e18}) {
      CAPTURE(bad);
      torch::Tensor gradients = torch::ones({3});
      gradients[1] = bad;
      CHECK_THROWS_AS(adam.step(values, gradients), ams::Error);
    }
    CHECK(torch::equal(values, before));
    CHECK(adam.state().step_count == state.step_count);
    CHECK(adam.state().first_moment == state.first_moment);
    CHECK(adam.state().second_moment == state.second_moment);
    adam.step(values, torch::full({3}, 1e18));
    CHECK(torch::isfinite(values).all().item<bool>());
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
    using Arithmetic = ams::TensorAdam::Arithmetic;
    ams::TensorAdam core(ams::AdamState(n), options, torch::kCPU, Arithmetic::automatic, ranges);
    ams::TensorAdam tensors(ams::AdamState(n), options, torch::kCPU, Arithmetic::torch, ranges);
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
    CHECK_THROWS_AS(ams::TensorAdam(ams::AdamState(n), {}, torch::kCPU,
                                    ams::TensorAdam::Arithmetic::torch, {bad}),
                    ams::Error);
  }
}
