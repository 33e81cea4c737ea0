#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ams/core/error.hpp"

/// ams::Error <-> the exceptions of ams/errors.py.
namespace ams::python {

namespace py = pybind11;

/// Text of C++, which may quote anybody's bytes, as a Python string. A byte that is not UTF-8
/// becomes \xe9 or the like.
inline py::str to_str(std::string_view text) {
  auto decoded = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
      text.data(), static_cast<py::ssize_t>(text.size()), "backslashreplace"));
  if (!decoded) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded.release());
}

/// str(object) as UTF-8: a lone surrogate becomes \udce9 or the like.
inline std::string to_text(const py::handle& object) {
  const auto bytes = py::reinterpret_steal<py::bytes>(
      PyUnicode_AsEncodedString(py::str(object).ptr(), "utf-8", "backslashreplace"));
  if (!bytes) throw py::error_already_set();
  return bytes;
}

/// repr(object), likewise.
inline std::string repr_text(const py::handle& object) {
  return to_text(py::repr(object));
}

/// Raises `error` in Python, as the subclass of its code. The one place where an error's text
/// becomes Python's.
inline void set_error(const Error& error) {
  const py::dict classes = py::module_::import("ams.errors").attr("_BY_CODE");
  PyErr_SetObject(classes[to_string(error.code())].ptr(), to_str(error.what()).ptr());
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
      throw Error(parse_error_code(to_text(raised.value().attr("code"))), to_text(raised.value()));
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
    } catch (const std::filesystem::filesystem_error& error) {
      set_error(Error(ErrorCode::io_error, error.what()));
    }
  });
}

[[noreturn]] inline void throw_invalid(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

}  // namespace ams::python
