#include "ams/core/class_subset.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

ClassSubset::ClassSubset(std::vector<std::uint8_t> ids, std::uint8_t ignore_id)
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

ClassSubset ClassSubset::first(std::size_t count) {
  if (count < 1 || count > 255) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("class subset of the first {} classes; allowed are 1 to 255", count));
  }
  std::vector<std::uint8_t> ids(count);
  std::iota(ids.begin(), ids.end(), std::uint8_t{0});
  return ClassSubset(std::move(ids));
}

}  // namespace ams
