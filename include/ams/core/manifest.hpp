#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// What a tensor of the parameter vector is.
enum class TensorKind : std::uint8_t {
  parameter = 0,  ///< trained by the optimiser
  statistic = 1,  ///< follows from the data (batch norm's moving ones); sent whole when it changes
};

/// What part a tensor plays in its network, for strategies that train by group (selection.hpp) and
/// for learning rates by group (adam.hpp). Only who trains needs it: it is no part of the
/// manifest's digest.
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
};

/// Names of tensors that have a role whatever the network's framework says. A pattern is a name in
/// which `*` stands for any number of bytes and `?` for one.
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

  /// Lays the tensors out one after another, in the given order; their offset and size are
  /// computed. Throws Error(invalid_argument) on an empty, repeated or overlong name, an extent
  /// below 1, more than max_extents extents or max_tensors tensors, an unknown kind or role, or a
  /// vector of more than max_dimension values.
  explicit Manifest(std::vector<TensorSpec> tensors);

  /// The same layout with roles by name: where `patterns` has any for a role, exactly the
  /// parameters that match one have it, and who had it before is a weight; a parameter that matches
  /// both is the head's. Throws Error(invalid_argument) for a pattern that no parameter matches.
  Manifest with_roles(const RolePatterns& patterns) const;

  std::span<const TensorSpec> tensors() const noexcept { return tensors_; }
  std::size_t dimension() const noexcept { return dimension_; }  ///< number of values
  bool has_statistics() const noexcept { return has_statistics_; }

  /// Index into tensors() of the tensor that holds this coordinate. Throws Error(invalid_argument)
  /// when coordinate >= dimension(). O(log tensors).
  std::size_t tensor_of(std::size_t coordinate) const;

  /// Digest over names, shapes and kinds, in order, the same on every machine (docs/format.md): the
  /// byte_digest of
  ///     u32 number of tensors, then for each tensor
  ///     u32 number of bytes of the name, the name, u8 kind, u8 number of extents, i64 each extent
  /// with all numbers little-endian and nothing between the fields. Offsets and sizes follow from
  /// these.
  Digest digest() const noexcept { return digest_; }

 private:
  std::vector<TensorSpec> tensors_;
  std::size_t dimension_ = 0;
  bool has_statistics_ = false;
  Digest digest_ = 0;
};

namespace detail::manifest {

inline void check_name(const std::string& name) {
  if (name.empty() || name.size() > Manifest::max_name_bytes) {
    refuse(fmt::format("a tensor's name has {} bytes: 1 to {} are allowed", name.size(),
                       Manifest::max_name_bytes));
  }
}

/// Number of values of a shape; refuses before a product can overflow.
inline std::size_t value_count(const TensorSpec& tensor) {
  if (tensor.shape.size() > Manifest::max_extents) {
    refuse(fmt::format("tensor {} has {} extents: at most {} are allowed", tensor.name,
                       tensor.shape.size(), Manifest::max_extents));
  }
  std::uint64_t count = 1;
  for (const std::int64_t extent : tensor.shape) {
    if (extent < 1) {
      refuse(fmt::format("tensor {} has extent {}: at least 1 is allowed", tensor.name, extent));
    }
    if (static_cast<std::uint64_t>(extent) > Manifest::max_dimension / count) {
      refuse(
          fmt::format("tensor {} has more than {} values", tensor.name, Manifest::max_dimension));
    }
    count *= static_cast<std::uint64_t>(extent);
  }
  return count;
}

inline void check_unique(const std::vector<TensorSpec>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorSpec& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  if (twin != names.end()) refuse(fmt::format("two tensors have the name {}", *twin));
}

/// Whether `name` matches the glob `pattern`, in time proportional to their product at worst.
inline bool matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star =
      std::string_view::npos;  // the latest one, which has taken the name up to `taken`
  std::size_t taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

/// Gives `role` to exactly those parameters that one of the patterns names.
inline void assign_role(std::vector<TensorSpec>& tensors, TensorRole role, const char* role_name,
                        const std::vector<std::string>& patterns) {
  if (patterns.empty()) return;
  for (TensorSpec& tensor : tensors) {
    if (tensor.role == role) tensor.role = TensorRole::weight;
  }
  for (const std::string& pattern : patterns) {
    bool found = false;
    for (TensorSpec& tensor : tensors) {
      if (tensor.kind != TensorKind::parameter || !matches(pattern, tensor.name)) continue;
      tensor.role = role;
      found = true;
    }
    if (!found) {
      refuse(fmt::format("no parameter's name matches the pattern '{}' for the role {}", pattern,
                         role_name));
    }
  }
}

inline void append_number(std::vector<std::byte>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

/// The canonical bytes that the header describes at Manifest::digest().
inline std::vector<std::byte> serialise(const std::vector<TensorSpec>& tensors) {
  std::vector<std::byte> out;
  append_number(out, tensors.size(), 4);
  for (const TensorSpec& tensor : tensors) {
    append_number(out, tensor.name.size(), 4);
    for (const char c : tensor.name) out.push_back(static_cast<std::byte>(c));
    append_number(out, static_cast<std::uint8_t>(tensor.kind), 1);
    append_number(out, tensor.shape.size(), 1);
    for (const std::int64_t extent : tensor.shape) {
      append_number(out, static_cast<std::uint64_t>(extent), 8);
    }
  }
  return out;
}

}  // namespace detail::manifest

inline Manifest::Manifest() : Manifest(std::vector<TensorSpec>{}) {}

inline Manifest::Manifest(std::vector<TensorSpec> tensors) {
  if (tensors.size() > max_tensors) {
    detail::refuse(fmt::format("{} tensors: at most {} are allowed", tensors.size(), max_tensors));
  }
  for (TensorSpec& tensor : tensors) {
    detail::manifest::check_name(tensor.name);
    if (tensor.kind != TensorKind::parameter && tensor.kind != TensorKind::statistic) {
      detail::refuse(
          fmt::format("tensor {} has kind {}: parameter (0) and statistic (1) are allowed",
                      tensor.name, static_cast<int>(tensor.kind)));
    }
    if (tensor.role != TensorRole::weight && tensor.role != TensorRole::normalization &&
        tensor.role != TensorRole::head) {
      detail::refuse(fmt::format(
          "tensor {} has role {}: weight (0), normalization (1) and head (2) are allowed",
          tensor.name, static_cast<int>(tensor.role)));
    }
    tensor.offset = dimension_;
    tensor.size = detail::manifest::value_count(tensor);
    if (tensor.size > max_dimension - dimension_) {
      detail::refuse(
          fmt::format("the tensors up to {} have more than {} values", tensor.name, max_dimension));
    }
    dimension_ += tensor.size;
    has_statistics_ = has_statistics_ || tensor.kind == TensorKind::statistic;
  }
  detail::manifest::check_unique(tensors);
  digest_ = byte_digest(detail::manifest::serialise(tensors));
  tensors_ = std::move(tensors);
}

inline Manifest Manifest::with_roles(const RolePatterns& patterns) const {
  Manifest result = *this;
  detail::manifest::assign_role(result.tensors_, TensorRole::normalization, "normalization",
                                patterns.normalization);
  detail::manifest::assign_role(result.tensors_, TensorRole::head, "head", patterns.head);
  return result;
}

inline std::size_t Manifest::tensor_of(std::size_t coordinate) const {
  if (coordinate >= dimension_) {
    detail::refuse(
        fmt::format("coordinate {} is outside a vector of {} values", coordinate, dimension_));
  }
  // Every tensor has at least one value, so offsets are strictly ascending and begin at 0.
  const auto after = std::upper_bound(
      tensors_.begin(), tensors_.end(), coordinate,
      [](std::size_t value, const TensorSpec& tensor) { return value < tensor.offset; });
  return static_cast<std::size_t>(std::distance(tensors_.begin(), after)) - 1;
}

}  // namespace ams
