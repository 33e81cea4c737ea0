#pragma once

#include <span>

#include "ams/core/manifest.hpp"

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

}  // namespace ams
