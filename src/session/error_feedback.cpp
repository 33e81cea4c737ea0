#include "ams/server/error_feedback.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "ams/core/error.hpp"

namespace ams {
namespace {

void require_size(std::size_t size, std::size_t wanted) {
  if (size != wanted) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("ErrorFeedback: {} values; they must be {}", size, wanted));
  }
}

}  // namespace

void ErrorFeedback::add_to(std::span<float> parameters, const CoordinateSet& coordinates) const {
  require_size(coordinates.dimension(), parameters.size());
  if (unsent_.empty()) return;
  require_size(unsent_.size(), parameters.size());
  coordinates.for_each([&](std::uint32_t i) { parameters[i] += unsent_[i]; });
}

void ErrorFeedback::remember(std::span<const float> held, std::span<const float> trained,
                             const CoordinateSet& coordinates) {
  require_size(trained.size(), held.size());
  require_size(coordinates.dimension(), held.size());
  if (unsent_.empty()) unsent_.assign(held.size(), 0);
  require_size(unsent_.size(), held.size());
  coordinates.for_each([&](std::uint32_t i) { unsent_[i] = trained[i] - held[i]; });
}

}  // namespace ams
