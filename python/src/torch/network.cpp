#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "ams/torch/open_network.hpp"
#include "paths.hpp"
#include "torch/tensors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_network(py::module_& m) {
  py::class_<Network, std::shared_ptr<Network>>(
      m, "Network", R"(A network of libams, or of a file, as a callable on tensors, with gradients.

Parameters and buffers are the network's own tensors. Not thread-safe. What torch itself refuses
(a shape, a device) is its RuntimeError.)")
      .def(
          "__call__",
          [](Network& network, const at::Tensor& input) { return network.forward(input); },
          "input"_a, py::call_guard<py::gil_scoped_release>(),
          "float32 [N, 3, H, W] to logits [N, classes, h, w]; h and w may be smaller than H and W.")
      .def_property_readonly("align_corners", &Network::align_corners,
                             "How coarse logits are resized, as in torch's interpolate.")
      .def(
          "named_parameters", [](const Network& n) { return to_pairs(n.parameters()); },
          "(name, tensor) pairs in forward order.")
      .def(
          "named_buffers", [](const Network& n) { return to_pairs(n.buffers()); },
          "(name, tensor) pairs.")
      .def(
          "train",
          [](std::shared_ptr<Network> network, bool mode) {
            network->train(mode);
            return network;
          },
          "mode"_a = true, "Batch norm: statistics of the batch, or the moving ones.")
      .def("eval",
           [](std::shared_ptr<Network> network) {
             network->train(false);
             return network;
           })
      .def(
          "to",
          [](std::shared_ptr<Network> network, const py::object& device) {
            network->to(to_device(device));
            return network;
          },
          "device"_a);
  m.def(
      "open_network",
      [](const std::filesystem::path& network, int num_classes,
         const std::filesystem::path& weights, std::uint64_t seed) {
        return open_network(network.string(), num_classes, weights.string(), seed);
      },
      "network"_a, py::kw_only(), "num_classes"_a = 19, "weights"_a = "", "seed"_a = 1,
      py::call_guard<py::gil_scoped_release>(),
      R"(Opens any network that the programs can open.

network: "edanet", "deeplabv3_mobilenetv2", "fddwnet", or the path of a TorchScript module (".pt")
    or an AOTInductor package (".pt2", for inference alone); a file contains a program: open only
    what you trust
weights: safetensors file of a named network; empty: values drawn from `seed` num_classes: 1 to 254
outputs of a named network Raises InvalidArgumentError, IoError, MalformedDataError,
ManifestMismatchError, UnavailableError.)");
}

}  // namespace ams::python
