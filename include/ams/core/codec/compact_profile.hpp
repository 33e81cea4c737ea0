// Differences against what the device holds, in steps of a power of two, under an adaptive range
// coder that remembers from update to update how often and how far each coordinate moves.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "ams/core/codec/compact_state.hpp"
#include "ams/core/codec/model_state_access.hpp"
#include "ams/core/codec/profile.hpp"
#include "ams/core/error.hpp"
#include "ams/core/exact_math.hpp"
#include "ams/core/format.hpp"

namespace ams::detail {

namespace compact {

/// Largest |q|: with it, q * step is exact in float32, so that held + q * step is rounded once.
inline constexpr std::uint32_t max_steps = 1U << 24;

/// Magnitudes up to here are counted one by one; what is beyond is written by its number of bits.
inline constexpr std::uint32_t counted_steps = 14;

/// Where the prediction of a first step begins.
inline constexpr int usual_step_exponent = -7;

/// Both directions of the coder behind one interface, so that the format is written down once: each
/// call takes what an encoder wants to say and returns what is said.
class Writer {
 public:
  static constexpr bool reads = false;
  explicit Writer(std::vector<std::byte>& bytes) : coder_(bytes) {}
  bool bit(AdaptiveBit& context, bool value) {
    coder_.code(context, value);
    return value;
  }
  bool even_bit(bool value) {
    coder_.code_even(value);
    return value;
  }
  void finish() { coder_.finish(); }

 private:
  RangeEncoder coder_;
};

class Reader {
 public:
  static constexpr bool reads = true;
  explicit Reader(std::span<const std::byte> bytes) : coder_(bytes) {}
  bool bit(AdaptiveBit& context, bool) { return coder_.decode(context); }
  bool even_bit(bool) { return coder_.decode_even(); }
  void finish() {
    if (!coder_.used_all()) {
      throw Error(ErrorCode::malformed_data, "bytes came behind the last value of the update");
    }
  }

 private:
  RangeDecoder coder_;
};

/// 0 for none, then 1, 2, 3 to 4, 5 to 8, 9 and more.
inline unsigned magnitude_class(std::uint32_t steps) {
  return std::min<unsigned>(static_cast<unsigned>(std::bit_width(steps - 1)) + 1, 5);
}

inline std::uint8_t history_of_still(std::uint8_t h) {
  return static_cast<std::uint8_t>(((h << 1) & 0xe0) | (h & 0x0f));
}

inline std::uint8_t history_of_moved(std::uint8_t h, std::int32_t q) {
  const auto steps = static_cast<std::uint32_t>(std::abs(q));
  return static_cast<std::uint8_t>(((h << 1) & 0xe0) | 0x10 | (magnitude_class(steps) << 1) |
                                   (q < 0 ? 1 : 0));
}

/// |q| of a coordinate that moves, at least 1.
template <class Coder>
std::uint32_t code_steps(Coder& coder, AdaptiveBit* contexts, std::uint8_t h, std::uint32_t steps) {
  AdaptiveBit* const counts =
      contexts + ClassContexts::magnitude + (((h >> 1) & 7U) * 2 + ((h >> 4) & 1U)) * counted_steps;
  std::uint32_t counted = 1;
  while (counted <= counted_steps) {
    if (!coder.bit(counts[counted - 1], steps > counted)) return counted;
    ++counted;
  }
  // The rest, from 1: the number of its bits below the leading one, then these.
  const std::uint32_t rest = steps - counted_steps;
  const auto wanted = static_cast<std::uint32_t>(std::bit_width(rest)) - 1;
  std::uint32_t bits = 0;
  while (coder.bit(contexts[ClassContexts::exponent + bits], bits < wanted)) {
    if (++bits == 24) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("a value moves by more than {} steps", max_steps));
    }
  }
  std::uint32_t value = 1;
  for (std::uint32_t i = bits; i-- > 0;) {
    value = value << 1 | (coder.even_bit(((rest >> i) & 1U) != 0) ? 1U : 0U);
  }
  if (value > max_steps - counted_steps) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("a value moves by more than {} steps", max_steps));
  }
  return value + counted_steps;
}

/// The context of whether a coordinate moves. One that did lately is judged by its own history; for
/// the others it tells more whether the two before it (bit 0: the nearer) move in this update.
inline std::size_t moved_context(std::uint8_t h, unsigned neighbours) {
  return (h & 0xf0) != 0 ? ClassContexts::moves + (h >> 1)
                         : ClassContexts::wakes + (h >> 1) * 4U + neighbours;
}

/// The steps by which each coordinate of one tensor moves. `steps(i)` says by how many an encoder
/// wants to move the i-th (a decoder is not asked), and moved(i, q) is told of those that do.
template <class Coder, class Steps, class Moved>
void code_tensor(Coder& coder, TensorClass tensor_class, AdaptiveBit* contexts,
                 std::span<std::uint8_t> history, const Steps& steps, const Moved& moved) {
  // Neighbours in a vector are channels, which have nothing to do with each other.
  const unsigned neighbour_mask = tensor_class == TensorClass::matrix ? 3 : 0;
  unsigned neighbours = 0;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const std::uint8_t h = history[i];
    std::int32_t wanted = 0;
    if constexpr (!Coder::reads) wanted = steps(i);
    const bool moves =
        coder.bit(contexts[moved_context(h, neighbours & neighbour_mask)], wanted != 0);
    neighbours = neighbours << 1 | (moves ? 1U : 0U);
    if (!moves) {
      history[i] = history_of_still(h);
      continue;
    }
    const bool ever = (h & 0x0e) != 0;
    AdaptiveBit& sign =
        contexts[ClassContexts::sign + (ever ? 1U + 2U * ((h >> 4) & 3U) + (h & 1U) : 0U)];
    const bool negative = coder.bit(sign, wanted < 0);
    const auto magnitude = static_cast<std::int32_t>(
        code_steps(coder, contexts, h, static_cast<std::uint32_t>(std::abs(wanted))));
    const std::int32_t q = negative ? -magnitude : magnitude;
    history[i] = history_of_moved(h, q);
    moved(i, q);
  }
}

/// Step exponents, predicted: a tensor's step changes as that of the tensor before it did.
class StepCoder {
 public:
  template <class Coder>
  int code(Coder& coder, AdaptiveBit* shared, CompactState::Tensor& tensor, int wanted) {
    const int predicted = tensor.known ? std::clamp(tensor.step_exponent + change_,
                                                    min_step_exponent, max_step_exponent)
                                       : latest_;
    const int exponent = predicted + code_difference(coder, shared, wanted - predicted);
    if (exponent < min_step_exponent || exponent > max_step_exponent) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("a step of 2^{} came; exponents {} to {} are allowed", exponent,
                              min_step_exponent, max_step_exponent));
    }
    if (tensor.known) change_ = exponent - tensor.step_exponent;
    latest_ = exponent;
    tensor.step_exponent = static_cast<std::int8_t>(exponent);
    tensor.known = true;
    return exponent;
  }

 private:
  template <class Coder>
  static int code_difference(Coder& coder, AdaptiveBit* shared, int wanted) {
    if (!coder.bit(shared[SharedContexts::step_differs], wanted != 0)) return 0;
    const bool finer = coder.bit(shared[SharedContexts::step_is_finer], wanted < 0);
    int distance = 1;
    for (std::size_t counted = 0;
         distance <= max_step_exponent - min_step_exponent &&
         coder.bit(shared[SharedContexts::step_distance + std::min<std::size_t>(counted, 3)],
                   std::abs(wanted) > distance);
         ++counted) {
      ++distance;
    }
    return finer ? -distance : distance;
  }

  int change_ = 0;
  int latest_ = usual_step_exponent;
};

/// A whole body. `plan(t)` gives an encoder's wishes for tensor t: none, or its step exponent and a
/// function that gives the steps of its coordinates.
template <class Coder, class Plan>
Changes code_body(Coder& coder, const ModelState& held, const Plan& plan) {
  const Manifest& manifest = held.manifest();
  const auto& before = ModelStateAccess::compact(held);
  auto state =
      before ? std::make_shared<CompactState>(*before) : std::make_shared<CompactState>(manifest);
  std::vector<std::uint32_t> indices;
  std::vector<float> values;
  StepCoder steps;
  bool neighbour = false;
  for (std::size_t t = 0; t < manifest.tensors().size(); ++t) {
    const TensorSpec& spec = manifest.tensors()[t];
    CompactState::Tensor& tensor = state->tensors[t];
    const auto wish = plan(t);
    AdaptiveBit* const shared = state->shared_contexts();
    const std::size_t context = (tensor.took_part ? 2U : 0U) + (neighbour ? 1U : 0U);
    tensor.took_part = neighbour =
        coder.bit(shared[SharedContexts::takes_part + context], wish.has_value());
    if (!tensor.took_part) continue;
    const int exponent = steps.code(coder, shared, tensor, wish ? wish->exponent : 0);
    const float step = std::ldexp(1.0F, exponent);
    code_tensor(
        coder, tensor_class(spec), state->class_contexts(tensor_class(spec)),
        std::span(state->history).subspan(spec.offset, spec.size),
        [&](std::size_t i) { return wish->steps[i]; },
        [&](std::size_t i, std::int32_t q) {
          const std::size_t coordinate = spec.offset + i;
          indices.push_back(static_cast<std::uint32_t>(coordinate));
          values.push_back(held.values()[coordinate] + rounded(static_cast<float>(q) * step));
        });
  }
  coder.finish();
  state->update_digest(manifest);
  return {CoordinateSet::from_sorted(manifest.dimension(), std::move(indices)), std::move(values),
          std::move(state)};
}

// ---- encoding ----

/// The groups whose steps are chosen: the roles, and all statistics.
inline constexpr std::size_t group_count = 4;
inline constexpr std::size_t weight_group = static_cast<std::size_t>(TensorRole::weight);
inline constexpr std::size_t statistic_group = 3;

inline std::size_t group_of(const TensorSpec& tensor) {
  return tensor.kind == TensorKind::statistic ? statistic_group
                                              : static_cast<std::size_t>(tensor.role);
}

inline std::array<std::optional<int>, group_count> chosen_exponents(const CompactOptions& options) {
  const auto& e = options.step_exponents;
  return {e.weight, e.normalization, e.head, e.statistic};
}

/// Exponent of the power of two that is nearest to x > 0 in its logarithm, within the range of
/// exponents.
inline int nearest_exponent(double x) {
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);  // in [1/2, 1)
  if (mantissa * mantissa < 0.5) --exponent;         // nearer to 2^(exponent - 1)
  return std::clamp(exponent, min_step_exponent, max_step_exponent);
}

class Square {
 public:
  void add(double difference) {
    sum_ += rounded(difference * difference);
    ++count_;
  }
  /// Above 0, so that it has a logarithm.
  double root_mean() const {
    const double mean = sum_ / static_cast<double>(std::max<std::size_t>(count_, 1));
    return std::max(std::sqrt(mean), 0x1p-150);
  }

 private:
  double sum_ = 0;
  std::size_t count_ = 0;
};

struct Wish {
  int exponent = 0;
  std::vector<std::int32_t> steps;  // one a coordinate of the tensor
};

class Encoding {
 public:
  Encoding(const ModelState& held, std::span<const float> trained, const CoordinateSet& coordinates,
           const CompactOptions& options)
      : held_(held),
        trained_(trained),
        coordinates_(coordinates),
        chosen_(chosen_exponents(options)),
        relative_step_(options.relative_step),
        dead_zone_(options.dead_zone) {
    std::array<Square, group_count> squares;
    for (std::size_t t = 0; t < held.manifest().tensors().size(); ++t) {
      Square& square = squares[group_of(held.manifest().tensors()[t])];
      for_each_in(t, [&](std::size_t, double difference) { square.add(difference); });
    }
    for (std::size_t group = 0; group < group_count; ++group) {
      const double times = group == weight_group ? options.weight_step_multiplier : 1;
      exponents_[group] =
          chosen_[group]
              ? *chosen_[group]
              : nearest_exponent(times * options.relative_step * squares[group].root_mean());
    }
  }

  /// None when no coordinate of the tensor is to move.
  std::optional<Wish> operator()(std::size_t t) const {
    const TensorSpec& spec = held_.manifest().tensors()[t];
    double largest = 0;
    Square square;
    for_each_in(t, [&](std::size_t, double difference) {
      largest = std::max(largest, std::abs(difference));
      square.add(difference);
    });
    const std::size_t group = group_of(spec);
    Wish wish;
    wish.exponent = group == statistic_group && !chosen_[group]
                        ? nearest_exponent(relative_step_ / 16 * square.root_mean())
                        : exponents_[group];
    while (wish.exponent < max_step_exponent &&
           largest > std::ldexp(max_steps - 1.0, wish.exponent)) {
      ++wish.exponent;
    }
    const double scale = std::ldexp(1.0, -wish.exponent);
    const double dead_zone = group == statistic_group ? 0.5 : dead_zone_;
    if (largest * scale < dead_zone) return std::nullopt;
    wish.steps.resize(spec.size);
    for_each_in(t, [&](std::size_t i, double difference) {
      if (std::abs(difference) * scale < dead_zone) return;
      const auto steps = static_cast<std::int32_t>(
          std::min(std::floor(rounded(std::abs(difference) * scale) + 0.5), max_steps - 1.0));
      wish.steps[i] = difference < 0 ? -steps : steps;
    });
    return wish;
  }

 private:
  /// Calls f(place in the tensor, difference) for the coordinates of the set that lie in tensor t.
  template <class F>
  void for_each_in(std::size_t t, F&& f) const {
    const TensorSpec& spec = held_.manifest().tensors()[t];
    const auto visit = [&](std::size_t coordinate) {
      const std::size_t i = coordinate - spec.offset;
      if (!std::isfinite(trained_[coordinate])) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("value {} of tensor '{}' is {}; every value must be finite", i,
                                spec.name, trained_[coordinate]));
      }
      f(i, static_cast<double>(trained_[coordinate]) -
               static_cast<double>(held_.values()[coordinate]));
    };
    const std::size_t end = spec.offset + spec.size;
    if (coordinates_.is_all()) {
      for (std::size_t c = spec.offset; c < end; ++c) visit(c);
      return;
    }
    const auto indices = coordinates_.indices();
    for (auto at = std::lower_bound(indices.begin(), indices.end(), spec.offset);
         at != indices.end() && *at < end; ++at) {
      visit(*at);
    }
  }

  const ModelState& held_;
  std::span<const float> trained_;
  const CoordinateSet& coordinates_;
  std::array<std::optional<int>, group_count> chosen_;
  double relative_step_;
  double dead_zone_;
  std::array<int, group_count> exponents_{};
};

/// Throws Error(code) when a value has left the range of float32.
inline void check_finite(const Changes& changes, const Manifest& manifest, ErrorCode code) {
  const auto bad = std::find_if_not(changes.values.begin(), changes.values.end(),
                                    [](float value) { return std::isfinite(value); });
  if (bad == changes.values.end()) return;
  const std::size_t at = static_cast<std::size_t>(bad - changes.values.begin());
  const std::size_t coordinate =
      changes.coordinates.is_all() ? at : changes.coordinates.indices()[at];
  throw Error(code, fmt::format("a value of tensor '{}' would be {}; every value must be finite",
                                manifest.tensors()[manifest.tensor_of(coordinate)].name, *bad));
}

inline Changes encode_body(const ModelState& held, std::span<const float> trained,
                           const CoordinateSet& coordinates, const EncodeOptions& options,
                           std::vector<std::byte>& bytes) {
  const Encoding encoding(held, trained, coordinates, options.compact);
  Writer writer(bytes);
  Changes changes = code_body(writer, held, encoding);
  check_finite(changes, held.manifest(), ErrorCode::invalid_argument);
  return changes;
}

inline Changes decode_body(const ModelState& held, std::span<const std::byte> body, std::size_t) {
  Reader reader(body);
  Changes changes = code_body(reader, held, [](std::size_t) { return std::optional<Wish>(); });
  check_finite(changes, held.manifest(), ErrorCode::malformed_data);
  return changes;
}

}  // namespace compact

inline constexpr Profile compact_profile = {UpdateProfile::compact, Envelope::lean,
                                            compact::encode_body, compact::decode_body};

}  // namespace ams::detail
