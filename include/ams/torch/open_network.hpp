#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ams/torch/network.hpp"

namespace ams {

/// Opens an AOTInductor package (torch.export), which can infer alone: it has no parameters and
/// gives no gradients, and runs on the device that it was compiled for. It contains a program: open
/// only what you trust. Throws Error(io_error) and Error(unavailable).
std::shared_ptr<Network> open_package(const std::string& path);

/// Any network that libams can open. `network`: "edanet", "deeplabv3_mobilenetv2" or "fddwnet", or
/// the path of a TorchScript module (".pt") or of a package (".pt2"). `weights`: path of a
/// safetensors file; empty: values drawn from `seed`, or for a path those in the file, which take
/// no others. `num_classes`, 1 to 254, and `seed` are those of a named network. Throws
/// Error(invalid_argument) with what is allowed, and as open_torchscript(), open_package(),
/// read_safetensors() and load_tensors() do.
std::shared_ptr<Network> open_network(const std::string& network, int num_classes,
                                      const std::string& weights = {}, std::uint64_t seed = 1);

}  // namespace ams
