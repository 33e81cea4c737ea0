#include "ams/bundle/executorch_program.hpp"

#include <cmath>
#include <utility>

#include "float_bytes.hpp"

namespace ams {
namespace {

using Tensors = std::vector<std::span<const float>>;

std::span<const float> part(const Tensors& tensors, const ProgramConstant::Tensor& index) {
  return index ? tensors[*index] : std::span<const float>{};
}

/// One number a channel.
std::vector<float> batch_norm_scale(const ProgramConstant& constant, const Tensors& tensors) {
  const std::span<const float> scale = part(tensors, constant.scale);
  const std::span<const float> variance = part(tensors, constant.variance);
  std::vector<float> result(variance.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = (scale.empty() ? 1.0F : scale[i]) / std::sqrt(variance[i] + constant.epsilon);
  }
  return result;
}

std::vector<float> make(const ProgramConstant& constant, const Tensors& tensors) {
  using Kind = ProgramConstant::Kind;
  const std::span<const float> source = part(tensors, constant.source);
  std::vector<float> copied(source.begin(), source.end());
  if (constant.kind == Kind::copy) return copied;
  std::vector<float> scale = batch_norm_scale(constant, tensors);
  if (constant.kind == Kind::scale) return scale;
  if (constant.kind == Kind::weight) {
    const std::size_t of_channel = copied.size() / scale.size();
    for (std::size_t i = 0; i < copied.size(); ++i) copied[i] *= scale[i / of_channel];
    return copied;
  }
  const std::span<const float> shift = part(tensors, constant.shift);
  const std::span<const float> mean = part(tensors, constant.mean);
  for (std::size_t i = 0; i < scale.size(); ++i) {
    const float moved = (source.empty() ? 0.0F : source[i]) - mean[i];
    scale[i] = (shift.empty() ? 0.0F : shift[i]) + moved * scale[i];
  }
  return scale;
}

std::vector<float> reordered(const std::vector<float>& values, const ProgramConstant& constant) {
  std::array<std::size_t, 4> strides{1, 1, 1, 1};
  for (std::size_t i = 3; i > 0; --i) strides[i - 1] = strides[i] * constant.extents[i];
  std::array<std::size_t, 4> extents{};
  std::array<std::size_t, 4> steps{};
  for (std::size_t i = 0; i < 4; ++i) {
    extents[i] = constant.extents[constant.order[i]];
    steps[i] = strides[constant.order[i]];
  }
  std::vector<float> result;
  result.reserve(values.size());
  for (std::size_t a = 0; a < extents[0]; ++a) {
    for (std::size_t b = 0; b < extents[1]; ++b) {
      for (std::size_t c = 0; c < extents[2]; ++c) {
        for (std::size_t d = 0; d < extents[3]; ++d) {
          result.push_back(values[a * steps[0] + b * steps[1] + c * steps[2] + d * steps[3]]);
        }
      }
    }
  }
  return result;
}

}  // namespace

std::vector<std::byte> program_with_values(const ExecutorchProgram& program,
                                           const Manifest& manifest,
                                           std::span<const float> values) {
  Tensors tensors;
  for (const TensorSpec& tensor : manifest.tensors()) {
    tensors.push_back(values.subspan(tensor.offset, tensor.size));
  }
  for (const TensorSpec& tensor : program.frozen.tensors()) {
    tensors.push_back(std::span(program.frozen_values).subspan(tensor.offset, tensor.size));
  }
  std::vector<std::byte> bytes = *program.bytes;
  for (const ProgramConstant& constant : program.constants) {
    std::vector<float> made = make(constant, tensors);
    if (constant.order != ProgramConstant().order) made = reordered(made, constant);
    store_floats(made, bytes.data() + constant.offset);
  }
  return bytes;
}

}  // namespace ams
