#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/manifest.hpp"
#include "ams/core/manifest_difference.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "option_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

TensorSpec to_tensor_spec(const py::handle& item) {
  if (py::isinstance<TensorSpec>(item)) return item.cast<TensorSpec>();
  const bool is_sequence = PySequence_Check(item.ptr()) && !py::isinstance<py::str>(item);
  const std::size_t size = is_sequence ? py::len(item) : 0;
  if (size < 2 || size > 4) {
    throw_invalid("a tensor of a Manifest is " + repr_text(item) +
                  "; allowed are TensorSpec, (name, shape), (name, shape, kind) and (name, shape, "
                  "kind, role)");
  }
  const auto parts = py::tuple(py::reinterpret_borrow<py::object>(item));
  TensorSpec spec;
  read_argument(spec.name, "the name of a tensor", parts[0]);
  if (!PySequence_Check(parts[1].ptr())) {
    throw_invalid("the shape of tensor '" + spec.name + "' is " + repr_text(parts[1]) +
                  "; allowed are extents, as in (8, 3, 3, 3) or ()");
  }
  for (const py::handle extent : parts[1]) {
    std::int64_t value = 0;
    read_argument(value, "the shape of tensor '" + spec.name + "'", extent);
    spec.shape.push_back(value);
  }
  if (size > 2) read_argument(spec.kind, "the kind of tensor '" + spec.name + "'", parts[2]);
  if (size > 3) read_argument(spec.role, "the role of tensor '" + spec.name + "'", parts[3]);
  return spec;
}

}  // namespace

void bind_manifest(py::module_& m) {
  py::class_<TensorSpec>(m, "TensorSpec",
                         "One tensor's place in the flat float32 parameter vector.")
      .def_readonly("name", &TensorSpec::name, "As the network's framework names it.")
      .def_property_readonly(
          "shape", [](const TensorSpec& s) { return py::tuple(py::cast(s.shape)); },
          "The extents; empty for a scalar.")
      .def_property_readonly(
          "kind", [](const TensorSpec& s) { return to_word(s.kind); },
          "'parameter' (trained) or 'statistic' (follows the data).")
      .def_property_readonly(
          "role", [](const TensorSpec& s) { return to_word(s.role); },
          "For strategies and learning rates by group: 'normalization' (scale or shift of a "
          "normalisation layer), 'head' (the classifier) or 'weight' (whatever else).")
      .def_readonly("offset", &TensorSpec::offset, "First coordinate, in values.")
      .def_readonly("size", &TensorSpec::size, "Number of values.")
      .def("__repr__", [](const TensorSpec& s) {
        return "TensorSpec('" + s.name + "', " + repr_text(py::tuple(py::cast(s.shape))) + ", '" +
               to_word(s.kind) + "', '" + to_word(s.role) + "')";
      });

  py::class_<Manifest, std::shared_ptr<Manifest>>(m, "Manifest", R"(
The layout of a network's flat parameter vector: which tensor stands where.

Server and device must have the same manifest; its digest travels with every update. Immutable; safe
to read from any thread.

    Manifest([("conv.weight", (8, 3, 3, 3)), ("bn.running_mean", (8,), "statistic")])
    Manifest([("bn.weight", (8,), "parameter", "normalization")])
)")
      .def(py::init([](const py::iterable& tensors) {
             std::vector<TensorSpec> specs;
             for (const py::handle item : tensors) specs.push_back(to_tensor_spec(item));
             return std::make_shared<Manifest>(std::move(specs));
           }),
           "tensors"_a, R"(
tensors: (name, shape) each, in the order of the vector, or with more behind it, (name, shape, kind,
role); kind is 'parameter' or 'statistic', role is 'weight', 'normalization' or 'head'. Raises
InvalidArgumentError on an empty or repeated name, an extent below 1, more than 8 extents or a
vector of 2^32 values and more.)")
      .def_property_readonly(
          "tensors",
          [](const Manifest& self) {
            return std::vector<TensorSpec>(self.tensors().begin(), self.tensors().end());
          },
          "The tensors, with their offset and size.")
      .def_property_readonly("dimension", &Manifest::dimension, "Number of values.")
      .def_property_readonly("has_statistics", &Manifest::has_statistics,
                             "Is any tensor a statistic?")
      .def_property_readonly(
          "digest", &Manifest::digest,
          "64-bit digest over names, shapes and kinds, the same on every machine.")
      .def(
          "with_roles",
          [](const Manifest& self, std::vector<std::string> normalization,
             std::vector<std::string> head) {
            return std::make_shared<Manifest>(
                self.with_roles({std::move(normalization), std::move(head)}));
          },
          py::kw_only(), "normalization"_a = std::vector<std::string>{},
          "head"_a = std::vector<std::string>{}, R"(
The same layout and digest with other roles. Parameters whose names match a role's patterns get that
role; others that had it become 'weight'. The head wins where both match. In a pattern * stands for
any characters, ? for one. Raises InvalidArgumentError for a pattern that matches no parameter.)")
      .def(
          "difference",
          [](const Manifest& self, const Manifest& other, const std::string& own_name,
             const std::string& other_name) {
            return manifest_difference(self, other, own_name, other_name);
          },
          "other"_a, "own_name"_a = "this", "other_name"_a = "the other", R"(
What differs, by name, for people: tensors that only one has, other shapes, kinds or places. Empty
when the digests are equal. own_name, other_name: whose the two are, in that text.)")
      .def("tensor_of", &Manifest::tensor_of, "coordinate"_a,
           "Index into tensors of the one that holds this coordinate.")
      .def(
          "__eq__", [](const Manifest& a, const Manifest& b) { return a.digest() == b.digest(); },
          py::is_operator())
      .def("__hash__", &Manifest::digest)
      .def("__repr__",
           [](const Manifest& self) {
             return "<Manifest of " + std::to_string(self.tensors().size()) + " tensors, " +
                    std::to_string(self.dimension()) + " values>";
           })
      .def(py::pickle(
          [](const Manifest& self) {
            py::list tensors;
            for (const TensorSpec& t : self.tensors())
              tensors.append(py::make_tuple(t.name, t.shape, to_word(t.kind), to_word(t.role)));
            return py::make_tuple(tensors);
          },
          [](const py::tuple& state) {
            std::vector<TensorSpec> specs;
            for (const py::handle item : state[0].cast<py::list>())
              specs.push_back(to_tensor_spec(item));
            return std::make_shared<Manifest>(std::move(specs));
          }));
}

}  // namespace ams::python
