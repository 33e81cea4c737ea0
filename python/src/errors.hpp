#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

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

/// Within surface_errors(): the first exception of this thread's callbacks that is no ams.Error.
inline thread_local std::exception_ptr callback_exception;
inline thread_local int surfacing = 0;  ///< calls of surface_errors() under way

inline void note_callback_exception() {
  if (surfacing > 0 && !callback_exception) callback_exception = std::current_exception();
}

/// For callbacks that C++ calls, with the GIL. Throws what `f` raises: an ams.Error as ams::Error,
/// so that C++ treats it as such, every other exception as it is.
template <class F>
decltype(auto) call_python(F&& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const py::error_already_set& raised) {
    if (raised.matches(py::module_::import("ams.errors").attr("Error"))) {
      throw Error(parse_error_code(py::str(raised.value().attr("code"))),
                  py::str(raised.value()).cast<std::string>());
    }
    note_callback_exception();
    throw;
  } catch (...) {
    note_callback_exception();
    throw;
  }
}

/// Calls into C++ that takes every exception for the failure of a part and goes on (hosts). An
/// exception of a callback that is no ams.Error is thrown when `f` is done, so that neither a
/// mistake nor Ctrl-C goes unseen.
template <class F>
auto surface_errors(F&& f) {
  struct Outer {
    std::exception_ptr before = std::exchange(callback_exception, nullptr);
    Outer() { ++surfacing; }
    ~Outer() {
      --surfacing;
      callback_exception = before;
    }
  } const outer;
  const auto rethrow = [] {
    if (callback_exception) std::rethrow_exception(std::exchange(callback_exception, nullptr));
  };
  if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
    f();
    rethrow();
  } else {
    auto result = f();
    rethrow();
    return result;
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
