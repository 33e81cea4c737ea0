#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

namespace detail::manifest_difference {

inline std::string shape_text(const TensorSpec& tensor) {
  std::string text = "[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", tensor.shape[i]);
  }
  return text + (tensor.kind == TensorKind::statistic ? "] (statistic)" : "]");
}

/// The first few, and how many more.
inline void append(std::string& text, std::string_view start,
                   const std::vector<std::string>& items) {
  constexpr std::size_t shown = 3;
  if (items.empty()) return;
  if (!text.empty()) text += "; ";
  text += start;
  for (std::size_t i = 0; i < items.size() && i < shown; ++i) {
    text += (i == 0 ? "" : ", ") + items[i];
  }
  if (items.size() > shown) text += fmt::format(" and {} more", items.size() - shown);
}

}  // namespace detail::manifest_difference

/// What differs between two manifests, by name: the first few tensors that only one has, that have
/// other shapes or kinds, and the first in another place. `one_name` and `other_name` say whose
/// they are. Empty when the digests are equal.
inline std::string manifest_difference(const Manifest& one, const Manifest& other,
                                       std::string_view one_name = "the first",
                                       std::string_view other_name = "the second") {
  if (one.digest() == other.digest()) return {};
  std::map<std::string_view, const TensorSpec*> others;
  for (const TensorSpec& tensor : other.tensors()) others.emplace(tensor.name, &tensor);
  std::vector<std::string> only_one, only_other, shapes;
  for (const TensorSpec& tensor : one.tensors()) {
    const auto found = others.find(tensor.name);
    if (found == others.end()) {
      only_one.push_back(fmt::format("'{}'", tensor.name));
      continue;
    }
    const TensorSpec& twin = *found->second;
    others.erase(found);
    if (tensor.shape == twin.shape && tensor.kind == twin.kind) continue;
    using detail::manifest_difference::shape_text;
    shapes.push_back(fmt::format("'{}' is {} in {} and {} in {}", tensor.name, shape_text(tensor),
                                 one_name, shape_text(twin), other_name));
  }
  for (const TensorSpec& tensor : other.tensors()) {
    if (others.count(tensor.name) != 0) only_other.push_back(fmt::format("'{}'", tensor.name));
  }
  std::string text;
  detail::manifest_difference::append(text, fmt::format("only {} has ", one_name), only_one);
  detail::manifest_difference::append(text, fmt::format("only {} has ", other_name), only_other);
  detail::manifest_difference::append(text, "", shapes);
  if (!text.empty()) return text;
  std::size_t i = 0;  // the same tensors: one is in another place
  while (one.tensors()[i].name == other.tensors()[i].name) ++i;
  return fmt::format("tensor {} is '{}' in {} and '{}' in {}", i, one.tensors()[i].name, one_name,
                     other.tensors()[i].name, other_name);
}

}  // namespace ams
