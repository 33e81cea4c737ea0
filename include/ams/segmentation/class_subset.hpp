#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/segmentation/class_subset.hpp"
#include "ams/segmentation/label_map.hpp"

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

inline ClassSubset::ClassSubset(std::vector<std::uint8_t> ids, std::uint8_t ignore_id)
    : ids_(std::move(ids)), ignore_id_(ignore_id) {
  if (ids_.empty()) {
    throw Error(ErrorCode::invalid_argument, "class subset is empty; it needs 1 to 255 class ids");
  }
  index_.fill(outside);
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const std::uint8_t id = ids_[i];
    if (id == ignore_id_) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("class subset names {}, which is the ignore id; class ids must differ "
                      "from it",
                      id));
    }
    if (index_[id] != outside) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("class subset names {} twice; class ids must be distinct", id));
    }
    index_[id] = static_cast<std::uint8_t>(i);
  }
}

inline ClassSubset ClassSubset::first(std::size_t count) {
  if (count < 1 || count > 255) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("class subset of the first {} classes; allowed are 1 to 255", count));
  }
  std::vector<std::uint8_t> ids(count);
  std::iota(ids.begin(), ids.end(), std::uint8_t{0});
  return ClassSubset(std::move(ids));
}

}  // namespace ams
