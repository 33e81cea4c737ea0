#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"
#include "profiles/range_coder.hpp"

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

/// Steps are powers of two with exponents in this range: any normal float32 is within reach.
constexpr int min_step_exponent = -100;
constexpr int max_step_exponent = 104;

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

}  // namespace ams::detail
