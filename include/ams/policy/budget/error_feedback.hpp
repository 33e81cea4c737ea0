#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// What training has moved and no update has carried yet, because an update was written coarsely or
/// withheld. The next phase that trains a coordinate begins with it, so that a coarsely written
/// movement arrives late and not never: error feedback (F. Seide et al., "1-Bit Stochastic Gradient
/// Descent", Interspeech 2014; S. P. Karimireddy et al., "Error Feedback Fixes SignSGD and other
/// Gradient Compression Schemes", ICML 2019). A plain value; not thread-safe.
class ErrorFeedback {
 public:
  /// Adds the residual to parameters[coordinates]. Throws Error(invalid_argument) when sizes
  /// differ, as remember() does.
  void add_to(std::span<float> parameters, const CoordinateSet& coordinates) const {
    require_size(coordinates.dimension(), parameters.size());
    if (residual_.empty()) return;
    require_size(residual_.size(), parameters.size());
    coordinates.for_each([&](std::uint32_t i) { parameters[i] += residual_[i]; });
  }

  /// Stores `trained - held` as the residual at `coordinates`.
  void remember(std::span<const float> held, std::span<const float> trained,
                const CoordinateSet& coordinates) {
    require_size(trained.size(), held.size());
    require_size(coordinates.dimension(), held.size());
    if (residual_.empty()) residual_.assign(held.size(), 0);
    require_size(residual_.size(), held.size());
    coordinates.for_each([&](std::uint32_t i) { residual_[i] = trained[i] - held[i]; });
  }

 private:
  static void require_size(std::size_t size, std::size_t wanted) {
    if (size != wanted) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("ErrorFeedback: {} values; allowed are {}", size, wanted));
    }
  }

  std::vector<float> residual_;  // one for each coordinate; empty: none
};

}  // namespace ams
