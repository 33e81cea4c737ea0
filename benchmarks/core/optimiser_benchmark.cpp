// One optimiser step on the parameter vector of DeepLabV3-MobileNetV2 (2,113,043 values):
// gradient-guided Adam beside a plain "Adam plus a mask", and beside the time that moving its bytes
// must take.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_choice.hpp"
#include "ams/core/random.hpp"
#include "harness.hpp"

namespace {

constexpr std::size_t dimension = 2'113'043;

std::vector<float> random_values(double scale, std::uint64_t seed) {
  ams::Random random(seed);
  std::vector<float> out(dimension);
  for (float& x : out) x = static_cast<float>(scale * (2 * random.uniform() - 1));
  return out;
}

/// What one writes without a library: all updates in double precision, and a mask over them.
struct MaskedAdam {
  std::vector<double> m = std::vector<double>(dimension), v = std::vector<double>(dimension);
  int i = 0;

  void step(std::vector<float>& w, const std::vector<float>& g, const std::vector<float>& mask) {
    ++i;
    const double correction1 = 1 - std::pow(0.9, i), correction2 = 1 - std::pow(0.999, i);
    for (std::size_t j = 0; j < w.size(); ++j) {
      m[j] = 0.9 * m[j] + 0.1 * g[j];
      v[j] = 0.999 * v[j] + 0.001 * g[j] * g[j];
      const double u = 1e-3 * (m[j] / correction1) / (std::sqrt(v[j] / correction2) + 1e-8);
      w[j] -= static_cast<float>(u * mask[j]);
    }
  }
};

}  // namespace

int main() {
  using namespace ams::benchmark;
  constexpr std::size_t turns = 6;
  const ams::AdamOptions options;
  ams::Random random(2);
  const std::vector<std::vector<float>> gradients(turns, random_values(1e-2, 1));
  std::vector<std::vector<float>> parameters(turns, random_values(1, 3));
  std::vector<ams::AdamState> states(turns, ams::AdamState(dimension));
  std::size_t turn = 0;
  const auto next = [&] { return turn = (turn + 1) % turns; };

  print_header("Optimiser step, 2,113,043 parameters, one core, caches cold");
  for (const double gamma : {0.05, 1.0}) {
    const std::size_t count = ams::fraction_count(gamma, dimension);
    const auto set = ams::random_coordinates(dimension, count, random);
    std::vector<float> mask(dimension);
    set.for_each([&](std::uint32_t j) { mask[j] = 1; });

    const double ours = median_seconds([&] {
      const std::size_t t = next();
      adam_step(states[t], options, set, parameters[t], gradients[t]);
    });
    std::vector<MaskedAdam> masked(turns);
    const double theirs = median_seconds([&] {
      const std::size_t t = next();
      masked[t].step(parameters[t], gradients[t], mask);
    });
    // Read g; read and write m and v, and w where it is chosen.
    const double bytes = 4.0 * static_cast<double>(5 * dimension + 2 * count);
    print_row({gamma < 1 ? "adam_step, gamma 5%" : "adam_step, full", ours,
               "Adam plus a mask, double", theirs, bytes / memory_bytes_per_second(), ""});
  }

  std::vector<std::vector<float>> updates(turns, std::vector<float>(dimension));
  const double ours = median_seconds([&] {
    const std::size_t t = next();
    adam_update(states[t], options, updates[t]);
  });
  const double plain = median_seconds([&] {
    const std::size_t t = next();
    const auto i = static_cast<double>(states[t].step_count);
    const double correction1 = 1 - std::pow(0.9, i), correction2 = 1 - std::pow(0.999, i);
    for (std::size_t j = 0; j < dimension; ++j) {
      updates[t][j] =
          static_cast<float>(1e-3 * (states[t].first_moment[j] / correction1) /
                             (std::sqrt(states[t].second_moment[j] / correction2) + 1e-8));
    }
  });
  keep(updates.data());
  print_row({"adam_update (once a phase)", ours, "plain loop, double", plain,
             4.0 * 3 * dimension / memory_bytes_per_second(), ""});
  return 0;
}
