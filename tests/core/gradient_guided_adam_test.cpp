#include "ams/core/gradient_guided_adam.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "ams/core/coordinate_choice.hpp"
#include "ams/core/random.hpp"
#include "expect_error.hpp"

using ams::AdamOptions;
using ams::CoordinateSet;
using ams::EpsilonPlacement;
using ams::ErrorCode;
using ams::GradientGuidedAdam;
using ams::Manifest;
using ams::Random;
using ams::TensorKind;
using ams::TensorSpec;
using ams::test::expect_error;

namespace {

using Vector = std::vector<double>;
using Indices = std::vector<std::uint32_t>;

/// Algorithm 2 line by line, slow and in double precision. The first phase's coordinates are given.
struct Algorithm2 {
  double alpha, beta1, beta2, epsilon, gamma;
  EpsilonPlacement placement;
  Vector w, m, v, u;
  int i = 0;

  Algorithm2(const AdamOptions& o, double fraction, const std::vector<float>& initial)
      : alpha(o.learning_rate),
        beta1(o.beta1),
        beta2(o.beta2),
        epsilon(o.epsilon),
        gamma(fraction),
        placement(o.epsilon_placement),
        w(initial.begin(), initial.end()),
        m(w.size()),
        v(w.size()),
        u(w.size()) {}

  Indices line_1() const {
    Indices order(u.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::fabs(u[a]) > std::fabs(u[b]);
    });
    order.resize(static_cast<std::size_t>(gamma * static_cast<double>(u.size()) + 0.5));
    std::sort(order.begin(), order.end());
    return order;
  }

  void lines_9_to_13(const std::vector<float>& g, const Vector& b) {
    for (std::size_t j = 0; j < w.size(); ++j) m[j] = beta1 * m[j] + (1 - beta1) * g[j];
    for (std::size_t j = 0; j < w.size(); ++j) v[j] = beta2 * v[j] + (1 - beta2) * g[j] * g[j];
    i = i + 1;
    for (std::size_t j = 0; j < w.size(); ++j) {
      if (placement == EpsilonPlacement::inside_root) {
        u[j] = alpha * std::sqrt(1 - std::pow(beta2, i)) / (1 - std::pow(beta1, i)) * m[j] /
               std::sqrt(v[j] + epsilon);
      } else {
        u[j] = alpha * (m[j] / (1 - std::pow(beta1, i))) /
               (std::sqrt(v[j] / (1 - std::pow(beta2, i))) + epsilon);
      }
    }
    for (std::size_t j = 0; j < w.size(); ++j) w[j] = w[j] - u[j] * b[j];
  }
};

/// Gradients of a noisy quadratic bowl: they depend on the parameters, so that errors would feed
/// back.
std::vector<float> bowl_gradients(const std::vector<float>& w, Random& random) {
  std::vector<float> g(w.size());
  for (std::size_t j = 0; j < w.size(); ++j) {
    const double curvature = std::pow(10.0, -static_cast<double>(j % 5));
    g[j] = static_cast<float>(curvature * (w[j] + 0.5 * (random.uniform() - 0.5)));
  }
  return g;
}

std::vector<float> random_values(std::size_t n, Random& random) {
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(2 * random.uniform() - 1);
  return out;
}

Indices listed(const CoordinateSet& set) {
  Indices out;
  set.for_each([&](std::uint32_t j) { out.push_back(j); });
  return out;
}

std::shared_ptr<const Manifest> network_with_statistics() {
  std::vector<TensorSpec> tensors(3);
  tensors[0].name = "weight";
  tensors[0].shape = {10, 4};
  tensors[1].name = "mean";
  tensors[1].shape = {20};
  tensors[1].kind = TensorKind::statistic;
  tensors[2].name = "head";
  tensors[2].shape = {60};
  return std::make_shared<const Manifest>(tensors);
}

}  // namespace

TEST_CASE("it follows Algorithm 2, line by line, over many phases") {
  constexpr int phases = 12, iterations = 20;
  for (const auto placement : {EpsilonPlacement::outside_root, EpsilonPlacement::inside_root}) {
    for (const double gamma : {0.01, 0.05, 0.2, 0.9}) {
      const std::size_t n = 700;
      AdamOptions options;
      options.epsilon_placement = placement;
      Random random(11);
      std::vector<float> w = random_values(n, random);
      GradientGuidedAdam adam(n, gamma, options, 3);
      Algorithm2 paper(options, gamma, w);
      for (int phase = 0; phase < phases; ++phase) {
        const Indices chosen = listed(adam.begin_phase());
        CAPTURE(gamma);
        CAPTURE(phase);
        const Indices expected = phase == 0 ? chosen : paper.line_1();
        REQUIRE(chosen.size() == ams::fraction_count(gamma, n));
        REQUIRE(chosen == expected);
        Vector b(n);
        for (const std::uint32_t j : expected) b[j] = 1;
        for (int k = 0; k < iterations; ++k) {
          const auto g = bowl_gradients(w, random);
          adam.step(w, g);
          paper.lines_9_to_13(g, b);
        }
        double difference = 0;
        for (std::size_t j = 0; j < n; ++j) {
          difference = std::max(difference, std::fabs(w[j] - paper.w[j]));
        }
        // One rounding of w (at most 6e-8) and a few of u (each 6e-8 of some 1e-3) an iteration.
        CHECK(difference <= 6.5e-8 * iterations * (phase + 1));
      }
      CHECK(adam.state().adam.step_count == phases * iterations);
      CHECK(adam.state().phase_count == phases);
    }
  }
}

TEST_CASE("at gamma = 1 it is Adam") {
  Random random(1);
  const std::size_t n = 300;
  std::vector<float> w = random_values(n, random), plain = w;
  GradientGuidedAdam adam(n, 1.0);
  ams::AdamState state(n);
  for (int phase = 0; phase < 5; ++phase) {
    CHECK(adam.begin_phase().is_all());
    for (int k = 0; k < 7; ++k) {
      const auto g = bowl_gradients(w, random);
      adam.step(w, g);
      adam_step(state, {}, CoordinateSet::all(n), plain, g);
    }
  }
  CHECK(w == plain);
}

TEST_CASE("what is not chosen stays, bit for bit") {
  Random random(2);
  const auto manifest = std::make_shared<const Manifest>(
      network_with_statistics()->with_roles({.normalization = {"weight"}, .head = {"head"}}));
  std::vector<float> w = random_values(manifest->dimension(), random);
  for (const auto name : ams::selection_strategy_names()) {
    GradientGuidedAdam adam(manifest, ams::make_selection_strategy(name, 0.1));
    for (int phase = 0; phase < 4; ++phase) {
      const auto before = w;
      std::vector<bool> chosen(w.size());
      adam.begin_phase().for_each([&](std::uint32_t j) { chosen[j] = true; });
      for (int k = 0; k < 3; ++k) {
        auto g = bowl_gradients(w, random);
        std::fill(g.begin() + 40, g.begin() + 60, 0.0F);  // statistics have none
        adam.step(w, g);
      }
      for (std::size_t j = 0; j < w.size(); ++j) CHECK((w[j] != before[j]) == chosen[j]);
      for (std::size_t j = 40; j < 60; ++j) CHECK_FALSE(chosen[j]);
    }
  }
}

TEST_CASE("seeds decide the first phase, and nothing else does") {
  GradientGuidedAdam a(1000, 0.05, {}, 1), b(1000, 0.05, {}, 1), c(1000, 0.05, {}, 2);
  const auto first = a.begin_phase();
  CHECK(first.size() == 50);
  CHECK(b.begin_phase() == first);
  CHECK_FALSE(c.begin_phase() == first);
  // No step was taken, so there is nothing to choose by: it is still the first phase.
  CHECK(a.begin_phase() == first);
  CHECK(a.state().phase_count == 1);
}

TEST_CASE("a saved state continues exactly") {
  for (const char* strategy : {"gradient_guided", "random"}) {
    Random random(4);
    const auto manifest = network_with_statistics();
    const auto make = [&](std::uint64_t seed) {
      return GradientGuidedAdam(manifest, ams::make_selection_strategy(strategy, 0.2), {}, seed);
    };
    std::vector<float> w = random_values(manifest->dimension(), random);
    GradientGuidedAdam adam = make(5);
    for (int phase = 0; phase < 2; ++phase) {
      adam.begin_phase();
      for (int k = 0; k < 3; ++k) adam.step(w, bowl_gradients(w, random));
    }
    GradientGuidedAdam resumed = make(6);
    resumed.restore(adam.state());
    CHECK(resumed.coordinates() == adam.coordinates());
    std::vector<float> w_resumed = w;
    for (int phase = 0; phase < 3; ++phase) {
      for (int k = 0; k < 3; ++k) {
        const auto g = bowl_gradients(w, random);
        adam.step(w, g);
        resumed.step(w_resumed, g);
      }
      CHECK(adam.begin_phase() == resumed.begin_phase());
    }
    CHECK(w == w_resumed);
  }
}

TEST_CASE("states that cannot be are refused, and nothing changes") {
  GradientGuidedAdam adam(4, 0.5);
  std::vector<float> w(4);
  adam.begin_phase();
  adam.step(w, std::vector<float>{1, -2, 3, 0});
  const auto good = adam.state();
  const auto refused = [&](auto&& change) {
    auto state = good;
    change(state);
    expect_error(ErrorCode::invalid_argument, [&] { adam.restore(state); });
    CHECK(adam.state().adam.first_moment == good.adam.first_moment);
    CHECK(adam.state().phase_count == 1);
  };
  constexpr float infinity = std::numeric_limits<float>::infinity();
  refused([](auto& s) { s.adam.first_moment.pop_back(); });
  refused([](auto& s) { s.adam.second_moment.push_back(0); });
  refused([](auto& s) { s.coordinates = CoordinateSet::all(3); });
  refused([](auto& s) { s.adam.step_count = -1; });
  refused([](auto& s) { s.phase_count = -1; });
  refused([](auto& s) { s.adam.step_count = std::numeric_limits<std::int64_t>::max(); });
  refused([](auto& s) { s.phase_count = std::numeric_limits<std::int64_t>::max(); });
  refused([&](auto& s) { s.adam.first_moment[1] = infinity; });
  refused([&](auto& s) { s.adam.second_moment[1] = infinity; });
  refused([](auto& s) { s.adam.second_moment[3] = -1e-20F; });
  refused([](auto& s) { s.adam.second_moment[3] = std::numeric_limits<float>::quiet_NaN(); });
  adam.restore(good);
}

TEST_CASE("misuse is refused by name") {
  GradientGuidedAdam adam(4, 0.5);
  CHECK(adam.coordinates().empty());
  CHECK(adam.coordinates().dimension() == 4);
  std::vector<float> w(4, 1.0F);
  expect_error(
      ErrorCode::invalid_argument, [&] { adam.step(w, w); }, "begin_phase");
  CHECK(adam.state().adam.step_count == 0);
  expect_error(
      ErrorCode::invalid_argument, [] { GradientGuidedAdam(0, 0.5); }, "parameters");
  expect_error(
      ErrorCode::invalid_argument, [] { GradientGuidedAdam(4, 0.0); }, "gamma");
  AdamOptions options;
  options.beta1 = 1;
  expect_error(
      ErrorCode::invalid_argument, [&] { GradientGuidedAdam(4, 0.5, options); }, "beta1");
  expect_error(
      ErrorCode::invalid_argument, [] { GradientGuidedAdam(nullptr, 0.5); }, "manifest");
  expect_error(
      ErrorCode::invalid_argument,
      [] { GradientGuidedAdam(std::make_shared<const Manifest>(), nullptr); }, "strategy");
}

TEST_CASE("with a multiplier for a group it is adam_step with that group's range") {
  std::vector<TensorSpec> tensors(2);
  tensors[0].name = "weight";
  tensors[0].shape = {30};
  tensors[1].name = "scale";
  tensors[1].shape = {10};
  tensors[1].role = ams::TensorRole::normalization;
  const auto manifest = std::make_shared<const Manifest>(tensors);
  AdamOptions options;
  options.multipliers.normalization = 5;
  GradientGuidedAdam adam(
      manifest, ams::make_selection_strategy("normalization+gradient_guided", 0.25), options);
  Random random(3);
  std::vector<float> w = random_values(40, random);
  std::vector<float> expected = w;
  ams::AdamState state(40);
  const std::vector<ams::LearningRateRange> ranges = {{30, 40, 5}};
  for (int phase = 0; phase < 3; ++phase) {
    const CoordinateSet& chosen = adam.begin_phase();
    CHECK(chosen.size() == 20);
    for (int k = 0; k < 5; ++k) {
      const auto g = bowl_gradients(w, random);
      adam.step(w, g);
      adam_step(state, options, chosen, expected, g, ranges);
    }
  }
  CHECK(w == expected);
}

TEST_CASE("a strategy that does not fit the model is refused before the first phase") {
  expect_error(
      ErrorCode::invalid_argument,
      [] {
        GradientGuidedAdam(network_with_statistics(),
                           ams::make_selection_strategy("normalization", 0.05));
      },
      "normalisation");
}
