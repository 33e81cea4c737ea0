#include "ams/core/adam.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/random.hpp"
#include "expect_error.hpp"

using ams::AdamOptions;
using ams::AdamState;
using ams::CoordinateSet;
using ams::EpsilonPlacement;
using ams::ErrorCode;
using ams::test::expect_error;

namespace {

/// Adam as its authors and torch.optim.Adam's documentation state it, in double precision.
struct PlainAdam {
  AdamOptions options;
  std::vector<double> m, v, u;
  int i = 0;

  PlainAdam(const AdamOptions& o, std::size_t n) : options(o), m(n), v(n), u(n) {}

  template <class Parameters, class Gradients>
  void step(Parameters& w, const Gradients& g) {
    ++i;
    for (std::size_t j = 0; j < m.size(); ++j) {
      m[j] = options.beta1 * m[j] + (1 - options.beta1) * g[j];
      v[j] = options.beta2 * v[j] + (1 - options.beta2) * g[j] * g[j];
      if (options.epsilon_placement == EpsilonPlacement::inside_root) {
        u[j] = options.learning_rate * std::sqrt(1 - std::pow(options.beta2, i)) /
               (1 - std::pow(options.beta1, i)) * m[j] / std::sqrt(v[j] + options.epsilon);
      } else {
        const double corrected_m = m[j] / (1 - std::pow(options.beta1, i));
        const double corrected_v = v[j] / (1 - std::pow(options.beta2, i));
        u[j] = options.learning_rate * corrected_m / (std::sqrt(corrected_v) + options.epsilon);
      }
      w[j] -= u[j];
    }
  }
};

std::vector<float> random_values(std::size_t n, ams::Random& random, double scale = 1) {
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(scale * (2 * random.uniform() - 1));
  return out;
}

/// Gradients as training has them: scales from 1e-6 to 10, noise about a drift, some exactly zero.
std::vector<float> random_gradients(std::size_t n, ams::Random& random) {
  std::vector<float> out(n);
  for (std::size_t j = 0; j < n; ++j) {
    const double scale = std::pow(10.0, 1 - static_cast<double>(j % 8));
    out[j] = j % 11 == 5 ? 0.0F : static_cast<float>(scale * (2 * random.uniform() - 0.7));
  }
  return out;
}

CoordinateSet random_set(std::size_t n, double density, ams::Random& random) {
  std::vector<std::uint32_t> indices;
  for (std::uint32_t j = 0; j < n; ++j) {
    if (random.uniform() < density) indices.push_back(j);
  }
  return CoordinateSet::from_sorted(n, std::move(indices));
}

double largest_difference(const std::vector<float>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t j = 0; j < a.size(); ++j) largest = std::max(largest, std::fabs(a[j] - b[j]));
  return largest;
}

std::vector<AdamOptions> some_options() {
  std::vector<AdamOptions> out;
  for (const auto placement : {EpsilonPlacement::outside_root, EpsilonPlacement::inside_root}) {
    AdamOptions a, b;
    b = {1e-2, 0.8, 0.99, 1e-4, placement};
    a.epsilon_placement = placement;
    out.insert(out.end(), {a, b});
  }
  return out;
}

// ---- What torch did (tests/core/data/make_adam_reference.py)
// ---------------------------------------

constexpr std::size_t reference_coordinates = 8;
const std::array<AdamOptions, 2> reference_options = {
    AdamOptions{1e-3, 0.9, 0.999, 1e-8, EpsilonPlacement::outside_root},
    AdamOptions{1e-2, 0.8, 0.99, 1e-4, EpsilonPlacement::outside_root}};

float reference_fraction(std::uint64_t n) {
  return static_cast<float>(ams::mix64(n) >> 44) * 0x1p-19F - 0.5F;
}

float reference_gradient(std::uint64_t step, std::size_t j) {
  if (j + 1 == reference_coordinates) return 0;
  return std::ldexp(reference_fraction(step * reference_coordinates + j),
                    6 - 5 * static_cast<int>(j));
}

using ReferenceKey = std::tuple<int, int, int>;  // options, bits, step

std::map<ReferenceKey, std::vector<double>> read_reference() {
  std::ifstream file(AMS_SOURCE_DIR "/tests/core/data/adam_reference.txt");
  REQUIRE(file.good());
  std::map<ReferenceKey, std::vector<double>> out;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    int options = 0, bits = 0, step = 0;
    words >> options >> bits >> step;
    auto& values = out[{options, bits, step}];
    for (std::string word; words >> word;) values.push_back(std::strtod(word.c_str(), nullptr));
    REQUIRE(values.size() == reference_coordinates);
  }
  return out;
}

}  // namespace

TEST_CASE("with all coordinates it follows torch.optim.Adam over 1000 steps") {
  const auto reference = read_reference();
  REQUIRE(reference.size() == 20);
  for (int number = 0; number < 2; ++number) {
    const AdamOptions& options = reference_options[static_cast<std::size_t>(number)];
    AdamState state(reference_coordinates);
    const auto all = CoordinateSet::all(reference_coordinates);
    std::vector<float> w(reference_coordinates), g(reference_coordinates);
    for (std::size_t j = 0; j < w.size(); ++j) w[j] = reference_fraction(~std::uint64_t{j});
    for (int step = 1; step <= 1000; ++step) {
      for (std::size_t j = 0; j < g.size(); ++j) {
        g[j] = reference_gradient(static_cast<std::uint64_t>(step), j);
      }
      adam_step(state, options, all, w, g);
      const auto exact = reference.find({number, 64, step});
      if (exact == reference.end()) continue;
      CAPTURE(number);
      CAPTURE(step);
      const std::vector<double>& torch32 = reference.at({number, 32, step});
      const std::vector<float> rounded(torch32.begin(), torch32.end());
      const double torch_error = largest_difference(rounded, exact->second);
      // As near to double precision as torch's own float32 is, but for a few units in the last
      // place.
      CHECK(largest_difference(w, exact->second) <= 2 * torch_error + 2e-7);
      CHECK(largest_difference(w, torch32) <= 3 * torch_error + 4e-7);
      // With a gradient of zero, all methods stand still.
      CHECK(w.back() == reference_fraction(~std::uint64_t{reference_coordinates - 1}));
    }
  }
}

TEST_CASE("the plain Adam of these tests follows torch.optim.Adam too") {
  const auto reference = read_reference();
  for (int number = 0; number < 2; ++number) {
    PlainAdam plain(reference_options[static_cast<std::size_t>(number)], reference_coordinates);
    std::vector<double> w(reference_coordinates), g(reference_coordinates);
    for (std::size_t j = 0; j < w.size(); ++j) w[j] = reference_fraction(~std::uint64_t{j});
    for (int step = 1; step <= 1000; ++step) {
      for (std::size_t j = 0; j < g.size(); ++j) {
        g[j] = reference_gradient(static_cast<std::uint64_t>(step), j);
      }
      plain.step(w, g);
      const auto exact = reference.find({number, 64, step});
      if (exact == reference.end()) continue;
      for (std::size_t j = 0; j < w.size(); ++j) {
        CHECK(w[j] == doctest::Approx(exact->second[j]).epsilon(1e-11));
      }
    }
  }
}

TEST_CASE("with all coordinates it follows a plain Adam in double precision") {
  for (const std::size_t n : {1, 7, 100, 4096, 5001}) {
    for (const AdamOptions& options : some_options()) {
      ams::Random random(n);
      AdamState state(n);
      PlainAdam plain(options, n);
      std::vector<float> w = random_values(n, random);
      std::vector<double> exact(w.begin(), w.end());
      for (int step = 0; step < 60; ++step) {
        const auto g = random_gradients(n, random);
        adam_step(state, options, CoordinateSet::all(n), w, g);
        plain.step(exact, g);
      }
      CHECK(state.step_count == 60);
      // 60 steps, each with one rounding of w (6e-8) and a few of u (some 1e-7 of at most 1e-2).
      CHECK(largest_difference(w, exact) < 2e-6);
      std::vector<float> u(n);
      adam_update(state, options, u);
      CHECK(largest_difference(u, plain.u) < 2e-6 * options.learning_rate);
    }
  }
}

TEST_CASE("every machine must get what a scalar loop of single roundings gets") {
  // The library computes wide and gathers; this does not. The loop is the definition, operation by
  // operation.
  for (const std::size_t n : {1, 63, 4095, 4096, 4097, 9001}) {
    for (const AdamOptions& options : some_options()) {
      ams::Random random(n + 1);
      AdamState state(n);
      std::vector<float> w = random_values(n, random), w_ref = w;
      std::vector<float> m(n), v(n), u_ref(n), u(n);
      double power1 = 1, power2 = 1;
      for (int step = 1; step <= 5; ++step) {
        const auto set =
            step == 5 ? CoordinateSet::all(n) : random_set(n, 0.3 * (step - 1), random);
        const auto g = random_gradients(n, random);
        adam_step(state, options, set, w, g);

        power1 *= options.beta1;
        power2 *= options.beta2;
        const double root = std::sqrt(1 - power2);
        const bool inside = options.epsilon_placement == EpsilonPlacement::inside_root;
        const auto rate = static_cast<float>(options.learning_rate * root / (1 - power1));
        const auto epsilon = static_cast<float>(inside ? options.epsilon : options.epsilon * root);
        for (std::size_t j = 0; j < n; ++j) {
          volatile float a = static_cast<float>(options.beta1) * m[j];
          volatile float b = static_cast<float>(1 - options.beta1) * g[j];
          m[j] = a + b;
          a = static_cast<float>(options.beta2) * v[j];
          b = g[j] * g[j];
          b = static_cast<float>(1 - options.beta2) * b;
          v[j] = a + b;
          volatile float root_v = std::sqrt(inside ? v[j] + epsilon : v[j]);
          volatile float denominator = inside ? root_v : root_v + epsilon;
          volatile float quotient = m[j] / denominator;
          u_ref[j] = rate * quotient;
        }
        set.for_each([&](std::uint32_t j) { w_ref[j] -= u_ref[j]; });
      }
      CHECK(state.first_moment == m);
      CHECK(state.second_moment == v);
      CHECK(w == w_ref);
      adam_update(state, options, u);
      CHECK(u == u_ref);
    }
  }
}

TEST_CASE("only the named coordinates move, and all moments follow") {
  ams::Random random(3);
  const std::size_t n = 10000;
  const AdamOptions options;
  AdamState some(n), all(n);
  std::vector<float> w = random_values(n, random);
  const std::vector<float> before = w;
  const auto set = random_set(n, 0.05, random);
  for (int step = 0; step < 10; ++step) {
    const auto g = random_gradients(n, random);
    std::vector<float> others = before;
    adam_step(some, options, set, w, g);
    adam_step(all, options, CoordinateSet::all(n), others, g);
  }
  CHECK(some.first_moment == all.first_moment);
  CHECK(some.second_moment == all.second_moment);
  CHECK(some.step_count == all.step_count);
  std::vector<bool> named(n);
  set.for_each([&](std::uint32_t j) { named[j] = true; });
  for (std::size_t j = 0; j < n; ++j) {
    const bool expected = named[j] && j % 11 != 5;  // every 11th gradient is zero throughout
    CHECK((w[j] != before[j]) == expected);
  }
}

TEST_CASE("no coordinates, no values") {
  const AdamOptions options;
  AdamState none;
  std::vector<float> nothing;
  adam_step(none, options, CoordinateSet::all(0), nothing, nothing);
  adam_update(none, options, nothing);
  CHECK(none.step_count == 1);

  AdamState state(3);
  std::vector<float> w = {1, 2, 3};
  adam_step(state, options, CoordinateSet::from_sorted(3, {}), w, std::vector<float>{1, 1, 1});
  CHECK(w == std::vector<float>{1, 2, 3});
  CHECK(state.first_moment[2] == doctest::Approx(0.1));
}

TEST_CASE("the update is zero before the first step") {
  std::vector<float> u = {1, 2, 3};
  adam_update(AdamState(3), {}, u);
  CHECK(u == std::vector<float>{0, 0, 0});
}

TEST_CASE("bias corrections are right at any step count") {
  for (const std::int64_t i : {1LL, 2LL, 3LL, 17LL, 1000LL, 65536LL, 999999LL, 1000000000000LL}) {
    AdamState state(1);
    state.first_moment[0] = 0.5F;
    state.second_moment[0] = 4.0F;
    state.step_count = i;
    std::vector<float> u(1);
    const AdamOptions options;
    adam_update(state, options, u);
    const double correction1 = -std::expm1(static_cast<double>(i) * std::log(0.9));
    const double correction2 = -std::expm1(static_cast<double>(i) * std::log(0.999));
    const double expected = 1e-3 * (0.5 / correction1) / (std::sqrt(4.0 / correction2) + 1e-8);
    CHECK(u[0] == doctest::Approx(expected).epsilon(1e-6));
  }
}

TEST_CASE("extreme gradients and options give finite results") {
  constexpr float denormal = std::numeric_limits<float>::denorm_min();
  for (const auto placement : {EpsilonPlacement::outside_root, EpsilonPlacement::inside_root}) {
    for (const double epsilon : {1e-30, 1e-8, 1e6}) {
      for (const double beta : {0.0, 0.5, 1 - 0x1p-24}) {
        AdamOptions options;
        options = {1e6, beta, beta, epsilon, placement};
        AdamState state(6);
        std::vector<float> w(6);
        const std::vector<float> g = {0.0F,      -0.0F,  denormal,
                                      -denormal, 1e-25F, -ams::max_gradient_magnitude};
        for (int step = 0; step < 100; ++step) {
          adam_step(state, options, CoordinateSet::all(6), w, g);
        }
        for (std::size_t j = 0; j < 6; ++j) {
          CHECK(std::isfinite(state.first_moment[j]));
          CHECK(std::isfinite(state.second_moment[j]));
          CHECK(std::isfinite(w[j]));
        }
        CHECK(w[0] == 0);
        CHECK(w[1] == 0);
        CHECK(w[5] > 0);
      }
    }
  }
}

TEST_CASE("a gradient that would spoil the moments is refused, and nothing changes") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  ams::Random random(9);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity,
                          2 * ams::max_gradient_magnitude, -std::numeric_limits<float>::max()}) {
    for (const std::size_t n : {1, 30, 5000}) {
      for (const std::size_t place : {std::size_t{0}, n / 2, n - 1}) {
        AdamState state(n);
        std::vector<float> w = random_values(n, random);
        auto g = random_gradients(n, random);
        adam_step(state, {}, CoordinateSet::all(n), w, g);
        const AdamState state_before = state;
        const auto w_before = w;
        g[place] = bad;
        expect_error(
            ErrorCode::invalid_argument, [&] { adam_step(state, {}, CoordinateSet::all(n), w, g); },
            "gradient of coordinate " + std::to_string(place), "1e+18");
        CHECK(w == w_before);
        CHECK(state.first_moment == state_before.first_moment);
        CHECK(state.second_moment == state_before.second_moment);
        CHECK(state.step_count == state_before.step_count);
      }
    }
  }
}

TEST_CASE("sizes that differ are refused, and nothing changes") {
  const auto refused = [](AdamState state, const CoordinateSet& set, std::size_t w_size,
                          std::size_t g_size, const char* word) {
    std::vector<float> w(w_size, 1), g(g_size, 1);
    const auto steps = state.step_count;
    expect_error(
        ErrorCode::invalid_argument, [&] { adam_step(state, {}, set, w, g); }, word);
    CHECK(state.step_count == steps);
    CHECK(std::count(w.begin(), w.end(), 1.0F) == static_cast<std::ptrdiff_t>(w_size));
  };
  refused(AdamState(3), CoordinateSet::all(3), 2, 3, "parameters");
  refused(AdamState(3), CoordinateSet::all(3), 3, 4, "gradients");
  refused(AdamState(3), CoordinateSet::all(4), 3, 3, "coordinates");
  refused(AdamState(3), CoordinateSet::from_sorted(2, {0}), 3, 3, "coordinates");
  AdamState uneven(3);
  uneven.second_moment.resize(2);
  refused(uneven, CoordinateSet::all(3), 3, 3, "second moments");
  AdamState negative(3);
  negative.step_count = -1;
  refused(negative, CoordinateSet::all(3), 3, 3, "step count");
  AdamState endless(3);
  endless.step_count = std::numeric_limits<std::int64_t>::max();
  refused(endless, CoordinateSet::all(3), 3, 3, "step count");

  std::vector<float> u(2);
  expect_error(
      ErrorCode::invalid_argument, [&] { adam_update(AdamState(3), {}, u); }, "update");
}

TEST_CASE("options out of range are refused by name") {
  const auto refused = [](auto&& change, const char* word) {
    AdamOptions options;
    change(options);
    expect_error(
        ErrorCode::invalid_argument, [&] { ams::validate(options); }, word);
    AdamState state(1);
    std::vector<float> one(1);
    expect_error(
        ErrorCode::invalid_argument,
        [&] { adam_step(state, options, CoordinateSet::all(1), one, std::vector{1.0F}); }, word);
    expect_error(
        ErrorCode::invalid_argument, [&] { adam_update(state, options, one); }, word);
  };
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
  ams::validate(AdamOptions{});
  for (const double bad : {0.0, -1e-3, 1e7, not_a_number}) {
    refused([&](AdamOptions& o) { o.learning_rate = bad; }, "learning_rate");
  }
  for (const double bad : {-0.1, 1.0, 1 - 1e-12, not_a_number}) {
    refused([&](AdamOptions& o) { o.beta1 = bad; }, "beta1");
    refused([&](AdamOptions& o) { o.beta2 = bad; }, "beta2");
  }
  for (const double bad : {0.0, -1e-8, 1e-31, 1e7, not_a_number}) {
    refused([&](AdamOptions& o) { o.epsilon = bad; }, "epsilon");
  }
  refused([](AdamOptions& o) { o.epsilon_placement = static_cast<EpsilonPlacement>(2); },
          "epsilon_placement");
}

TEST_CASE("learning rates of their own, against plain Adam of each range") {
  ams::Random random(21);
  const std::size_t n = 9001;
  for (const auto placement : {EpsilonPlacement::outside_root, EpsilonPlacement::inside_root}) {
    AdamOptions options;
    options.epsilon_placement = placement;
    const std::vector<ams::LearningRateRange> ranges = {
        {0, 1, 5}, {1, 7, 0.25}, {4095, 4097, 3}, {5000, 9000, 2}};
    std::vector<double> multiplier(n, 1);
    for (const auto& range : ranges) {
      for (std::size_t j = range.begin; j < range.end; ++j) multiplier[j] = range.multiplier;
    }
    for (const CoordinateSet& set : {CoordinateSet::all(n), random_set(n, 0.3, random)}) {
      std::vector<float> w = random_values(n, random);
      const std::vector<float> start = w;
      std::vector<double> expected(w.begin(), w.end());
      PlainAdam plain(options, n);
      AdamState state(n);
      std::vector<float> u(n);
      for (int step = 0; step < 10; ++step) {
        const std::vector<float> g = random_gradients(n, random);
        adam_step(state, options, set, w, g, ranges);
        std::vector<double> moved(n);
        plain.step(moved, g);
        for (std::size_t j = 0; j < n; ++j) plain.u[j] *= multiplier[j];
        set.for_each([&](std::uint32_t j) { expected[j] -= plain.u[j]; });
      }
      adam_update(state, options, u, ranges);
      bool close = true;
      for (std::size_t j = 0; j < n; ++j) {
        const double tolerance = 1e-5 * options.learning_rate * multiplier[j];
        close &= std::fabs(w[j] - expected[j]) <= 10 * tolerance + 1e-6;
        close &= std::fabs(u[j] - plain.u[j]) <= tolerance;
      }
      CHECK(close);
      bool others_stay = true;
      std::vector<bool> chosen(n);
      set.for_each([&](std::uint32_t j) { chosen[j] = true; });
      for (std::size_t j = 0; j < n; ++j) others_stay &= chosen[j] || w[j] == start[j];
      CHECK(others_stay);
    }
  }
}

TEST_CASE("a multiplier of 1 changes nothing, bit for bit, wherever it begins and ends") {
  ams::Random random(21);
  const std::size_t n = 9001;
  for (const CoordinateSet& set : {CoordinateSet::all(n), random_set(n, 0.1, random)}) {
    std::vector<float> w = random_values(n, random);
    std::vector<float> other = w;
    AdamState state(n), other_state(n);
    for (int step = 0; step < 5; ++step) {
      const std::vector<float> g = random_gradients(n, random);
      adam_step(state, {}, set, w, g);
      const std::size_t a = 1 + random.below(4000), b = a + 1 + random.below(4000);
      const std::vector<ams::LearningRateRange> ranges = {{0, a, 1}, {a, b, 1}, {b + 3, n, 1}};
      adam_step(other_state, {}, set, other, g, ranges);
    }
    CHECK(w == other);
    CHECK(state.first_moment == other_state.first_moment);
    CHECK(state.second_moment == other_state.second_moment);
  }
}

TEST_CASE("the multipliers' ranges follow the roles of the tensors") {
  std::vector<ams::TensorSpec> tensors;
  for (const int size : {4, 2, 2, 3, 5, 1}) {
    tensors.push_back({.name = std::to_string(tensors.size()), .shape = {size}});
  }
  tensors[1].role = tensors[2].role = tensors[4].role = ams::TensorRole::normalization;
  tensors[5].role = ams::TensorRole::head;
  const ams::Manifest manifest(tensors);
  using Ranges = std::vector<ams::LearningRateRange>;
  const auto ranges = [&](double weight, double normalization, double head) {
    AdamOptions options;
    options.multipliers = {weight, normalization, head};
    return ams::learning_rate_ranges(manifest, options);
  };
  CHECK(ranges(1, 1, 1).empty());
  CHECK(ranges(1, 5, 1) == Ranges{{4, 8, 5}, {11, 16, 5}});
  CHECK(ranges(2, 1, 1) == Ranges{{0, 4, 2}, {8, 11, 2}});
  CHECK(ranges(1, 5, 5) == Ranges{{4, 8, 5}, {11, 17, 5}});
  CHECK(ranges(0.5, 0.5, 0.5) == Ranges{{0, 17, 0.5}});
  for (const double bad : {0.0, -1.0, 1.1e6, std::numeric_limits<double>::quiet_NaN()}) {
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)ranges(bad, 1, 1); }, "weight");
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)ranges(1, bad, 1); }, "normalization");
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)ranges(1, 1, bad); }, "head");
  }
}

TEST_CASE("ranges that are no ranges are refused, and nothing changes") {
  using Ranges = std::vector<ams::LearningRateRange>;
  for (const Ranges& bad :
       {Ranges{{2, 2, 5}}, Ranges{{2, 1, 5}}, Ranges{{0, 4, 5}}, Ranges{{0, 2, 5}, {1, 3, 5}},
        Ranges{{2, 3, 5}, {0, 1, 5}}, Ranges{{0, 1, 0}}, Ranges{{0, 1, -1}}}) {
    AdamState state(3);
    std::vector<float> w(3, 1.0F);
    expect_error(
        ErrorCode::invalid_argument,
        [&] { adam_step(state, {}, CoordinateSet::all(3), w, std::vector<float>(3, 1.0F), bad); },
        "range");
    CHECK(state.step_count == 0);
    CHECK(w == std::vector<float>(3, 1.0F));
    expect_error(
        ErrorCode::invalid_argument, [&] { adam_update(state, {}, w, bad); }, "range");
  }
}
