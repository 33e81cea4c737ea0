#include "ams/core/learning_rates_by_size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"

namespace ams {
namespace {

constexpr double least_scale = 1.0 / 16;

double scale_of(const TensorSpec& tensor, std::span<const float> values) {
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

}  // namespace

Manifest with_learning_rates_by_size(const Manifest& manifest, std::span<const float> values) {
  if (values.size() != manifest.dimension()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("learning rates by size: {} values for a manifest of {}", values.size(),
                            manifest.dimension()));
  }
  std::vector<TensorSpec> tensors(manifest.tensors().begin(), manifest.tensors().end());
  for (TensorSpec& tensor : tensors) {
    tensor.learning_rate_scale = scale_of(tensor, values.subspan(tensor.offset, tensor.size));
  }
  return Manifest(std::move(tensors));
}

}  // namespace ams
