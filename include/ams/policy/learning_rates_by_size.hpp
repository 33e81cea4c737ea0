#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"
#include "ams/policy/learning_rates_by_size.hpp"

namespace ams {

/// The root mean square of a tensor's values from which on it learns at its role's whole rate.
inline constexpr double whole_rate_root_mean_square = 0.4;

/// The layout with a learning rate for each tensor that goes by how large its values are, so that one
/// learning rate suits networks whose weights are of different sizes: Adam moves every coordinate equally
/// far, which is little for a weight of 0.8 and a lot for one of 0.06. Both are weights of good students
/// (EDANet's that were trained on Cityscapes, and those that a usual initialisation leaves in wide layers),
/// and eight times less is best for the second (docs/trials.md). Adafactor's relative step sizes are the
/// same idea (Shazeer and Stern 2018, section 8).
/// A parameter of two or more extents whose root mean square is below whole_rate_root_mean_square learns in
/// proportion, down to a sixteenth; all others, biases and normalisation layers among them, and one that
/// begins at zero, as fast as without. What learning_rate_scale was is replaced.
/// values: manifest.dimension() of them, of the parameters that training begins with. The result has the
/// manifest's digest. Throws Error(invalid_argument) for another number of values, or one that is not finite.
Manifest with_learning_rates_by_size(const Manifest& manifest, std::span<const float> values);

namespace detail::rates_by_size {

inline constexpr double least_scale = 1.0 / 16;

inline double scale_of(const TensorSpec& tensor, std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  if (!std::isfinite(sum)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("learning rates by size: tensor {} has values that are not finite",
                            tensor.name));
  }
  if (tensor.kind != TensorKind::parameter || tensor.shape.size() < 2 || sum == 0) return 1;
  const double root_mean_square = std::sqrt(sum / static_cast<double>(values.size()));
  return std::clamp(root_mean_square / whole_rate_root_mean_square, least_scale, 1.0);
}

}  // namespace detail::rates_by_size

inline Manifest with_learning_rates_by_size(const Manifest& manifest,
                                            std::span<const float> values) {
  if (values.size() != manifest.dimension()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("learning rates by size: {} values for a manifest of {}", values.size(),
                            manifest.dimension()));
  }
  std::vector<TensorSpec> tensors(manifest.tensors().begin(), manifest.tensors().end());
  for (TensorSpec& tensor : tensors) {
    tensor.learning_rate_scale =
        detail::rates_by_size::scale_of(tensor, values.subspan(tensor.offset, tensor.size));
  }
  return Manifest(std::move(tensors));
}

}  // namespace ams
