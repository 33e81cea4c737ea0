#pragma once

#include <torch/script.h>
#include <torch/torch.h>

#include <vector>

#include "ams/torch/network.hpp"

namespace ams {

/// A module's parameters in registration order, with the roles that Network::parameters()
/// describes.
std::vector<NetworkTensor> parameters_with_roles(const torch::nn::Module& module);
std::vector<NetworkTensor> parameters_with_roles(const torch::jit::Module& module);

}  // namespace ams
