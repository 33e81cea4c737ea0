#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/csrc/Device.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>
#include <torch/torch.h>

#include <string>
#include <utility>
#include <vector>

#include "ams/torch/network.hpp"
#include "ams/torch/open_device.hpp"
#include "torch/common.hpp"

/// Tensors and devices as Python names them.
namespace ams::python {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

inline NamedTensors to_pairs(const std::vector<NetworkTensor>& tensors) {
  NamedTensors pairs;
  for (const NetworkTensor& item : tensors) pairs.emplace_back(item.name, item.tensor);
  return pairs;
}

/// A torch.device, or its name. Throws as open_device() does.
inline at::Device to_device(const py::object& device) {
  if (!py::isinstance<py::str>(device) && !THPDevice_Check(device.ptr())) {
    throw_invalid("a device is a torch.device or its name; found " +
                  repr_text(device).substr(0, 80));
  }
  return open_device(to_text(device));
}

}  // namespace ams::python
