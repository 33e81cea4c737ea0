#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/torch/student.hpp"
#include "arrays.hpp"
#include "paths.hpp"
#include "torch/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_spec(py::module_& m) {
  py::class_<StudentSpec>(
      m, "StudentSpec",
      R"(Names a student so that a server and a device build the same one. Immutable.

network: "edanet", "deeplabv3_mobilenetv2", or the path of a TorchScript module (".pt") that maps
    float32 [N, 3, H, W] to logits [N, num_classes, h, w], h <= H and w <= W
weights: safetensors file with every tensor of the network; empty: values drawn from `seed`, or
    for a TorchScript module those in its file
num_classes: 2 to 254 outputs of the network; one output of 2 classes is the logit of class 1
input_width, input_height: pixels, 32 to 4096
selected_classes: two or more ascending class ids that loss and argmax are over (section 4.1);
    empty: all
mean, standard_deviation: per channel of RGB in 0 to 1; the defaults are ImageNet's
train_batch_norm_statistics: they are trained and travel in every update, else they are frozen
normalization, head: patterns of names (* and ?) of the tensors of these roles, where those that the
    types of the layers tell are not the right ones; only who trains needs them
Raises InvalidArgumentError that names the field and its range.)")
      .def(py::init([](const std::filesystem::path& network, const std::filesystem::path& weights,
                       int num_classes, int input_width, int input_height,
                       std::vector<int> selected_classes, Triple mean, Triple standard_deviation,
                       bool train_batch_norm_statistics, std::uint64_t seed,
                       std::vector<std::string> normalization, std::vector<std::string> head) {
             StudentSpec spec;
             spec.network = network.string();
             spec.weights = weights.string();
             spec.num_classes = num_classes;
             spec.input_width = input_width;
             spec.input_height = input_height;
             spec.selected_classes = std::move(selected_classes);
             spec.normalization = to_normalization(mean, standard_deviation);
             spec.train_batch_norm_statistics = train_batch_norm_statistics;
             spec.seed = seed;
             spec.roles = {std::move(normalization), std::move(head)};
             validate(spec);
             return spec;
           }),
           py::kw_only(), "network"_a = "edanet", "weights"_a = "", "num_classes"_a = 19,
           "input_width"_a = 256, "input_height"_a = 128, "selected_classes"_a = std::vector<int>{},
           "mean"_a = to_triple(Normalization{}.mean),
           "standard_deviation"_a = to_triple(Normalization{}.standard_deviation),
           "train_batch_norm_statistics"_a = false, "seed"_a = 1,
           "normalization"_a = std::vector<std::string>{}, "head"_a = std::vector<std::string>{})
      .def_property_readonly("network",
                             [](const StudentSpec& s) { return path_text(s.network); })
      .def_property_readonly("weights",
                             [](const StudentSpec& s) { return path_text(s.weights); })
      .def_readonly("num_classes", &StudentSpec::num_classes)
      .def_readonly("input_width", &StudentSpec::input_width)
      .def_readonly("input_height", &StudentSpec::input_height)
      .def_readonly("selected_classes", &StudentSpec::selected_classes)
      .def_property_readonly("mean",
                             [](const StudentSpec& s) { return to_triple(s.normalization.mean); })
      .def_property_readonly(
          "standard_deviation",
          [](const StudentSpec& s) { return to_triple(s.normalization.standard_deviation); })
      .def_readonly("train_batch_norm_statistics", &StudentSpec::train_batch_norm_statistics)
      .def_readonly("seed", &StudentSpec::seed)
      .def_property_readonly("normalization",
                             [](const StudentSpec& s) { return s.roles.normalization; })
      .def_property_readonly("head", [](const StudentSpec& s) { return s.roles.head; })
      .def("__repr__", [](const StudentSpec& s) {
        return to_str("StudentSpec(network='" + s.network +
                      "', num_classes=" + std::to_string(s.num_classes) +
                      ", input_width=" + std::to_string(s.input_width) +
                      ", input_height=" + std::to_string(s.input_height) + ")");
      });

  py::class_<StudentValues>(m, "StudentValues", "What server and device start from (version 0).")
      .def_property_readonly(
          "manifest",
          [](const StudentValues& s) { return std::const_pointer_cast<Manifest>(s.manifest); })
      .def_property_readonly(
          "values",
          [](const py::object& self) {
            return float_view(self.cast<const StudentValues&>().values, self, false);
          },
          "float32 [dimension], read-only.")
      .def_readonly("fingerprint", &StudentValues::fingerprint,
                    "Digest of all that must agree and is not in the parameter vector.");
  m.def("load_student_values", &load_student_values, "spec"_a,
        py::call_guard<py::gil_scoped_release>(),
        R"(The parameter vector that a student starts from, and its fingerprint.

Raises InvalidArgumentError (a network that cannot be trained, with the reason), IoError,
MalformedDataError, ManifestMismatchError (weights of another network).)");
  m.def("student_network_names", &student_network_names,
        "The names that StudentSpec.network takes besides a path.");
}

}  // namespace ams::python
