#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "ams/core/codec/compact_state.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

/// The one way to change a ModelState. Whoever calls it has proven that `next.digest` is the digest
/// of what results.
struct ModelStateAccess {
  /// Null while no update of profile `compact` has been applied.
  static const std::shared_ptr<const detail::CompactState>& compact(const ModelState& state) {
    return state.compact_;
  }

  /// Writes values[j] at the j-th coordinate, replaces what `compact` has learned unless that is
  /// null, and names the result `next`. Cannot fail half-way.
  static void move_to(ModelState& state, const CoordinateSet& coordinates,
                      std::span<const float> values,
                      std::shared_ptr<const detail::CompactState> compact,
                      ModelVersion next) noexcept {
    const float* value = values.data();
    float* out = state.values_.data();
    coordinates.for_each([&](std::uint32_t i) { out[i] = *value++; });
    if (compact) state.compact_ = std::move(compact);
    state.version_ = next;
  }

  /// Gives a state that has none what `compact` had learned, with its digest.
  static void attach(ModelState& state, std::shared_ptr<const detail::CompactState> compact) {
    state.version_.digest += compact->digest();
    state.compact_ = std::move(compact);
  }
};

}  // namespace ams
