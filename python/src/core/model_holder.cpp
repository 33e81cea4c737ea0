#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "ams/core/model_holder.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using PythonHolder = DoubleBufferedHolder<py::object>;

/// `with holder.read() as model`: what it reads stays as it is until the block ends.
struct PythonReadGuard {
  std::shared_ptr<PythonHolder> holder;
  std::optional<PythonHolder::ReadGuard> guard;
};

}  // namespace

void bind_model_holder(py::module_& m) {
  py::class_<PythonReadGuard>(m, "ModelReadGuard",
                              "Access to the active copy of a ModelHolder within a with block.")
      .def("__enter__",
           [](PythonReadGuard& self) {
             if (self.guard)
               throw_invalid("this ModelReadGuard is in use already; call read() for each block");
             self.guard.emplace(self.holder->read());
             return **self.guard;
           })
      .def("__exit__", [](PythonReadGuard& self, const py::args&) { self.guard.reset(); })
      .def_property_readonly(
          "generation",
          [](const PythonReadGuard& self) {
            if (!self.guard) throw_invalid("generation is only known within the with block");
            return self.guard->generation();
          },
          "How many updates had been published when this copy became active.");

  py::class_<PythonHolder, std::shared_ptr<PythonHolder>>(m, "ModelHolder", R"(
Two copies of a model, of which readers use the active one while the next version is made in the
inactive one (section 3, "Edge device"). Inference never waits for an update and never sees half of
one.

    holder = ModelHolder(model)                      # with a deep copy of it as the second
    with holder.read() as active:                    # inference thread, for every frame
        labels = active(frame)
    holder.update(lambda inactive, active: inactive.load(values))   # network thread

Any number of threads may read and update. update() waits for readers of the copy that it is about
to write, without the GIL; a thread that calls it within its own read() block waits for itself,
until Ctrl-C.)")
      .def(py::init([](py::object active, py::object inactive) {
             if (inactive.is_none())
               inactive = py::module_::import("copy").attr("deepcopy")(active);
             return std::make_shared<PythonHolder>(std::move(active), std::move(inactive));
           }),
           "active"_a, "inactive"_a = py::none(), R"(
Readers see `active` first. inactive: another copy of the model; None makes a deep copy.)")
      .def(
          "read",
          [](const std::shared_ptr<PythonHolder>& self) {
            return PythonReadGuard{self, std::nullopt};
          },
          "The active copy, for one with block. Never waits.")
      .def(
          "update",
          [](const std::shared_ptr<PythonHolder>& self,
             const py::typing::Callable<void(py::object, py::object)>& change) {
            // Waits without the GIL, so that readers get on; the caller's change runs with it.
            const py::gil_scoped_release no_gil;
            constexpr std::chrono::milliseconds patience(50);
            auto look = std::chrono::steady_clock::now() + patience;
            return self->update(
                [&](py::object& inactive, const py::object& active) {
                  const py::gil_scoped_acquire gil;
                  change(inactive, active);
                },
                [&] {
                  const auto now = std::chrono::steady_clock::now();
                  if (now < look) return;
                  look = now + patience;
                  const py::gil_scoped_acquire gil;
                  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
                });
          },
          "change"_a, R"(
Makes the next version: change(inactive, active) gives `inactive` a whole new value in place, and
readers that come after see it. Returns its generation. When `change` raises, nothing is published
and the exception passes on.)");
}

}  // namespace ams::python
