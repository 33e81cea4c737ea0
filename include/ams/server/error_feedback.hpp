#pragma once

#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"

namespace ams {

/// What training has moved and no update has carried yet, because an update was written
/// coarsely or withheld. The next phase that trains a coordinate begins with it, so that a
/// coarsely written movement arrives late instead of never: error feedback (F. Seide et al.,
/// "1-Bit Stochastic Gradient Descent", Interspeech 2014; S. P. Karimireddy et al., "Error Feedback
/// Fixes SignSGD and other Gradient Compression Schemes", ICML 2019). A plain value; not
/// thread-safe.
class ErrorFeedback {
 public:
  /// parameters[coordinates] += what is unsent there. Throws Error(invalid_argument) when sizes
  /// differ, as remember() does.
  void add_to(std::span<float> parameters, const CoordinateSet& coordinates) const;

  /// Unsent at `coordinates` is what `trained` has and `held`, what the device will hold, has not.
  void remember(std::span<const float> held, std::span<const float> trained,
                const CoordinateSet& coordinates);

 private:
  std::vector<float> unsent_;  // one a coordinate; empty: nothing is
};

}  // namespace ams
