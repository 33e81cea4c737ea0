#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/range_coder.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/encode_options.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"

namespace ams::detail {

/// Tensors that share their contexts: values that are alike, so that what is learned on one serves
/// the others (classes of single tensors were measured to be no better).
enum class TensorClass : std::uint8_t {
  vector = 0,     ///< parameters of at most one extent: scales, shifts, biases
  matrix = 1,     ///< other parameters
  statistic = 2,  ///< statistics of any shape
};
constexpr std::size_t tensor_class_count = 3;

TensorClass tensor_class(const TensorSpec& tensor);

/// Where the contexts of one class begin. Whoever reads or writes an update asks for them by what
/// is known of a coordinate: its history (below), its neighbours and, for a magnitude, how far it
/// has been counted.
struct ClassContexts {
  /// 128: whether a coordinate moves that did lately, by history / 2
  static constexpr std::size_t moves = 0;
  /// 8 x 4: the same of one that did not, by history / 2 and the two coordinates before it
  static constexpr std::size_t wakes = 128;
  /// 9: 0 for the first move ever, then by the two latest flags and the latest direction
  static constexpr std::size_t sign = 160;
  /// 6 x 2 x 14: by the latest magnitude, the latest flag and the count
  static constexpr std::size_t magnitude = 169;
  /// 24: number of bits of what is beyond 14, by count
  static constexpr std::size_t exponent = 337;
  static constexpr std::size_t count = 361;
};

/// Where the contexts begin that all tensors share.
struct SharedContexts {
  /// 4: by whether the tensor took part in the latest update, and the one before it does in this
  static constexpr std::size_t takes_part = 0;
  static constexpr std::size_t step_differs = 4;
  static constexpr std::size_t step_is_finer = 5;
  /// 4: by count, the last for all beyond
  static constexpr std::size_t step_distance = 6;
  static constexpr std::size_t count = 10;
};

/// What profile `compact` carries from update to update, the same on both ends (docs/format.md).
/// Immutable once a ModelState holds it: an update makes its successor beside it.
struct CompactState {
  /// What one tensor's previous update was like.
  struct Tensor {
    std::int8_t step_exponent = 0;  ///< of the latest update in which it took part
    bool known = false;             ///< whether it ever took part
    bool took_part = false;         ///< in the latest update
    friend bool operator==(const Tensor&, const Tensor&) = default;
  };

  /// A coordinate's history: bits 7 to 4 say whether it changed in the latest four updates in which
  /// its tensor took part (4: the latest), bits 3 to 1 how far it went when it last changed (0:
  /// never changed; 1, 2, 3 to 4, 5 to 8, 9 and more steps), bit 0 whether that was downwards.
  std::vector<std::uint8_t> history;
  std::vector<Tensor> tensors;        ///< one a tensor of the manifest
  std::vector<AdaptiveBit> contexts;  ///< SharedContexts, then ClassContexts for each class

  /// Nothing learned yet.
  explicit CompactState(const Manifest& manifest);

  AdaptiveBit* shared_contexts() { return contexts.data(); }
  AdaptiveBit* class_contexts(TensorClass c) {
    return contexts.data() + SharedContexts::count +
           static_cast<std::size_t>(c) * ClassContexts::count;
  }

  /// Brings digest() up to date after a change of contexts, of `tensors`, and of the history of
  /// those tensors that took part.
  void update_digest(const Manifest& manifest);
  Digest digest() const noexcept { return digest_; }

  /// As it stands in a snapshot, before compression.
  std::vector<std::byte> serialise() const;

  /// Throws Error(malformed_data) for another number of bytes, and for fields that no update leads
  /// to.
  static CompactState parse(std::span<const std::byte> bytes, const Manifest& manifest);

  /// The number of bytes that serialise() gives for a manifest.
  static std::size_t serialised_bytes(const Manifest& manifest);

 private:
  std::vector<Digest> history_digests_;  // one a tensor; 0 for a history of zeros
  Digest digest_ = 0;
};

namespace state_format {

inline constexpr std::size_t context_count =
    SharedContexts::count + tensor_class_count * ClassContexts::count;
inline constexpr std::size_t context_bytes = 10;
inline constexpr std::size_t tensor_bytes = 2;
inline constexpr std::uint8_t largest_magnitude_class = 5;

/// Contexts and tensors, in this order.
inline void append_memory(std::vector<std::byte>& bytes, const CompactState& state) {
  std::size_t at = bytes.size();
  bytes.resize(at + context_bytes * state.contexts.size() + tensor_bytes * state.tensors.size());
  for (const AdaptiveBit& context : state.contexts) {
    store_le(bytes.data() + at, context.fast);
    store_le(bytes.data() + at + 4, context.slow);
    store_le(bytes.data() + at + 8, static_cast<std::uint16_t>(context.seen));
    at += context_bytes;
  }
  for (const CompactState::Tensor& tensor : state.tensors) {
    store_le(bytes.data() + at, static_cast<std::uint8_t>(tensor.step_exponent));
    store_le(bytes.data() + at + 1,
             static_cast<std::uint8_t>((tensor.known ? 1 : 0) | (tensor.took_part ? 2 : 0)));
    at += tensor_bytes;
  }
}

inline Digest history_digest(std::size_t index, std::span<const std::uint8_t> history) {
  if (std::all_of(history.begin(), history.end(), [](std::uint8_t h) { return h == 0; })) return 0;
  return mix64(index ^ byte_digest(std::as_bytes(history)));
}

[[noreturn]] inline void malformed(const std::string& message) {
  throw Error(ErrorCode::malformed_data, message);
}

}  // namespace state_format

inline TensorClass tensor_class(const TensorSpec& tensor) {
  return tensor.kind == TensorKind::statistic ? TensorClass::statistic
         : tensor.shape.size() <= 1           ? TensorClass::vector
                                              : TensorClass::matrix;
}

inline CompactState::CompactState(const Manifest& manifest)
    : history(manifest.dimension()),
      tensors(manifest.tensors().size()),
      contexts(state_format::context_count),
      history_digests_(manifest.tensors().size()) {}

inline void CompactState::update_digest(const Manifest& manifest) {
  std::vector<std::byte> memory;
  state_format::append_memory(memory, *this);
  digest_ = byte_digest(memory);
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const TensorSpec& spec = manifest.tensors()[t];
    if (tensors[t].took_part) {
      history_digests_[t] =
          state_format::history_digest(t, std::span(history).subspan(spec.offset, spec.size));
    }
    digest_ += history_digests_[t];
  }
}

inline std::size_t CompactState::serialised_bytes(const Manifest& manifest) {
  return state_format::context_bytes * state_format::context_count +
         state_format::tensor_bytes * manifest.tensors().size() + manifest.dimension();
}

inline std::vector<std::byte> CompactState::serialise() const {
  std::vector<std::byte> bytes;
  state_format::append_memory(bytes, *this);
  const auto bytes_of_history = std::as_bytes(std::span(history));
  bytes.insert(bytes.end(), bytes_of_history.begin(), bytes_of_history.end());
  return bytes;
}

inline CompactState CompactState::parse(std::span<const std::byte> bytes,
                                        const Manifest& manifest) {
  CompactState state(manifest);
  if (bytes.size() != serialised_bytes(manifest)) {
    state_format::malformed(fmt::format("a codec state of {} bytes came; this model's has {}",
                                        bytes.size(), serialised_bytes(manifest)));
  }
  const std::byte* p = bytes.data();
  for (AdaptiveBit& context : state.contexts) {
    context = {load_le<std::uint32_t>(p), load_le<std::uint32_t>(p + 4),
               load_le<std::uint16_t>(p + 8)};
    if (context.seen > AdaptiveBit::max_seen) {
      state_format::malformed(
          fmt::format("a context of the codec state has seen {} bits; at most {} are counted",
                      context.seen, AdaptiveBit::max_seen));
    }
    p += state_format::context_bytes;
  }
  for (Tensor& tensor : state.tensors) {
    const auto flags = load_le<std::uint8_t>(p + 1);
    tensor = {static_cast<std::int8_t>(load_le<std::uint8_t>(p)), (flags & 1) != 0,
              (flags & 2) != 0};
    if (flags > 3 || flags == 2 || tensor.step_exponent < min_step_exponent ||
        tensor.step_exponent > max_step_exponent || (!tensor.known && tensor.step_exponent != 0)) {
      state_format::malformed(
          fmt::format("a tensor of the codec state has flags {} and step exponent {}", flags,
                      tensor.step_exponent));
    }
    p += state_format::tensor_bytes;
  }
  std::transform(p, p + state.history.size(), state.history.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  for (const std::uint8_t h : state.history) {
    const unsigned magnitude = (h >> 1) & 7U;
    if (magnitude > state_format::largest_magnitude_class || (magnitude == 0 && h != 0)) {
      state_format::malformed(
          fmt::format("a history of the codec state is {:#04x}, which none can become", h));
    }
  }
  // Every history counts once; afterwards only those that change.
  for (std::size_t t = 0; t < state.tensors.size(); ++t) {
    const TensorSpec& spec = manifest.tensors()[t];
    state.history_digests_[t] =
        state_format::history_digest(t, std::span(state.history).subspan(spec.offset, spec.size));
  }
  state.update_digest(manifest);
  return state;
}

}  // namespace ams::detail
