#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <type_traits>
#include <utility>

#include "errors.hpp"

/// Virtual functions that Python classes override.
namespace ams::python {

/// What the Python subclass of `self` says, else what `otherwise` gives. Takes the GIL.
template <class Result, class Base, class Otherwise, class... Arguments>
Result overridden(const Base* self, const char* name, Otherwise&& otherwise,
                  Arguments&&... arguments) {
  const py::gil_scoped_acquire gil;
  return call_python([&]() -> Result {
    const py::function method = py::get_override(self, name);
    if (!method) return otherwise();
    const py::object result = method(std::forward<Arguments>(arguments)...);
    if constexpr (!std::is_void_v<Result>) return result.cast<Result>();
  });
}

/// For what has no default.
[[noreturn]] inline void throw_not_overridden(const std::string& name) {
  PyErr_SetString(PyExc_NotImplementedError, (name + " is not overridden").c_str());
  throw py::error_already_set();
}

/// An attribute of the Python object that `self` is; its class has a property of that name that
/// gives the default.
template <class Result, class Base>
Result attribute(const Base* self, const char* name) {
  const py::gil_scoped_acquire gil;
  return call_python([&] {
    return py::cast(self, py::return_value_policy::reference).attr(name).template cast<Result>();
  });
}

}  // namespace ams::python
