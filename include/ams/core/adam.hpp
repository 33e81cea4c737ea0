#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/exact_math.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// Where epsilon stands in the denominator of Adam's update.
enum class EpsilonPlacement : std::uint8_t {
  outside_root,  ///< sqrt(v / (1 - beta2^i)) + epsilon, as torch.optim.Adam
  inside_root,   ///< sqrt(v + epsilon), as line 12 of Algorithm 2 is printed
};

/// How much faster than learning_rate the tensors of each role learn (TensorRole): (0, 1e6] each.
struct LearningRateMultipliers {
  double weight = 1;
  double normalization = 1;
  double head = 1;
};

/// Adam's hyper-parameters; the defaults are the paper's (section 4.1).
struct AdamOptions {
  double learning_rate = 1e-3;  ///< alpha, > 0 and at most 1e6
  double beta1 = 0.9;           ///< [0, 1), and below 1 as a float
  double beta2 = 0.999;         ///< [0, 1), and below 1 as a float
  double epsilon = 1e-8;        ///< [1e-30, 1e6]
  EpsilonPlacement epsilon_placement = EpsilonPlacement::outside_root;

  /// They work through learning_rate_ranges(): whoever calls adam_step without these has one rate
  /// for all.
  LearningRateMultipliers multipliers = {};
};

/// The coordinates from begin to end - 1 learn `multiplier` times as fast as the others.
struct LearningRateRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  double multiplier = 1;
  friend bool operator==(const LearningRateRange&, const LearningRateRange&) = default;
};

/// The learning rates of a manifest's coordinates, as adam_step() takes them: options.multipliers
/// by role, times tensor_scales. Ascending ranges; neighbours of one multiplier are joined, those
/// of multiplier 1 left out. tensor_scales: one for each tensor, in (0, 1], or none. Throws
/// Error(invalid_argument) on options or scales out of range.
std::vector<LearningRateRange> learning_rate_ranges(const Manifest& manifest,
                                                    const AdamOptions& options,
                                                    std::span<const double> tensor_scales = {});

/// Adam's memory of one parameter vector: plain, can be copied, moved and saved. It outlives
/// training phases: moments and the global step count persist (Algorithm 2, lines 4, 5 and 11).
struct AdamState {
  std::vector<float> first_moment;   ///< m, one value a coordinate
  std::vector<float> second_moment;  ///< v, one value a coordinate
  std::int64_t step_count = 0;       ///< i, over all phases

  AdamState() = default;
  explicit AdamState(std::size_t dimension) : first_moment(dimension), second_moment(dimension) {}
};

/// Largest |gradient| that adam_step takes: its square, and so every moment, is finite in float32.
inline constexpr float max_gradient_magnitude = 1e18F;

/// One iteration of Algorithm 2 (lines 9 to 13): the moments of all coordinates follow the
/// gradient, and those parameters that `coordinates` names move. In place, no allocation,
/// O(dimension). parameters, gradients: as many values as the state has, in memory of their own. A
/// gradient may be absent for a whole tensor that no strategy asks for: pass zeros there; the
/// moments of a coordinate whose gradients are all zero stay zero, and its parameter stays where it
/// is. ranges: where the learning rate is another one; ascending, not empty, without overlap,
/// within the state's coordinates. u is the same product with learning_rate * multiplier in place
/// of learning_rate, so a multiplier of 1 changes nothing, bit for bit. One gradient that is not a
/// number would spoil its moments for all phases to come. So this throws Error(invalid_argument),
/// with nothing changed, when a |gradient| is over max_gradient_magnitude or not a number, and on
/// sizes that differ, or options or ranges that are not as said here. Arithmetic is float32 with
/// one rounding an operation, the same bit for bit on every machine (as long as nobody has told the
/// processor to flush denormals or to round otherwise); at coordinates = all it is Adam. Not
/// thread-safe for one state.
void adam_step(AdamState& state, const AdamOptions& options, const CoordinateSet& coordinates,
               std::span<float> parameters, std::span<const float> gradients,
               std::span<const LearningRateRange> ranges = {});

/// u of the latest iteration for all coordinates (line 12), from the moments: the vector by which
/// the next phase chooses its coordinates. All zeros before the first step. `update` has as many
/// values as the state. Throws Error(invalid_argument) on sizes that differ, or options or ranges
/// out of range.
void adam_update(const AdamState& state, const AdamOptions& options, std::span<float> update,
                 std::span<const LearningRateRange> ranges = {});

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const AdamOptions& options);

namespace detail::adam {

inline constexpr std::int64_t max_step_count = std::int64_t{1} << 62;

/// base^exponent by multiplications alone: std::pow may differ in the last bit between C libraries.
inline double power(double base, std::int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return rounded(result);
}

/// What one iteration's arithmetic needs, rounded to float once.
struct MomentFactors {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;

  explicit MomentFactors(const AdamOptions& o)
      : beta1(static_cast<float>(o.beta1)),
        one_minus_beta1(static_cast<float>(1 - o.beta1)),
        beta2(static_cast<float>(o.beta2)),
        one_minus_beta2(static_cast<float>(1 - o.beta2)) {}
};

/// u = rate * (m / (sqrt(v + inner) + outer)). With the bias corrections c1 = 1 - beta1^i and
/// c2 = 1 - beta2^i, the rate alpha * sqrt(c2) / c1 of line 12 serves both placements of epsilon:
/// alpha / c1 * m / (sqrt(v / c2) + epsilon) is the same with outer = epsilon * sqrt(c2).
struct UpdateFactors {
  float rate, inner = 0, outer = 0;

  UpdateFactors(const AdamOptions& o, std::int64_t step, double multiplier = 1) {
    const double root = std::sqrt(1 - power(o.beta2, step));
    rate = static_cast<float>(o.learning_rate * multiplier * root / (1 - power(o.beta1, step)));
    (o.epsilon_placement == EpsilonPlacement::inside_root ? inner : outer) = static_cast<float>(
        o.epsilon_placement == EpsilonPlacement::inside_root ? o.epsilon : o.epsilon * root);
  }
};

// What follows does the same to one float as to each element of a vector of them.

/// Lines 10 and 11: m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2.
template <class T>
[[gnu::always_inline]] inline void follow(T& m, T& v, const T& g, const MomentFactors& f) {
  T old_m = f.beta1 * m, new_m = f.one_minus_beta1 * g;
  T old_v = f.beta2 * v, new_v = f.one_minus_beta2 * (g * g);
  round_now(old_m);
  round_now(new_m);
  round_now(old_v);
  round_now(new_v);
  m = old_m + new_m;
  v = old_v + new_v;
}

/// Line 12: u.
template <class T>
[[gnu::always_inline]] inline void update_of(T& u, const T& m, const T& v, const UpdateFactors& f) {
  T root = v + f.inner;
  take_root(root);
  u = f.rate * (m / (root + f.outer));
  round_now(u);
}

struct UpdateMoments {
  float* m;
  float* v;
  const float* g;
  MomentFactors factors;

  template <class T>
  [[gnu::always_inline]] void at(std::size_t i) const {
    T some_m, some_v, some_g;
    load(some_m, m + i);
    load(some_v, v + i);
    load(some_g, g + i);
    follow(some_m, some_v, some_g, factors);
    store(m + i, some_m);
    store(v + i, some_v);
  }
};

struct UpdateMomentsAndParameters {
  float* m;
  float* v;
  float* w;
  const float* g;
  MomentFactors moment_factors;
  UpdateFactors update_factors;

  template <class T>
  [[gnu::always_inline]] void at(std::size_t i) const {
    T some_m, some_v, some_w, some_g, u;
    load(some_m, m + i);
    load(some_v, v + i);
    load(some_w, w + i);
    load(some_g, g + i);
    follow(some_m, some_v, some_g, moment_factors);
    update_of(u, some_m, some_v, update_factors);
    some_w -= u;
    store(m + i, some_m);
    store(v + i, some_v);
    store(w + i, some_w);
  }
};

struct ComputeUpdate {
  const float* m;
  const float* v;
  float* u;
  UpdateFactors factors;

  template <class T>
  [[gnu::always_inline]] void at(std::size_t i) const {
    T some_m, some_v, some_u;
    load(some_m, m + i);
    load(some_v, v + i);
    update_of(some_u, some_m, some_v, factors);
    store(u + i, some_u);
  }
};

/// Lines 12 and 13 at the given places. Their moments are gathered first, so that roots and
/// quotients are taken several at a time.
inline void move_parameters(std::span<const std::uint32_t> indices, const float* m, const float* v,
                            float* w, UpdateFactors u) {
  constexpr std::size_t batch = 128;
  std::array<float, batch> some_m, some_v, some_u;
  for (std::size_t begin = 0; begin < indices.size(); begin += batch) {
    const std::size_t count = std::min(batch, indices.size() - begin);
    for (std::size_t j = 0; j < count; ++j) {
      some_m[j] = m[indices[begin + j]];
      some_v[j] = v[indices[begin + j]];
    }
    for_each_float(ComputeUpdate{some_m.data(), some_v.data(), some_u.data(), u}, count);
    for (std::size_t j = 0; j < count; ++j) w[indices[begin + j]] -= some_u[j];
  }
}

/// Calls f(begin, end, factors) for pieces that cover 0 to dimension - 1, each of one learning
/// rate.
template <class F>
void for_each_rate(const AdamOptions& options, std::int64_t step, std::size_t dimension,
                   std::span<const LearningRateRange> ranges, F&& f) {
  const UpdateFactors common(options, step);
  std::size_t done = 0;
  for (const LearningRateRange& range : ranges) {
    if (done < range.begin) f(done, range.begin, common);
    f(range.begin, range.end, UpdateFactors(options, step, range.multiplier));
    done = range.end;
  }
  if (done < dimension) f(done, dimension, common);
}

inline void check_multiplier(const char* what, double value) {
  if (!(value > 0 && value <= 1e6)) {
    refuse(
        fmt::format("the learning rate's multiplier of {} is {}: more than 0 and at most 1e6 is "
                    "allowed",
                    what, value));
  }
}

inline void check_ranges(std::span<const LearningRateRange> ranges, std::size_t dimension) {
  std::size_t done = 0;
  for (const LearningRateRange& range : ranges) {
    if (range.begin < done || range.end <= range.begin || range.end > dimension) {
      refuse(
          fmt::format("a learning rate's range from {} to {}: ascending, not empty and up to {} "
                      "is allowed",
                      range.begin, range.end, dimension));
    }
    check_multiplier("a range", range.multiplier);
    done = range.end;
  }
}

inline void check_state(const AdamState& state) {
  if (state.first_moment.size() != state.second_moment.size()) {
    refuse(fmt::format("Adam's state has {} first and {} second moments: equal numbers are allowed",
                       state.first_moment.size(), state.second_moment.size()));
  }
  if (state.step_count < 0 || state.step_count > max_step_count) {
    refuse(fmt::format("Adam's step count is {}: 0 to {} is allowed", state.step_count,
                       max_step_count));
  }
}

inline void check_size(const char* what, std::size_t size, const AdamState& state) {
  if (size != state.first_moment.size()) {
    refuse(fmt::format("{} values of {} for an Adam state of {} coordinates", size, what,
                       state.first_moment.size()));
  }
}

[[noreturn]] inline void refuse_gradient(std::span<const float> gradients) {
  const auto bad = std::find_if(gradients.begin(), gradients.end(),
                                [](float g) { return !(std::fabs(g) <= max_gradient_magnitude); });
  refuse(fmt::format("the gradient of coordinate {} is {}: magnitudes up to {} are allowed",
                     bad - gradients.begin(), *bad, max_gradient_magnitude));
}

inline void check_range(const char* what, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    refuse(fmt::format("{} is {}: {} to {} is allowed", what, value, low, high));
  }
}

inline void check_beta(const char* what, double value) {
  if (!(value >= 0 && static_cast<float>(value) < 1)) {
    refuse(fmt::format("{} is {}: at least 0 and less than 1 is allowed", what, value));
  }
}

}  // namespace detail::adam

inline void validate(const AdamOptions& options) {
  if (!(options.learning_rate > 0 && options.learning_rate <= 1e6)) {
    detail::refuse(fmt::format("learning_rate is {}: more than 0 and at most 1e6 is allowed",
                               options.learning_rate));
  }
  detail::adam::check_beta("beta1", options.beta1);
  detail::adam::check_beta("beta2", options.beta2);
  detail::adam::check_range("epsilon", options.epsilon, 1e-30, 1e6);
  detail::adam::check_multiplier("weight", options.multipliers.weight);
  detail::adam::check_multiplier("normalization", options.multipliers.normalization);
  detail::adam::check_multiplier("head", options.multipliers.head);
  if (options.epsilon_placement != EpsilonPlacement::outside_root &&
      options.epsilon_placement != EpsilonPlacement::inside_root) {
    detail::refuse(
        fmt::format("epsilon_placement is {}: outside_root (0) and inside_root (1) are allowed",
                    static_cast<int>(options.epsilon_placement)));
  }
}

inline std::vector<LearningRateRange> learning_rate_ranges(const Manifest& manifest,
                                                           const AdamOptions& options,
                                                           std::span<const double> tensor_scales) {
  validate(options);
  const auto tensors = manifest.tensors();
  if (!tensor_scales.empty() && tensor_scales.size() != tensors.size()) {
    detail::refuse(
        fmt::format("{} scales of learning rates for {} tensors: one for each is allowed",
                    tensor_scales.size(), tensors.size()));
  }
  std::vector<LearningRateRange> ranges;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const TensorSpec& tensor = tensors[t];
    const double scale = tensor_scales.empty() ? 1 : tensor_scales[t];
    if (!(scale > 0 && scale <= 1)) {
      detail::refuse(
          fmt::format("the learning rate's scale of tensor {} is {}: above 0, up to 1 is "
                      "allowed",
                      tensor.name, scale));
    }
    const double of_role = tensor.role == TensorRole::normalization
                               ? options.multipliers.normalization
                           : tensor.role == TensorRole::head ? options.multipliers.head
                                                             : options.multipliers.weight;
    const double multiplier = of_role * scale;
    if (multiplier == 1) continue;
    const std::size_t end = tensor.offset + tensor.size;
    if (!ranges.empty() && ranges.back().end == tensor.offset &&
        ranges.back().multiplier == multiplier) {
      ranges.back().end = end;
    } else {
      ranges.push_back({tensor.offset, end, multiplier});
    }
  }
  return ranges;
}

inline void adam_step(AdamState& state, const AdamOptions& options,
                      const CoordinateSet& coordinates, std::span<float> parameters,
                      std::span<const float> gradients, std::span<const LearningRateRange> ranges) {
  validate(options);
  detail::adam::check_state(state);
  detail::adam::check_size("parameters", parameters.size(), state);
  detail::adam::check_size("gradients", gradients.size(), state);
  detail::adam::check_size("the coordinates' dimension", coordinates.dimension(), state);
  detail::adam::check_ranges(ranges, state.first_moment.size());
  if (!detail::all_within(gradients, max_gradient_magnitude)) {
    detail::adam::refuse_gradient(gradients);
  }

  const std::size_t dimension = gradients.size();
  float* const m = state.first_moment.data();
  float* const v = state.second_moment.data();
  float* const w = parameters.data();
  const float* const g = gradients.data();
  const detail::adam::MomentFactors factors(options);
  ++state.step_count;

  std::span<const std::uint32_t> rest = coordinates.indices();
  detail::adam::for_each_rate(
      options, state.step_count, dimension, ranges,
      [&](std::size_t first, std::size_t last, const detail::adam::UpdateFactors& update) {
        if (coordinates.is_all()) {
          detail::for_each_float(
              detail::adam::UpdateMomentsAndParameters{m + first, v + first, w + first, g + first,
                                                       factors, update},
              last - first);
          return;
        }
        // Block by block, so that the chosen coordinates' moments are still in the cache,
        // and their parameters, far apart in memory, already are.
        constexpr std::size_t block = 4096;
        for (std::size_t begin = first; begin < last; begin += block) {
          const std::size_t end = std::min(last, begin + block);
          const auto here = static_cast<std::size_t>(
              std::lower_bound(rest.begin(), rest.end(), end) - rest.begin());
          for (const std::uint32_t index : rest.first(here)) {
            __builtin_prefetch(w + index, 1);
          }
          detail::for_each_float(
              detail::adam::UpdateMoments{m + begin, v + begin, g + begin, factors}, end - begin);
          detail::adam::move_parameters(rest.first(here), m, v, w, update);
          rest = rest.subspan(here);
        }
      });
}

inline void adam_update(const AdamState& state, const AdamOptions& options, std::span<float> update,
                        std::span<const LearningRateRange> ranges) {
  validate(options);
  detail::adam::check_state(state);
  detail::adam::check_size("the update", update.size(), state);
  detail::adam::check_ranges(ranges, update.size());
  if (state.step_count == 0) {
    std::fill(update.begin(), update.end(), 0.0F);
    return;
  }
  detail::adam::for_each_rate(
      options, state.step_count, update.size(), ranges,
      [&](std::size_t begin, std::size_t end, const detail::adam::UpdateFactors& factors) {
        detail::for_each_float(detail::adam::ComputeUpdate{state.first_moment.data() + begin,
                                                           state.second_moment.data() + begin,
                                                           update.data() + begin, factors},
                               end - begin);
      });
}

}  // namespace ams
