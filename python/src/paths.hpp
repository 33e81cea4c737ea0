#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace ams::python {

/// A path as a str of Python's, as os.fsdecode() has it: open() takes it, whatever bytes it has.
inline pybind11::str path_text(const std::string& path) {
  const auto text = pybind11::reinterpret_steal<pybind11::object>(PyUnicode_DecodeFSDefaultAndSize(
      path.data(), static_cast<pybind11::ssize_t>(path.size())));
  if (!text) throw pybind11::error_already_set();
  return text;
}

}  // namespace ams::python

/// std::filesystem::path in signatures of bindings.
#if __has_include(<pybind11/stl/filesystem.h>)
#include <pybind11/stl/filesystem.h>
#else  // the copy of pybind11 that torch 2.7 brings lacks that header

#include <filesystem>

namespace pybind11::detail {

template <>
struct type_caster<std::filesystem::path> {
  PYBIND11_TYPE_CASTER(std::filesystem::path, const_name("os.PathLike"));

  /// str, bytes and whatever has __fspath__.
  bool load(handle source, bool) {
    PyObject* bytes = nullptr;
    if (PyUnicode_FSConverter(source.ptr(), &bytes) == 0) {
      PyErr_Clear();
      return false;
    }
    const auto owner = reinterpret_steal<object>(bytes);
    value =
        std::string(PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes)));
    return true;
  }

  static handle cast(const std::filesystem::path& path, return_value_policy, handle) {
    const std::string& name = path.native();
    const auto text = reinterpret_steal<object>(
        PyUnicode_DecodeFSDefaultAndSize(name.data(), static_cast<Py_ssize_t>(name.size())));
    if (!text) return {};
    return module_::import("pathlib").attr("Path")(text).release();
  }
};

}  // namespace pybind11::detail

#endif
