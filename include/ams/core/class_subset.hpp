#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/frame.hpp"

namespace ams {

/// The classes of one video that its student is trained and scored on (the paper evaluates each
/// video on its own 5 to 7 common classes). An immutable value; safe to read from any thread.
///
///     ClassSubset classes({0, 2, 8, 10, 13});
///     classes.contains(8);  // true
///     classes.index(10);    // 3
///     classes.index(255);   // ClassSubset::outside
class ClassSubset {
 public:
  /// What index() gives for an id that is not in the subset.
  static constexpr std::uint8_t outside = 255;

  /// ids: 1 to 255 distinct class ids without `ignore_id`, in the order in which results are
  /// reported. Throws Error(invalid_argument).
  explicit ClassSubset(std::vector<std::uint8_t> ids,
                       std::uint8_t ignore_id = LabelMap::default_ignore_id);

  /// The classes 0 to count - 1; count in 1 to 255. Throws Error(invalid_argument).
  static ClassSubset first(std::size_t count);

  std::size_t size() const noexcept { return ids_.size(); }
  std::span<const std::uint8_t> ids() const noexcept { return ids_; }
  std::uint8_t ignore_id() const noexcept { return ignore_id_; }

  bool contains(std::uint8_t id) const noexcept { return index_[id] != outside; }

  /// Position of `id` in ids(), or `outside`.
  std::uint8_t index(std::uint8_t id) const noexcept { return index_[id]; }

  friend bool operator==(const ClassSubset& a, const ClassSubset& b) {
    return a.ids_ == b.ids_ && a.ignore_id_ == b.ignore_id_;
  }

 private:
  std::vector<std::uint8_t> ids_;
  std::array<std::uint8_t, 256> index_;
  std::uint8_t ignore_id_;
};

}  // namespace ams
