#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"
#include "update_reference.hpp"

/// A second reading of what docs/format.md says of profile `compact`: slow, plain, and sharing
/// nothing with the codec but the digests.
namespace ams::reference {

/// Number of a context in the order of the codec state.
using Context = std::size_t;

inline constexpr Context shared_contexts = 10;
inline constexpr Context class_contexts = 361;

/// What has been learned in one context, in integers as both ends do.
struct Learned {
  std::uint64_t fast = 0x80000000, slow = 0x80000000, seen = 0;

  std::uint64_t probability() const {
    const std::uint64_t mean = fast / 131072 + slow / 131072;
    return mean < 4 ? 4 : mean > 65532 ? 65532 : mean;
  }
  void learn(bool bit) {
    const std::uint64_t quick = seen < 16 ? seen : 16;
    const auto follow = [&](std::uint64_t& estimate, std::uint64_t n) {
      const std::uint64_t weight = 131072 / (2 * n + 3);
      if (bit) {
        estimate += (0xffffffff - estimate) * weight / 65536;
      } else {
        estimate -= estimate * weight / 65536;
      }
    };
    follow(fast, quick);
    follow(slow, seen);
    if (seen < 512) ++seen;
  }
};

/// The same in real numbers, without rounding or limits: what an ideal coder would work with.
struct Ideal {
  double fast = 0.5, slow = 0.5;
  int seen = 0;

  double bits(bool bit) const {
    const double p = (fast + slow) / 2;
    return -std::log2(bit ? p : 1 - p);
  }
  void learn(bool bit) {
    fast += ((bit ? 1 : 0) - fast) / (std::min(seen, 16) + 1.5);
    slow += ((bit ? 1 : 0) - slow) / (seen + 1.5);
    if (seen < 512) ++seen;
  }
};

/// The order of the bits in a body, and which context each has; and what is carried along, but for
/// the contexts themselves.
class CompactWalk {
 public:
  struct Past {
    std::array<bool, 4> moved{};  // the latest first
    std::uint64_t steps = 0;      // of the latest move
    bool down = false;
  };
  struct Tensor {
    int exponent = 0;
    bool known = false, took_part = false;
  };

  explicit CompactWalk(const Manifest& manifest)
      : past(manifest.dimension()), tensors(manifest.tensors().size()), manifest_(&manifest) {}

  /// bit(context, wanted) and even(wanted) return what is said; a reader ignores `wanted`.
  /// wanted(t) is null or exponent and steps of the tensor's coordinates. Gives the exponent and
  /// steps of each coordinate that moves, or nothing when the body is not valid.
  template <class Bit, class Even, class Wanted>
  std::optional<std::map<std::uint32_t, std::pair<int, std::int64_t>>> walk(Bit bit, Even even,
                                                                            Wanted wanted) {
    std::map<std::uint32_t, std::pair<int, std::int64_t>> moves;
    bool previous = false;
    int change = 0, latest = -7;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const TensorSpec& spec = manifest_->tensors()[t];
      Tensor& tensor = tensors[t];
      const auto* wish = wanted(t);
      const Context part = (tensor.took_part ? 2U : 0U) + (previous ? 1U : 0U);
      previous = tensor.took_part = bit(part, wish != nullptr);
      if (!previous) continue;

      int predicted = latest;
      if (tensor.known) predicted = std::min(104, std::max(-100, tensor.exponent + change));
      int difference = wish ? wish->first - predicted : 0;
      if (bit(4, difference != 0)) {
        const bool finer = bit(5, difference < 0);
        int distance = 1;
        while (distance < 205 && bit(static_cast<Context>(6 + std::min(distance - 1, 3)),
                                     std::abs(difference) > distance)) {
          ++distance;
        }
        difference = finer ? -distance : distance;
      } else {
        difference = 0;
      }
      const int exponent = predicted + difference;
      if (exponent < -100 || exponent > 104) return std::nullopt;
      if (tensor.known) change = exponent - tensor.exponent;
      latest = tensor.exponent = exponent;
      tensor.known = true;

      const std::size_t c = spec.kind == TensorKind::statistic ? 2 : spec.shape.size() < 2 ? 0 : 1;
      const Context first = shared_contexts + c * class_contexts;
      bool before = false, before_that = false;
      for (std::size_t i = 0; i < spec.size; ++i) {
        Past& p = past[spec.offset + i];
        const std::int64_t want = wish ? wish->second[i] : 0;
        const auto steps = code_coordinate(
            bit, even, first, p, want, c == 1 ? (before ? 1U : 0U) + (before_that ? 2U : 0U) : 0U);
        if (!steps) return std::nullopt;
        before_that = before;
        before = *steps != 0;
        for (std::size_t k = 3; k > 0; --k) p.moved[k] = p.moved[k - 1];
        p.moved[0] = before;
        if (!before) continue;
        p.steps = static_cast<std::uint64_t>(std::abs(*steps));
        p.down = *steps < 0;
        moves[static_cast<std::uint32_t>(spec.offset + i)] = {exponent, *steps};
      }
    }
    return moves;
  }

  std::vector<Past> past;
  std::vector<Tensor> tensors;

  std::uint8_t history(std::size_t i) const {
    const Past& p = past[i];
    unsigned byte = 2 * size_class(p.steps) + (p.down ? 1U : 0U);
    for (unsigned k = 0; k < 4; ++k) byte += p.moved[k] ? 16U << k : 0U;
    return static_cast<std::uint8_t>(byte);
  }

 private:
  static unsigned size_class(std::uint64_t steps) {
    return steps == 0 ? 0 : steps == 1 ? 1 : steps == 2 ? 2 : steps <= 4 ? 3 : steps <= 8 ? 4 : 5;
  }

  template <class Bit, class Even>
  static std::optional<std::int64_t> code_coordinate(Bit& bit, Even& even, Context first,
                                                     const Past& p, std::int64_t want,
                                                     unsigned neighbours) {
    const unsigned size = size_class(p.steps);
    const bool lately = p.moved[0] || p.moved[1] || p.moved[2] || p.moved[3];
    unsigned flags = 0;
    for (unsigned k = 0; k < 4; ++k) flags += p.moved[k] ? 1U << k : 0U;
    const Context moves = first + (lately ? 8 * flags + size : 128 + 4 * size + neighbours);
    if (!bit(moves, want != 0)) return 0;
    const Context sign = first + 160 + (size == 0 ? 0 : 1 + 2 * (flags % 4) + (p.down ? 1U : 0U));
    const bool down = bit(sign, want < 0);
    const std::int64_t wanted_steps = std::abs(want);
    std::int64_t steps = 1;
    for (; steps <= 14; ++steps) {
      const auto counted = static_cast<Context>(steps - 1);
      if (!bit(first + 169 + (2 * size + (p.moved[0] ? 1U : 0U)) * 14 + counted,
               wanted_steps > steps)) {
        return down ? -steps : steps;
      }
    }
    // steps is 15; the rest, wanted_steps - 14, has `bits` bits below its leading one.
    std::int64_t wanted_bits = 0;
    while (((wanted_steps - 14) >> (wanted_bits + 1)) > 0) ++wanted_bits;
    int bits = 0;
    while (bit(first + 337 + static_cast<Context>(bits), bits < wanted_bits)) {
      if (++bits == 24) return std::nullopt;
    }
    std::int64_t rest = 1;
    for (int k = bits - 1; k >= 0; --k) {
      rest = 2 * rest + (even((((wanted_steps - 14) >> k) & 1) != 0) ? 1 : 0);
    }
    steps = rest + 14;
    if (steps > (1 << 24)) return std::nullopt;
    return down ? -steps : steps;
  }

  const Manifest* manifest_;
};

/// What a device carries for profile `compact`, and its reading of updates. The manifest must
/// outlive it.
class CompactDevice {
 public:
  explicit CompactDevice(const Manifest& manifest)
      : manifest_(&manifest), walk_(manifest), contexts_(shared_contexts + 3 * class_contexts) {}

  /// The changes of a whole update that follows `held`, whose codec state this object has; nothing,
  /// and nothing changes, when anything about it is wrong. `prove`: make the proof right instead of
  /// checking it.
  std::optional<std::map<std::uint32_t, float>> read_update(Bytes& bytes, const ModelState& held,
                                                            bool prove = false) {
    const std::size_t end = bytes.size() - 8;
    const std::uint64_t tag = mix64(manifest_->digest() ^ held.version().digest) & 0xffffffff;
    if (bytes.size() < 22 || get(bytes, 0, 4) != 0x55534d41 || get(bytes, 4, 2) != 0x0201 ||
        get(bytes, 6, 4) != held.version().number || get(bytes, 6, 4) == 0xffffffff ||
        get(bytes, 10, 4) != tag) {
      return std::nullopt;
    }
    CompactDevice next = *this;
    const auto changes =
        next.read_body(std::span<const std::byte>(bytes).subspan(14, end - 14), held);
    if (!changes) return std::nullopt;
    std::vector<float> values(held.values().begin(), held.values().end());
    for (const auto& [index, value] : *changes) values[index] = value;
    next.used_ = true;
    const Digest digest = parameter_digest(values) + next.digest();
    const Digest content = byte_digest(std::span<const std::byte>(bytes).first(end));
    const Digest proof = mix64(mix64(content ^ manifest_->digest()) ^ digest);
    if (prove) put(bytes, end, 8, proof);
    if (get(bytes, end, 8) != proof) return std::nullopt;
    *this = next;
    return changes;
  }

  /// The codec's part of the version digest.
  Digest digest() const {
    if (!used_) return 0;
    const Bytes memory = state_bytes();
    const std::size_t n = manifest_->dimension();
    const std::span<const std::byte> all = memory;
    Digest sum = byte_digest(all.first(memory.size() - n));
    for (std::size_t t = 0; t < manifest_->tensors().size(); ++t) {
      const TensorSpec& spec = manifest_->tensors()[t];
      bool zero = true;
      for (std::size_t i = 0; i < spec.size; ++i) zero &= walk_.history(spec.offset + i) == 0;
      if (!zero) {
        sum += mix64(t ^ byte_digest(all.subspan(memory.size() - n + spec.offset, spec.size)));
      }
    }
    return sum;
  }

  /// The codec state as a snapshot has it, before compression.
  Bytes state_bytes() const {
    Bytes bytes;
    const auto append = [&](std::uint64_t number, std::size_t size) {
      bytes.resize(bytes.size() + size);
      put(bytes, bytes.size() - size, size, number);
    };
    for (const Learned& context : contexts_) {
      append(context.fast, 4);
      append(context.slow, 4);
      append(context.seen, 2);
    }
    for (const CompactWalk::Tensor& tensor : walk_.tensors) {
      append(static_cast<std::uint8_t>(tensor.exponent), 1);
      append((tensor.known ? 1U : 0U) + (tensor.took_part ? 2U : 0U), 1);
    }
    for (std::size_t i = 0; i < manifest_->dimension(); ++i) append(walk_.history(i), 1);
    return bytes;
  }

 private:
  const Manifest* manifest_;
  CompactWalk walk_;
  std::vector<Learned> contexts_;
  bool used_ = false;

  std::optional<std::map<std::uint32_t, float>> read_body(std::span<const std::byte> body,
                                                          const ModelState& held) {
    std::size_t at = 0;
    const auto next = [&]() -> std::uint64_t {
      const std::uint64_t byte = at < body.size() ? get(body, at, 1) : 0;
      ++at;
      return byte;
    };
    std::uint64_t code = 0, range = 0xffffffff;
    for (int i = 0; i < 4; ++i) code = code * 256 + next();
    const auto decide = [&](std::uint64_t lower) {
      const bool one = code < lower;
      if (one) {
        range = lower;
      } else {
        code -= lower;
        range -= lower;
      }
      while (range < 0x1000000) {
        range *= 256;
        code = (code * 256 + next()) & 0xffffffff;
      }
      return one;
    };
    const auto bit = [&](Context context, bool) {
      const bool one = decide(range * contexts_.at(context).probability() / 65536);
      contexts_[context].learn(one);
      return one;
    };
    const auto even = [&](bool) { return decide(range / 2); };
    const std::pair<int, std::vector<std::int64_t>>* nobody = nullptr;
    const auto moves = walk_.walk(bit, even, [&](std::size_t) { return nobody; });
    if (!moves || at < body.size() || (!body.empty() && body.back() == std::byte{0})) {
      return std::nullopt;
    }
    std::map<std::uint32_t, float> changes;
    for (const auto& [index, move] : *moves) {
      // The product is exact; the sum is rounded once, to float32.
      const float product = std::ldexp(static_cast<float>(move.second), move.first);
      const float value = held.values()[index] + product;
      if (!std::isfinite(value)) return std::nullopt;
      changes[index] = value;
    }
    return changes;
  }
};

/// Lengths in bits that an ideal coder with the same contexts would give to a stream of updates.
class IdealLength {
 public:
  explicit IdealLength(const Manifest& manifest)
      : walk_(manifest), contexts_(shared_contexts + 3 * class_contexts) {}

  /// wishes: by tensor, the exponent and the steps of all its coordinates; tensors without a move
  /// are absent.
  double update(const std::map<std::size_t, std::pair<int, std::vector<std::int64_t>>>& wishes) {
    double length = 0;
    walk_.walk(
        [&](Context context, bool wanted) {
          length += contexts_[context].bits(wanted);
          contexts_[context].learn(wanted);
          return wanted;
        },
        [&](bool wanted) {
          length += 1;
          return wanted;
        },
        [&](std::size_t t) -> const std::pair<int, std::vector<std::int64_t>>* {
          const auto found = wishes.find(t);
          return found == wishes.end() ? nullptr : &found->second;
        });
    return length;
  }

 private:
  CompactWalk walk_;
  std::vector<Ideal> contexts_;
};

}  // namespace ams::reference
