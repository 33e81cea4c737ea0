#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ams/core/error.hpp"

namespace ams {

/// Element types of a safetensors file that libams reads.
enum class TensorType : std::uint8_t { f32, f16, bf16, f64, i64, i32, i16, i8, u8, boolean };

/// As the format spells it, e.g. "F16".
const char* to_string(TensorType type);
std::size_t bytes_per_value(TensorType type);

/// One tensor of a file: little-endian values, row-major.
struct StoredTensor {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> shape;  ///< every extent >= 0; empty for a scalar
  std::vector<std::byte> bytes;

  /// The values of an f32, f16 or bf16 tensor; other types throw Error(invalid_argument).
  std::vector<float> to_float() const;

  /// Stores `values` as f32, f16 or bf16, rounded to nearest even. Throws Error(invalid_argument)
  /// when the shape has another number of values, for another type, and for a finite value beyond
  /// the type's range.
  static StoredTensor from_float(std::string name, std::vector<std::int64_t> shape,
                                 std::span<const float> values, TensorType type = TensorType::f32);
};

/// Content of a safetensors file (https://github.com/huggingface/safetensors).
struct Safetensors {
  std::vector<StoredTensor> tensors;            ///< in the order of their bytes in the file
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
};

/// Throws Error(malformed_data) for anything that the format does not allow: a header longer than
/// the file or than 100 MB, JSON that is not as specified, a repeated name, an unknown element
/// type, a shape whose size overflows or differs from its byte range, ranges that overlap, leave
/// gaps or do not end with the file. Memory is proportional to bytes.size().
Safetensors parse_safetensors(std::span<const std::byte> bytes);

/// Throws Error(malformed_data) for an empty or repeated name or a tensor whose bytes do not fit
/// its shape.
std::vector<std::byte> serialize_safetensors(const Safetensors& content);

/// Throws as parse_safetensors(), with the path in the message, and Error(io_error).
Safetensors read_safetensors(const std::string& path);

/// Writes beside `path` and renames, so that a reader sees the old file or the whole new one.
/// Throws Error(io_error) and as serialize_safetensors().
void write_safetensors(const std::string& path, const Safetensors& content);

}  // namespace ams
