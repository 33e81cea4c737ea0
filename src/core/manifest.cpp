#include "ams/core/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"

namespace ams {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

void check_name(const std::string& name) {
  if (name.empty() || name.size() > Manifest::max_name_bytes) {
    refuse(fmt::format("a tensor's name has {} bytes: 1 to {} are allowed", name.size(),
                       Manifest::max_name_bytes));
  }
}

/// Number of values of a shape; refuses before a product can overflow.
std::size_t value_count(const TensorSpec& tensor) {
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

void check_unique(const std::vector<TensorSpec>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorSpec& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  if (twin != names.end()) refuse(fmt::format("two tensors have the name {}", *twin));
}

/// Whether `name` matches the glob `pattern`, in time proportional to their product at worst.
bool matches(std::string_view pattern, std::string_view name) {
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
void assign_role(std::vector<TensorSpec>& tensors, TensorRole role, const char* role_name,
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

void append_number(std::vector<std::byte>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

/// The canonical bytes that the header describes at Manifest::digest().
std::vector<std::byte> serialise(const std::vector<TensorSpec>& tensors) {
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

}  // namespace

Manifest::Manifest() : Manifest(std::vector<TensorSpec>{}) {}

Manifest::Manifest(std::vector<TensorSpec> tensors) {
  if (tensors.size() > max_tensors) {
    refuse(fmt::format("{} tensors: at most {} are allowed", tensors.size(), max_tensors));
  }
  for (TensorSpec& tensor : tensors) {
    check_name(tensor.name);
    if (tensor.kind != TensorKind::parameter && tensor.kind != TensorKind::statistic) {
      refuse(fmt::format("tensor {} has kind {}: parameter (0) and statistic (1) are allowed",
                         tensor.name, static_cast<int>(tensor.kind)));
    }
    if (tensor.role != TensorRole::weight && tensor.role != TensorRole::normalization &&
        tensor.role != TensorRole::head) {
      refuse(fmt::format(
          "tensor {} has role {}: weight (0), normalization (1) and head (2) are allowed",
          tensor.name, static_cast<int>(tensor.role)));
    }
    if (!(tensor.learning_rate_scale > 0 && tensor.learning_rate_scale <= 1)) {
      refuse(fmt::format("tensor {} has learning_rate_scale {}: above 0, up to 1 is allowed",
                         tensor.name, tensor.learning_rate_scale));
    }
    tensor.offset = dimension_;
    tensor.size = value_count(tensor);
    if (tensor.size > max_dimension - dimension_) {
      refuse(
          fmt::format("the tensors up to {} have more than {} values", tensor.name, max_dimension));
    }
    dimension_ += tensor.size;
    has_statistics_ = has_statistics_ || tensor.kind == TensorKind::statistic;
  }
  check_unique(tensors);
  digest_ = byte_digest(serialise(tensors));
  tensors_ = std::move(tensors);
}

Manifest Manifest::with_roles(const RolePatterns& patterns) const {
  Manifest result = *this;
  assign_role(result.tensors_, TensorRole::normalization, "normalization", patterns.normalization);
  assign_role(result.tensors_, TensorRole::head, "head", patterns.head);
  return result;
}

std::size_t Manifest::tensor_of(std::size_t coordinate) const {
  if (coordinate >= dimension_) {
    refuse(fmt::format("coordinate {} is outside a vector of {} values", coordinate, dimension_));
  }
  // Every tensor has at least one value, so offsets are strictly ascending and begin at 0.
  const auto after = std::upper_bound(
      tensors_.begin(), tensors_.end(), coordinate,
      [](std::size_t value, const TensorSpec& tensor) { return value < tensor.offset; });
  return static_cast<std::size_t>(std::distance(tensors_.begin(), after)) - 1;
}

}  // namespace ams
