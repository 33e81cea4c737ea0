#include "ams/policy/learning_rates.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/random.hpp"
#include "core/expect_error.hpp"

using ams::ErrorCode;
using ams::Manifest;
using ams::TensorKind;
using ams::TensorRole;
using ams::TensorSpec;
using ams::test::expect_error;

namespace {

/// A network of tensors that are filled by `size`: each value is that or its negative.
struct Filled {
  std::vector<TensorSpec> tensors;
  std::vector<float> values;

  void add(std::vector<std::int64_t> shape, float size, TensorKind kind = TensorKind::parameter,
           TensorRole role = TensorRole::weight) {
    tensors.push_back({.name = std::to_string(tensors.size()),
                       .shape = std::move(shape),
                       .kind = kind,
                       .role = role});
    std::int64_t count = 1;
    for (const std::int64_t extent : tensors.back().shape) count *= extent;
    for (std::int64_t i = 0; i < count; ++i) values.push_back(i % 2 == 0 ? size : -size);
  }
};

}  // namespace

TEST_CASE("small weights learn in proportion to their root mean square") {
  Filled network;
  network.add({4, 3, 3, 3}, 0.8F);
  network.add({4, 2}, 0.1F);
  network.add({4}, 0.1F);  // a bias
  network.add({2, 2}, 0.001F);
  network.add({2, 2}, 0);
  network.add({2, 2}, 0.1F, TensorKind::statistic);
  network.add({6}, 0.1F, TensorKind::parameter, TensorRole::normalization);
  network.add({3, 4}, 0.2F, TensorKind::parameter, TensorRole::head);
  network.add({}, 0.1F);
  const Manifest manifest(network.tensors);
  const std::vector<double> scales = learning_rate_scales(manifest, network.values);
  const std::vector<double> expected = {1, 0.25, 1, 0.0625, 1, 1, 1, 0.5, 1};
  REQUIRE(scales.size() == expected.size());
  for (std::size_t t = 0; t < expected.size(); ++t) {
    CAPTURE(t);
    CHECK(scales[t] == doctest::Approx(expected[t]).epsilon(1e-6));
  }

  // And beside the rates of roles.
  ams::AdamOptions options;
  options.multipliers = {.weight = 2, .normalization = 5, .head = 4};
  for (const ams::LearningRateRange& range : learning_rate_ranges(manifest, options, scales)) {
    const std::size_t t = manifest.tensor_of(range.begin);
    const double of_role = t == 6 ? 5 : t == 7 ? 4 : 2;
    CHECK(range.multiplier == doctest::Approx(of_role * expected[t]).epsilon(1e-6));
  }
}

TEST_CASE("random weights: the scale is as a plain sum has it") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ams::Random random(seed);
    const auto rows = static_cast<std::int64_t>(1 + random.below(30));
    const double size = 0.03 + 0.5 * random.uniform();
    std::vector<float> values(static_cast<std::size_t>(7 * rows));
    long double sum = 0;
    for (float& value : values) {
      value = static_cast<float>(size * (2 * random.uniform() - 1));
      sum += static_cast<long double>(value) * static_cast<long double>(value);
    }
    const auto root = static_cast<double>(std::sqrt(sum / static_cast<long double>(values.size())));
    const double expected = root >= 0.4 ? 1 : root <= 0.025 ? 0.0625 : root / 0.4;
    const Manifest manifest({{.name = "w", .shape = {rows, 7}}});
    CHECK(learning_rate_scales(manifest, values)[0] == doctest::Approx(expected).epsilon(1e-9));
  }
}

TEST_CASE("values that do not fit, and that are no numbers, are refused") {
  const Manifest manifest({{.name = "first", .shape = {2, 2}}, {.name = "second", .shape = {2}}});
  for (const std::size_t count : {0, 5, 7}) {
    expect_error(
        ErrorCode::invalid_argument,
        [&] { (void)learning_rate_scales(manifest, std::vector<float>(count)); },
        std::to_string(count).c_str(), "6");
  }
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(6, 1.0F);
    values[5] = bad;
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)learning_rate_scales(manifest, values); },
        "second", "finite");
  }
  CHECK(learning_rate_scales(Manifest(), {}).empty());
}

TEST_CASE("scales out of range are refused") {
  const Manifest manifest({{.name = "first", .shape = {2, 2}}, {.name = "second", .shape = {2}}});
  for (const double bad : {0.0, -1.0, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    expect_error(
        ErrorCode::invalid_argument,
        [&] {
          (void)learning_rate_ranges(manifest, {}, std::vector<double>{1, bad});
        },
        "second", "up to 1");
  }
  expect_error(
      ErrorCode::invalid_argument,
      [&] { (void)learning_rate_ranges(manifest, {}, std::vector<double>{1}); }, "1 scales",
      "2 tensors");
}
