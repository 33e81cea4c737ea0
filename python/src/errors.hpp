#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "ams/core/error.hpp"

/// ams::Error <-> the exceptions of ams/errors.py.
namespace ams::python {

namespace py = pybind11;

/// Raises `error` in Python, as the subclass of its code.
inline void set_error(const Error& error) {
  const py::dict classes = py::module_::import("ams.errors").attr("_BY_CODE");
  PyErr_SetString(classes[to_string(error.code())].ptr(), error.what());
}

/// The code that a word of to_string(ErrorCode) names; invalid_argument for any other.
inline ErrorCode parse_error_code(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::protocol_violation); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    if (name == to_string(code)) return code;
  }
  return ErrorCode::invalid_argument;
}

/// For callbacks that C++ calls: what the callable raises as ams.Error is thrown as ams::Error, so
/// that C++ treats it as such; every other exception passes through C++ and comes out of the call
/// into it.
template <class F>
decltype(auto) call_python(F&& f) {
  try {
    return f();
  } catch (const py::error_already_set& raised) {
    if (!raised.matches(py::module_::import("ams.errors").attr("Error"))) throw;
    throw Error(parse_error_code(py::str(raised.value().attr("code"))),
                py::str(raised.value()).cast<std::string>());
  }
}

/// Every extension module calls this first.
inline void register_errors() {
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Error& error) {
      set_error(error);
    }
  });
}

[[noreturn]] inline void throw_invalid(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

}  // namespace ams::python
