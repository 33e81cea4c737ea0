#include "ams/session/turn_scheduler.hpp"

#include <pybind11/pybind11.h>

#include <cstddef>
#include <utility>

#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// Any Python object, by its own ==.
struct TurnId {
  py::object value;
  friend bool operator==(const TurnId& a, const TurnId& b) { return a.value.equal(b.value); }
};

}  // namespace

void bind_turn_scheduler(py::module_& m) {
  using T = TurnScheduler<TurnId>;
  py::class_<T>(m, "TurnScheduler", R"(
Fair turns on the trainer among sessions: round robin (section 4.3, figure 6). Sessions are any
objects that compare with ==. Not thread-safe.)")
      .def(py::init([](std::size_t slots) {
             if (slots < 1) throw_invalid("slots is 0; allowed is 1 or more");
             return T(slots);
           }),
           "slots"_a = 1, "slots: turns that may be out at once (the number of trainers), >= 1.")
      .def(
          "request", [](T& self, py::object id) { self.request({std::move(id)}); }, "session"_a,
          "Puts the session at the back of the queue. No effect when it waits already.")
      .def(
          "grant",
          [](T& self) -> py::object {
            auto id = self.grant();
            return id ? id->value : py::object(py::none());
          },
          "The session whose turn it is, when a slot is free and somebody waits, else None.")
      .def(
          "finish", [](T& self, py::object id) { self.finish({std::move(id)}); }, "session"_a,
          "Takes the turn back.")
      .def(
          "remove", [](T& self, py::object id) { self.remove({std::move(id)}); }, "session"_a,
          "Forgets a session that is gone.")
      .def_property_readonly("waiting", &T::waiting, "Sessions in the queue.")
      .def_property_readonly("running", &T::running, "Turns that are out.");
}

}  // namespace ams::python
