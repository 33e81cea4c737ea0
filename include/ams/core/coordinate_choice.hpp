#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/random.hpp"

namespace ams {

/// The `count` coordinates of largest |update|; among equals the lower index wins, so that the
/// result is the same on every machine. Values that are not numbers rank above infinity, as equals.
/// O(n), whatever the values and their order. Throws Error(invalid_argument) unless count <=
/// update.size().
CoordinateSet largest_by_magnitude(std::span<const float> update, std::size_t count);

/// `count` coordinates below `dimension`, uniformly without replacement. O(dimension).
/// Throws Error(invalid_argument) unless count <= dimension.
CoordinateSet random_coordinates(std::size_t dimension, std::size_t count, Random& random);

/// gamma * dimension, rounded to nearest, at least 1 (0 for dimension 0).
/// Throws Error(invalid_argument) unless gamma is in (0, 1].
std::size_t fraction_count(double gamma, std::size_t dimension);

namespace detail::choice {

/// 31 bits that order as magnitudes do. All values that are not numbers share one key, the highest.
inline std::uint32_t magnitude_key(float value) {
  constexpr std::uint32_t not_a_number = 0x7f800001;
  return std::min(std::bit_cast<std::uint32_t>(value) & 0x7fffffffU, not_a_number);
}

/// Where the rank-th largest of some keys is: in `bin`, with `above` keys in higher bins.
struct Place {
  std::uint32_t bin;
  std::size_t above;
  std::size_t count;  ///< keys in the bin
};

template <std::size_t Bins>
Place place_of_rank(const std::array<std::uint32_t, Bins>& histogram, std::size_t rank) {
  std::size_t above = 0;
  for (std::size_t bin = Bins; bin-- > 0;) {
    if (above + histogram[bin] >= rank) {
      return {static_cast<std::uint32_t>(bin), above, histogram[bin]};
    }
    above += histogram[bin];
  }
  return {0, above, 0};
}

inline constexpr int coarse_shift =
    20;  // 31 bits: 11 for the first histogram, 10 for each of the others

inline Place coarse_place(std::span<const float> values, std::size_t rank) {
  // Neighbours often fall into the same bin. Four histograms, so that a count need not wait for the
  // last.
  std::array<std::array<std::uint32_t, 2048>, 4> lanes{};
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      ++lanes[lane][magnitude_key(values[i + lane]) >> coarse_shift];
    }
  }
  for (; i < values.size(); ++i) ++lanes[0][magnitude_key(values[i]) >> coarse_shift];
  for (std::size_t bin = 0; bin < lanes[0].size(); ++bin) {
    lanes[0][bin] += lanes[1][bin] + lanes[2][bin] + lanes[3][bin];
  }
  return place_of_rank(lanes[0], rank);
}

/// As above for 10 more bits, among the keys that begin with `prefix`.
inline Place fine_place(std::span<const std::uint32_t> keys, std::uint32_t prefix, int shift,
                        std::size_t rank) {
  std::array<std::uint32_t, 1024> histogram{};
  for (const std::uint32_t key : keys) {
    if (key >> (shift + 10) == prefix) ++histogram[(key >> shift) & 1023U];
  }
  return place_of_rank(histogram, rank);
}

}  // namespace detail::choice

inline CoordinateSet largest_by_magnitude(std::span<const float> update, std::size_t count) {
  if (count > update.size()) {
    detail::refuse(fmt::format("cannot choose {} of {} coordinates", count, update.size()));
  }
  if (count == update.size()) return CoordinateSet::all(update.size());
  if (count == 0) return CoordinateSet::from_sorted(update.size(), {});

  // Candidates: all coordinates from the bin of the count-th largest upwards. The write is
  // unconditional and the advance is not, because a branch on random data costs more than a store.
  const detail::choice::Place coarse = detail::choice::coarse_place(update, count);
  const std::uint32_t lowest_key = coarse.bin << detail::choice::coarse_shift;
  std::vector<std::uint32_t> chosen(coarse.above + coarse.count + 1);
  std::size_t candidates = 0;
  for (std::size_t i = 0; i < update.size(); ++i) {
    chosen[candidates] = static_cast<std::uint32_t>(i);
    candidates += detail::choice::magnitude_key(update[i]) >= lowest_key ? 1 : 0;
  }
  chosen.resize(candidates);

  std::vector<std::uint32_t> keys(candidates);
  for (std::size_t j = 0; j < candidates; ++j)
    keys[j] = detail::choice::magnitude_key(update[chosen[j]]);
  const std::size_t rank = count - coarse.above;
  const detail::choice::Place middle = detail::choice::fine_place(keys, coarse.bin, 10, rank);
  const std::uint32_t prefix = coarse.bin << 10 | middle.bin;
  const detail::choice::Place fine =
      detail::choice::fine_place(keys, prefix, 0, rank - middle.above);
  const std::uint32_t threshold = prefix << 10 | fine.bin;

  std::size_t equals =
      rank - middle.above - fine.above;  // how many of the threshold's equals are chosen
  std::size_t kept = 0;
  for (std::size_t j = 0; j < candidates; ++j) {
    if (keys[j] < threshold) continue;
    if (keys[j] == threshold) {
      if (equals == 0) continue;
      --equals;
    }
    chosen[kept++] = chosen[j];
  }
  chosen.resize(kept);
  return CoordinateSet::from_sorted(update.size(), std::move(chosen));
}

inline CoordinateSet random_coordinates(std::size_t dimension, std::size_t count, Random& random) {
  if (count > dimension)
    detail::refuse(fmt::format("cannot choose {} of {} coordinates", count, dimension));
  if (count == dimension) return CoordinateSet::all(dimension);
  // Floyd's sampling (Bentley and Floyd, CACM 1987): one draw a chosen coordinate, uniform over all
  // subsets.
  std::vector<std::uint64_t> taken(dimension / 64 + 1);
  const auto bit = [](std::size_t i) { return std::uint64_t{1} << (i % 64); };
  for (std::size_t last = dimension - count; last < dimension; ++last) {
    const std::size_t drawn = random.below(last + 1);
    const std::size_t chosen = (taken[drawn / 64] & bit(drawn)) != 0 ? last : drawn;
    taken[chosen / 64] |= bit(chosen);
  }
  std::vector<std::uint32_t> indices;
  indices.reserve(count);
  for (std::size_t word = 0; word < taken.size(); ++word) {
    for (std::uint64_t rest = taken[word]; rest != 0; rest &= rest - 1) {
      indices.push_back(
          static_cast<std::uint32_t>(64 * word + static_cast<std::size_t>(std::countr_zero(rest))));
    }
  }
  return CoordinateSet::from_sorted(dimension, std::move(indices));
}

inline std::size_t fraction_count(double gamma, std::size_t dimension) {
  if (!(gamma > 0 && gamma <= 1)) {
    detail::refuse(fmt::format("gamma is {}: more than 0 and at most 1 is allowed", gamma));
  }
  if (dimension == 0) return 0;
  const auto nearest =
      static_cast<std::size_t>(std::llround(gamma * static_cast<double>(dimension)));
  return std::clamp<std::size_t>(nearest, 1, dimension);
}

}  // namespace ams
