#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_coordinate_set(py::module_& m) {
  py::class_<CoordinateSet>(m, "CoordinateSet", R"(
A set of coordinates of a parameter vector: the I_n of Algorithm 2. Immutable; safe to read from any
thread. len() is the number of coordinates, | the union of two sets of one dimension.)")
      .def_static("all", &CoordinateSet::all, "dimension"_a,
                  "Every coordinate of a vector of `dimension` values, at most 2^32 - 1.")
      .def_static(
          "from_sorted",
          [](std::size_t dimension, const CoordinatesLike& indices) {
            return to_coordinates(indices, dimension);
          },
          "dimension"_a, "indices"_a, R"(
indices: strictly ascending integers [n] below `dimension`, or a boolean mask [dimension]. Raises
InvalidArgumentError on anything else.)")
      .def_property_readonly("dimension", &CoordinateSet::dimension, "Length of the vector.")
      .def_property_readonly("is_all", &CoordinateSet::is_all, "Is every coordinate in the set?")
      .def_property_readonly(
          "indices",
          [](const CoordinateSet& self) {
            std::vector<std::uint32_t> indices;
            indices.reserve(self.size());
            self.for_each([&](std::uint32_t i) { indices.push_back(i); });
            return to_array(std::move(indices));
          },
          "The ascending indices, a new uint32 array [len].")
      .def("__len__", &CoordinateSet::size)
      .def("__or__", &CoordinateSet::unite, "other"_a)
      .def(
          "__eq__", [](const CoordinateSet& a, const CoordinateSet& b) { return a == b; },
          py::is_operator())
      .def("__repr__",
           [](const CoordinateSet& self) {
             return "<CoordinateSet: " + std::to_string(self.size()) + " of " +
                    std::to_string(self.dimension()) + ">";
           })
      .def(py::pickle(
          [](const CoordinateSet& self) {
            const std::vector<std::uint32_t> indices(self.indices().begin(), self.indices().end());
            return py::make_tuple(self.dimension(), self.is_all(), to_array(indices));
          },
          [](const py::tuple& state) {
            const auto dimension = state[0].cast<std::size_t>();
            return state[1].cast<bool>() ? CoordinateSet::all(dimension)
                                         : to_coordinates(state[2], dimension);
          }));
}

}  // namespace ams::python
