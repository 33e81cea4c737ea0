#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "ams/core/model_state.hpp"
#include "ams/core/update_codec.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_model_state(py::module_& m) {
  py::class_<ModelVersion>(m, "ModelVersion", R"(
Names what a device holds: the number of updates since version 0, and the digest of the values and
of what profile 'compact' has learned.)")
      .def(py::init([](std::uint32_t number, Digest digest) {
             return ModelVersion{number, digest};
           }),
           "number"_a = 0, "digest"_a = 0)
      .def_readonly("number", &ModelVersion::number, "Updates since version 0.")
      .def_readonly("digest", &ModelVersion::digest, "64-bit digest of what is held.")
      .def(
          "__eq__", [](const ModelVersion& a, const ModelVersion& b) { return a == b; },
          py::is_operator())
      .def("__hash__", [](const ModelVersion& self) { return mix64(self.digest + self.number); })
      .def("__repr__",
           [](const ModelVersion& self) {
             return "ModelVersion(number=" + std::to_string(self.number) +
                    ", digest=" + std::to_string(self.digest) + ")";
           })
      .def(py::pickle(
          [](const ModelVersion& self) { return py::make_tuple(self.number, self.digest); },
          [](const py::tuple& state) {
            return ModelVersion{state[0].cast<std::uint32_t>(), state[1].cast<Digest>()};
          }));

  py::class_<ModelState>(m, "ModelState", R"(
The parameter vector at one version: what a device holds, and what its server knows it holds; with
it, what profile 'compact' has learned from the updates so far.

Only encode_update() and apply_update() move it to another version, so its digest always belongs to
its content. Reading is thread-safe; updating is not: give a state to one thread.)")
      .def(py::init([](const std::shared_ptr<Manifest>& manifest, const ArrayLike& values,
                       std::uint32_t version_number) {
             return ModelState(manifest, ConstFloats(values, "values").copy(), version_number);
           }),
           "manifest"_a.none(false), "values"_a, py::kw_only(), "version_number"_a = 0, R"(
values: float32 [manifest.dimension], finite; copied. Raises InvalidArgumentError.)")
      .def_property_readonly(
          "manifest",
          [](const ModelState& self) {
            return std::const_pointer_cast<Manifest>(self.manifest_ptr());
          },
          "The layout of the values.")
      .def_property_readonly(
          "values",
          [](const py::object& self) {
            return float_view(self.cast<const ModelState&>().values(), self, false);
          },
          "The values, float32 [dimension]: a read-only view that follows updates. Copy it to keep "
          "it.")
      .def_property_readonly("version", &ModelState::version, "Number and digest of what is held.")
      .def(
          "copy", [](const ModelState& self) { return ModelState(self); },
          "An independent state of the same version.")
      .def("__copy__", [](const ModelState& self) { return ModelState(self); })
      .def(
          "__deepcopy__", [](const ModelState& self, const py::dict&) { return ModelState(self); },
          "memo"_a)
      .def("__repr__",
           [](const ModelState& self) {
             return "<ModelState version " + std::to_string(self.version().number) + ", " +
                    std::to_string(self.values().size()) + " values>";
           })
      .def(py::pickle(
          [](const ModelState& self) {
            return py::make_tuple(std::const_pointer_cast<Manifest>(self.manifest_ptr()),
                                  to_bytes(encode_snapshot(self)));
          },
          [](const py::tuple& state) {
            return decode_snapshot(ConstBytes(state[1], "the snapshot").span(),
                                   state[0].cast<std::shared_ptr<Manifest>>());
          }));
}

}  // namespace ams::python
