#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/torch/parameter_vector.hpp"
#include "arrays.hpp"
#include "option_fields.hpp"
#include "torch/tensors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

template <class Keep>
std::vector<NetworkTensor> collect_tensors(const py::object& named, Keep keep) {
  std::vector<NetworkTensor> tensors;
  for (const py::handle item : named) {
    std::pair<std::string, at::Tensor> pair;
    try {
      pair = item.cast<std::pair<std::string, at::Tensor>>();
    } catch (const py::cast_error&) {
      throw_invalid("tensors are given as (name, tensor) pairs; found " +
                    repr_text(item).substr(0, 80));
    }
    NetworkTensor tensor{std::move(pair.first), std::move(pair.second)};
    if (keep(tensor)) tensors.push_back(std::move(tensor));
  }
  return tensors;
}

/// As the networks of the library have them: what find_tensor_roles() of tensor_roles.py says.
void assign_roles(std::vector<NetworkTensor>& tensors, const py::object& module) {
  const py::dict roles =
      py::module_::import("ams.torch.tensor_roles").attr("find_tensor_roles")(module);
  for (NetworkTensor& item : tensors) {
    if (roles.contains(item.name)) read_argument(item.role, "a role", roles[py::str(item.name)]);
  }
}

void assign_roles(std::vector<NetworkTensor>& tensors, const RolePatterns& patterns) {
  if (patterns.normalization.empty() && patterns.head.empty()) return;
  std::vector<TensorSpec> specs;
  for (const NetworkTensor& item : tensors)
    specs.push_back({item.name, item.tensor.sizes().vec(), TensorKind::parameter, item.role});
  const Manifest manifest = Manifest(std::move(specs)).with_roles(patterns);
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].role = manifest.tensors()[i].role;
}

std::unique_ptr<ParameterVector> make_parameter_vector(const py::object& source,
                                                       bool with_statistics,
                                                       const RolePatterns& patterns) {
  const auto trainable = [](const NetworkTensor& item) { return item.tensor.requires_grad(); };
  std::vector<NetworkTensor> parameters;
  std::vector<NetworkTensor> statistics;
  const bool is_module = py::hasattr(source, "named_modules");
  py::object names;
  if (is_module) names = py::module_::import("ams.torch.wrappers");
  if (py::isinstance<Network>(source)) {
    parameters = source.cast<const Network&>().parameters();
    std::erase_if(parameters, std::not_fn(trainable));
  } else if (is_module) {
    parameters = collect_tensors(names.attr("named_parameters")(source), trainable);
    assign_roles(parameters, source);
  } else if (py::hasattr(source, "named_parameters")) {
    parameters = collect_tensors(source.attr("named_parameters")(), trainable);
  } else {
    if (!py::isinstance<py::iterable>(source)) {
      throw_invalid("parameters are those of a module, or (name, tensor) pairs; found " +
                    repr_text(source).substr(0, 80));
    }
    if (with_statistics) throw_invalid("with_statistics needs a module, not only its parameters");
    parameters = collect_tensors(source, trainable);
  }
  assign_roles(parameters, patterns);
  if (with_statistics) {
    statistics = collect_tensors(
        is_module ? names.attr("named_buffers")(source) : source.attr("named_buffers")(),
        is_batch_norm_statistic);
  }
  return std::make_unique<ParameterVector>(std::move(parameters), std::move(statistics));
}

/// A vector of the host or of a device.
void load_values(ParameterVector& vector, const py::object& values) {
  if (!THPVariable_Check(values.ptr())) {
    vector.load(ConstFloats(values, "values").span());
    return;
  }
  const auto tensor = values.cast<at::Tensor>();
  if (tensor.scalar_type() != at::kFloat || tensor.sizes() != vector.values().sizes()) {
    throw_invalid("values are " + tensor.toString() + " of " + std::to_string(tensor.numel()) +
                  " values; needed are float32 [" + std::to_string(vector.values().numel()) + "]");
  }
  const at::NoGradGuard no_gradients;
  at::Tensor(vector.values()).copy_(tensor);
}

}  // namespace

void bind_parameter_vector(py::module_& m) {
  py::class_<ParameterVector>(
      m, "ParameterVector",
      R"(A module's trainable tensors as one flat float32 vector, on their device.

module_or_named_tensors: anything with named_parameters() (a torch.nn.Module, a Network), or
    (name, tensor) pairs; those that require a gradient are taken, a tensor under two names once
with_statistics: batch-norm moving statistics follow behind all parameters
normalization, head: patterns of names as ams.Manifest.with_roles() takes them, in place of the
    roles that the types of the module's layers tell: 'normalization' for scale and shift of batch,
    group, layer, instance and RMS norm, 'head' for the last layer in registration order that has
    parameters of its own to train and is no normalisation; pairs tell none
The tensors become views of `values`, and their `.grad` of `gradients`: move and convert the module
before. Not thread-safe. Raises InvalidArgumentError when nothing requires a gradient, or a tensor
is not dense float32 on the device of the others.)")
      .def(py::init([](const py::object& source, bool with_statistics,
                       std::vector<std::string> normalization, std::vector<std::string> head) {
             return make_parameter_vector(source, with_statistics,
                                          {std::move(normalization), std::move(head)});
           }),
           "module_or_named_tensors"_a, py::kw_only(), "with_statistics"_a = false,
           "normalization"_a = std::vector<std::string>{}, "head"_a = std::vector<std::string>{})
      .def_property_readonly(
          "manifest",
          [](const ParameterVector& v) { return std::const_pointer_cast<Manifest>(v.manifest()); },
          "The layout: names and shapes in order.")
      .def_property_readonly("values", &ParameterVector::values, "float32 tensor [dimension].")
      .def_property_readonly("gradients", &ParameterVector::gradients,
                             "float32 tensor [dimension]; zeros where none is computed.")
      .def(
          "named_tensors", [](const ParameterVector& v) { return to_pairs(v.tensors()); },
          "(name, tensor) pairs in the manifest's order.")
      .def("load", &load_values, "values"_a,
           "Takes over float32 [dimension]: a numpy array, or a tensor on any device.")
      .def(
          "copy", [](const ParameterVector& v) { return to_array(v.copy()); },
          "The values as a new numpy array, float32 [dimension].")
      .def("set_required_gradients", &ParameterVector::set_required_gradients, "flags"_a,
           "One flag a tensor of the manifest: backward() computes no gradient for the others\n"
           "(`requires_grad` is turned off). All gradients are zero then.")
      .def("zero_gradients", &ParameterVector::zero_gradients)
      .def("gather_gradients", &ParameterVector::gather_gradients,
           "Puts right what zero_grad(set_to_none=True) and others do to `.grad`: gradients in\n"
           "memory of their own become views of `gradients` again, missing ones zeros. Raises\n"
           "InvalidArgumentError when the module's values are views no more.");
}

}  // namespace ams::python
