// Choosing the coordinates of a training phase among 2,113,043: largest_by_magnitude beside
// std::nth_element and a full sort, and beside the time of reading the vector once.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_choice.hpp"
#include "ams/core/random.hpp"
#include "harness.hpp"

namespace {

constexpr std::size_t dimension = 2'113'043;

/// u after a few steps, with gradients whose scale differs from tensor to tensor.
std::vector<float> realistic_update() {
  ams::Random random(1);
  ams::AdamState state(dimension);
  std::vector<float> w(dimension), g(dimension), u(dimension);
  for (int step = 0; step < 5; ++step) {
    for (std::size_t j = 0; j < dimension; ++j) {
      const double scale = std::ldexp(1.0, -static_cast<int>(j / 40000 % 20));
      g[j] = static_cast<float>(scale * (random.uniform() + random.uniform() - 0.9));
    }
    adam_step(state, {}, ams::CoordinateSet::all(dimension), w, g);
  }
  adam_update(state, {}, u);
  return u;
}

std::vector<std::uint32_t> by_nth_element(const std::vector<float>& u, std::size_t count) {
  std::vector<float> magnitudes(u.size());
  std::transform(u.begin(), u.end(), magnitudes.begin(), [](float x) { return std::fabs(x); });
  const auto nth = magnitudes.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(magnitudes.begin(), nth, magnitudes.end(), std::greater<float>());
  std::vector<std::uint32_t> out;
  out.reserve(count);
  for (std::size_t j = 0; j < u.size(); ++j) {
    if (std::fabs(u[j]) >= *nth) out.push_back(static_cast<std::uint32_t>(j));
  }
  return out;
}

std::vector<std::uint32_t> by_sort(const std::vector<float>& u, std::size_t count) {
  std::vector<std::uint32_t> order(u.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return std::fabs(u[a]) > std::fabs(u[b]); });
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

int main() {
  using namespace ams::benchmark;
  const std::vector<std::vector<float>> updates(12, realistic_update());
  std::size_t turn = 0;
  const auto next = [&]() -> const std::vector<float>& { return updates[++turn % updates.size()]; };

  print_header("Choice of coordinates among 2,113,043, one core, caches cold");
  for (const int percent : {1, 5, 20}) {
    const std::size_t count = ams::fraction_count(percent / 100.0, dimension);
    const double ours =
        median_seconds([&] { keep(ams::largest_by_magnitude(next(), count).indices().data()); });
    const double floor = 4.0 * static_cast<double>(dimension + count) / memory_bytes_per_second();
    const std::string what = "largest_by_magnitude, " + std::to_string(percent) + "%";
    print_row({what, ours, "std::nth_element of |u|",
               median_seconds([&] { keep(by_nth_element(next(), count).data()); }), floor, ""});
    if (percent != 5) continue;
    print_row({what, ours, "std::sort of indices",
               median_seconds([&] { keep(by_sort(next(), count).data()); }, 3, 0), floor, ""});
  }

  const std::size_t count = ams::fraction_count(0.05, dimension);
  ams::Random random(2);
  const double ours = median_seconds(
      [&] { keep(ams::random_coordinates(dimension, count, random).indices().data()); });
  std::vector<std::uint32_t> order(dimension);
  const double shuffle = median_seconds([&] {
    std::iota(order.begin(), order.end(), 0U);
    for (std::size_t j = 0; j < count; ++j)
      std::swap(order[j], order[j + random.below(dimension - j)]);
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
    keep(order.data());
  });
  print_row({"random_coordinates, 5%", ours, "partial shuffle and sort", shuffle,
             static_cast<double>(dimension / 8 + 4 * count) / memory_bytes_per_second(), ""});
  return 0;
}
