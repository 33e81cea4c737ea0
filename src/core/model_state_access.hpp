#pragma once

#include <cstdint>
#include <span>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

/// The one way to change a ModelState. Whoever calls it has proven that `next.digest` is the digest
/// of the values that result.
struct ModelStateAccess {
  /// Writes values[j] at the j-th coordinate and names the result `next`. Cannot fail half-way.
  static void move_to(ModelState& state, const CoordinateSet& coordinates,
                      std::span<const float> values, ModelVersion next) noexcept {
    const float* value = values.data();
    float* out = state.values_.data();
    coordinates.for_each([&](std::uint32_t i) { out[i] = *value++; });
    state.version_ = next;
  }
};

}  // namespace ams
