#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/manifest.hpp"

namespace ams {

/// A constant of an ExecuTorch program: float32, little-endian, made of the student's tensors.
/// ExecuTorch folds no batch norm when it opens a program, so the constants have it folded.
struct ProgramConstant {
  /// With s = scale / sqrt(variance + epsilon) of a batch norm.
  enum class Kind {
    copy,    ///< the tensor `source`
    scale,   ///< s
    weight,  ///< `source` times s, along its first dimension
    shift,   ///< shift + (source - mean) * s
  };
  /// A tensor of the manifest by its index, then the frozen ones. Nothing: ones for `scale`, zeros
  /// for `source` and `shift` of a shift.
  using Tensor = std::optional<std::size_t>;

  Kind kind = Kind::copy;
  std::size_t offset = 0;  ///< of its first byte in the program
  /// Of the source: its extents, then ones; and which of them comes first, second, ... in the
  /// program.
  std::array<std::size_t, 4> extents{1, 1, 1, 1};
  std::array<std::size_t, 4> order{0, 1, 2, 3};
  Tensor source = {}, scale = {}, shift = {}, mean = {}, variance = {};
  float epsilon = 0;
};

/// A student as ExecuTorch runs it.
struct ExecutorchProgram {
  std::shared_ptr<const std::vector<std::byte>> bytes;  ///< network.pte
  Manifest frozen;                   ///< tensors that no update changes and constants are made of
  std::vector<float> frozen_values;  ///< frozen.dimension() of them
  std::vector<ProgramConstant> constants;
};

/// The bytes of the program with these values of the student, manifest.dimension() of them. The
/// program is one that open_student_bundle() has checked.
std::vector<std::byte> program_with_values(const ExecutorchProgram& program,
                                           const Manifest& manifest, std::span<const float> values);

}  // namespace ams
