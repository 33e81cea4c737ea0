#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ams/torch/network.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

inline bool is_torchscript_path(std::string_view network) {
  return network.ends_with(".pt");
}
inline bool is_package_path(std::string_view network) {
  return network.ends_with(".pt2");
}

/// A student network by its name; null for any other name.
std::shared_ptr<Network> make_named_network(const std::string& name, int num_classes);

/// load_tensors() from a file, with its path in the messages.
void load_weights(Network& network, const std::string& path);

/// For a name that is none of the library's: when it is the path of a file, throws an Error that
/// says what the file is, if its content tells.
void require_no_other_network(const std::string& name);

/// Throw Error(invalid_argument) with what is allowed.
void validate_classes(const std::vector<int>& selected, int num_classes);
void validate_input(int num_classes, int width, int height, const Normalization& normalization);

}  // namespace ams
