#include "ams/runtime/executor.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "bindings.hpp"
#include "errors.hpp"
#include "fields.hpp"

namespace py = pybind11;

namespace ams::python {

template <>
struct EnumWords<WorkKind> {
  static constexpr std::array words{
      std::pair{"label", WorkKind::label},     std::pair{"train", WorkKind::train},
      std::pair{"sample", WorkKind::sample},   std::pair{"encode", WorkKind::encode},
      std::pair{"publish", WorkKind::publish}, std::pair{"save", WorkKind::save},
      std::pair{"show", WorkKind::show}};
};

void bind_executor(py::module_& m) {
  py::class_<WorkCost>(m, "WorkCost", "What a piece of work took.")
      .def_readonly("frames", &WorkCost::frames, "Decoded, labelled or encoded.")
      .def_readonly("iterations", &WorkCost::iterations, "Of training.")
      .def_readonly("batch_size", &WorkCost::batch_size, "Of training.")
      .def_readonly("measured_seconds", &WorkCost::measured_seconds, "Wall time of the long part.");
  py::class_<Work, std::shared_ptr<Work>>(m, "Work", R"(
A piece of a host's work: a long part, then what follows from it.)")
      .def_property_readonly(
          "kind", [](const Work& self) { return to_word(self.kind); },
          "'label', 'train' and 'show' on a server, "
          "'sample', 'encode', 'publish' and 'save' on a device.")
      .def_readonly("session", &Work::session,
                    "Whose: pieces of one kind and one session run one after another, in order.")
      .def(
          "run", [](Work& self) { return surface_errors([&] { return self.run(); }); },
          "The long part. None: it was not wanted any more, and finish() is not called.")
      .def(
          "finish", [](Work& self) { surface_errors([&] { self.finish(); }); },
          "What follows from it.");
}

}  // namespace ams::python
