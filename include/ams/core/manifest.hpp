#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ams/core/digest.hpp"

namespace ams {

/// What a tensor of the parameter vector is.
enum class TensorKind : std::uint8_t {
  parameter = 0,  ///< trained by the optimiser
  statistic = 1,  ///< follows from the data (batch norm's moving ones); sent whole when it changes
};

/// What part a tensor plays in its network, for strategies that train by group (selection.hpp) and for
/// learning rates by group (adam.hpp). Only who trains needs it: it is no part of the manifest's digest.
enum class TensorRole : std::uint8_t {
  weight = 0,         ///< whatever is none of the others
  normalization = 1,  ///< scale or shift of a normalisation layer (batch, group, layer, instance)
  head = 2,           ///< of the last layer with parameters, normalisation aside: the classifier
};

/// One tensor's place in the flat parameter vector. All values are float32.
struct TensorSpec {
  std::string name;                 ///< as its framework names it, unique, 1 to 1024 bytes
  std::vector<std::int64_t> shape;  ///< every extent >= 1; empty for a scalar; at most 8 extents
  TensorKind kind = TensorKind::parameter;
  TensorRole role = TensorRole::weight;
  std::size_t offset = 0;  ///< first coordinate, in values; set by Manifest
  std::size_t size = 0;    ///< number of values; set by Manifest

  /// Times the learning rate of its role, (0, 1] (learning_rates_by_size.hpp). Like the role, only who
  /// trains needs it.
  double learning_rate_scale = 1;
};

/// Names of tensors that have a role whatever the network's framework says. A pattern is a name in which
/// `*` stands for any number of bytes and `?` for one.
struct RolePatterns {
  std::vector<std::string> normalization;
  std::vector<std::string> head;
};

/// The layout of a network's flat parameter vector: which tensor stands where, in forward order.
/// Server and device must have the same manifest; its digest travels with every update.
/// An immutable value; safe to read from any thread.
class Manifest {
 public:
  static constexpr std::size_t max_dimension = 0xffffffffULL;  ///< coordinates are 32-bit
  static constexpr std::size_t max_tensors = 1U << 16;
  static constexpr std::size_t max_name_bytes = 1024;
  static constexpr std::size_t max_extents = 8;

  /// The manifest of no tensors.
  Manifest();

  /// Lays the tensors out one after another, in the given order; their offset and size are computed.
  /// Throws Error(invalid_argument) on an empty, repeated or overlong name, an extent below 1, more than
  /// max_extents extents or max_tensors tensors, an unknown kind or role, a learning_rate_scale out of
  /// range, or a vector of more than max_dimension values.
  explicit Manifest(std::vector<TensorSpec> tensors);

  /// The same layout with roles by name: where `patterns` has any for a role, exactly the parameters that
  /// match one have it, and who had it before is a weight; a parameter that matches both is the head's.
  /// Throws Error(invalid_argument) for a pattern that no parameter matches.
  Manifest with_roles(const RolePatterns& patterns) const;

  std::span<const TensorSpec> tensors() const noexcept { return tensors_; }
  std::size_t dimension() const noexcept { return dimension_; }  ///< number of values
  bool has_statistics() const noexcept { return has_statistics_; }

  /// Index into tensors() of the tensor that holds this coordinate. Throws Error(invalid_argument) when
  /// coordinate >= dimension(). O(log tensors).
  std::size_t tensor_of(std::size_t coordinate) const;

  /// Digest over names, shapes and kinds, in order, the same on every machine (docs/format.md): the
  /// byte_digest of
  ///     u32 number of tensors, then for each tensor
  ///     u32 number of bytes of the name, the name, u8 kind, u8 number of extents, i64 each extent
  /// with all numbers little-endian and nothing between the fields. Offsets and sizes follow from these.
  Digest digest() const noexcept { return digest_; }

 private:
  std::vector<TensorSpec> tensors_;
  std::size_t dimension_ = 0;
  bool has_statistics_ = false;
  Digest digest_ = 0;
};

}  // namespace ams
