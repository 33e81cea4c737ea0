#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/segmentation/label_map.hpp"
#include "errors.hpp"

/// numpy arrays and bytes <-> what the library takes. Nothing is converted silently: another dtype
/// or shape is an InvalidArgumentError that names the argument.
namespace ams::python {

// Any object, under the name that docstrings and stubs give to what an argument takes.
class ArrayLike : public py::object {
  PYBIND11_OBJECT_DEFAULT(ArrayLike, py::object, PyObject_Type)
};
class BytesLike : public py::object {
  PYBIND11_OBJECT_DEFAULT(BytesLike, py::object, PyObject_Type)
};
class ClassesLike : public py::object {
  PYBIND11_OBJECT_DEFAULT(ClassesLike, py::object, PyObject_Type)
};
class LossLike : public py::object {
  PYBIND11_OBJECT_DEFAULT(LossLike, py::object, PyObject_Type)
};
class CoordinatesLike : public py::object {
  PYBIND11_OBJECT_DEFAULT(CoordinatesLike, py::object, PyObject_Type)
};

inline std::string shape_text(const py::array& array) {
  std::string text = "[";
  for (py::ssize_t i = 0; i < array.ndim(); ++i)
    text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + "]";
}

/// The array that `object` is or shares its memory with (a torch tensor on the CPU, for instance).
/// `dtype` and `dimensions` as given, C-contiguous, else Error(invalid_argument).
template <class T>
py::array as_array(const py::object& object, const char* name, py::ssize_t dimensions) {
  const py::array array =
      py::isinstance<py::array>(object)
          ? py::reinterpret_borrow<py::array>(object)
          : py::array(py::module_::import("numpy").attr("asarray")(object).cast<py::array>());
  if (!py::dtype::of<T>().equal(array.dtype()) || array.ndim() != dimensions ||
      !(array.flags() & py::array::c_style)) {
    throw_invalid(std::string(name) + " is " + to_text(array.dtype()) + " " +
                  shape_text(array) +
                  ((array.flags() & py::array::c_style) ? "" : ", not C-contiguous") +
                  "; allowed is a C-contiguous " + to_text(py::dtype::of<T>()) +
                  " array of " + std::to_string(dimensions) +
                  (dimensions == 1 ? " dimension" : " dimensions"));
  }
  return array;
}

/// A float32 vector that is read. Keeps the array alive, so its values may be read without the GIL.
class ConstFloats {
 public:
  ConstFloats(const py::object& object, const char* name)
      : array_(as_array<float>(object, name, 1)) {}
  std::span<const float> span() const noexcept {
    return {static_cast<const float*>(array_.data()), static_cast<std::size_t>(array_.size())};
  }
  std::vector<float> copy() const { return {span().begin(), span().end()}; }

 private:
  py::array array_;
};

/// A float32 vector that is written in place: a read-only array is refused.
class Floats {
 public:
  Floats(const py::object& object, const char* name) : array_(as_array<float>(object, name, 1)) {
    if (!array_.writeable())
      throw_invalid(std::string(name) + " is read-only; it is written in place");
  }
  std::span<float> span() noexcept {
    return {static_cast<float*>(array_.mutable_data()), static_cast<std::size_t>(array_.size())};
  }

 private:
  py::array array_;
};

/// Any bytes-like object that is read: bytes, bytearray, memoryview, a uint8 array. Holds its
/// buffer, so its bytes may be read without the GIL (and a bytearray cannot change its size
/// meanwhile).
class ConstBytes {
 public:
  ConstBytes(const py::object& object, const char* name) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      throw py::type_error(std::string(name) + " is " +
                           to_text(py::type::of(object).attr("__name__")) +
                           "; allowed is a bytes-like object, such as bytes");
    }
  }
  ConstBytes(const ConstBytes&) = delete;
  ConstBytes& operator=(const ConstBytes&) = delete;
  ~ConstBytes() { PyBuffer_Release(&view_); }
  std::span<const std::byte> span() const noexcept {
    return {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }
  std::vector<std::byte> copy() const { return {span().begin(), span().end()}; }

 private:
  Py_buffer view_ = {};
};

inline py::bytes to_bytes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A numpy array that owns the vector's memory.
template <class T>
py::array_t<T> to_array(std::vector<T> values, std::vector<py::ssize_t> shape) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  T* data = owned->data();
  py::capsule owner(owned.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  owned.release();
  return py::array_t<T>(std::move(shape), data, std::move(owner));
}
template <class T>
py::array_t<T> to_array(std::vector<T> values) {
  const auto size = static_cast<py::ssize_t>(values.size());
  return to_array(std::move(values), {size});
}

/// A view of values that belong to `owner`, which stays alive as long as the view.
inline py::array float_view(std::span<const float> values, const py::handle& owner,
                            bool writeable) {
  py::array view =
      py::array_t<float>({static_cast<py::ssize_t>(values.size())},
                         {static_cast<py::ssize_t>(sizeof(float))}, values.data(), owner);
  if (!writeable) view.attr("setflags")(py::arg("write") = false);
  return view;
}

/// What `coordinates` arguments take: a CoordinateSet, ascending integers, or a boolean mask
/// [dimension].
inline CoordinateSet to_coordinates(const py::object& object, std::size_t dimension) {
  if (py::isinstance<CoordinateSet>(object)) return object.cast<CoordinateSet>();
  const py::array array = py::module_::import("numpy").attr("asarray")(object).cast<py::array>();
  const char kind = array.dtype().kind();
  const bool empty_list = array.size() == 0 && !py::isinstance<py::array>(object);
  if (array.ndim() != 1 || (kind != 'b' && kind != 'i' && kind != 'u' && !empty_list)) {
    throw_invalid(
        "coordinates are " + to_text(array.dtype()) + " " + shape_text(array) +
        "; allowed are a CoordinateSet, ascending integers [n], or a boolean mask [dimension]");
  }
  std::vector<std::uint32_t> indices;
  if (kind == 'b') {
    if (static_cast<std::size_t>(array.size()) != dimension) {
      throw_invalid("the mask of coordinates has " + std::to_string(array.size()) +
                    " values; allowed are exactly dimension = " + std::to_string(dimension));
    }
    const auto mask = array.cast<py::array_t<bool, py::array::c_style>>();
    for (std::size_t i = 0; i < dimension; ++i) {
      if (mask.data()[i]) indices.push_back(static_cast<std::uint32_t>(i));
    }
  } else {
    if (kind == 'u' && array.itemsize() == 8 && array.size() > 0 &&
        array.attr("max")().cast<std::uint64_t>() >= dimension) {
      throw_invalid("coordinates must be below dimension = " + std::to_string(dimension));
    }
    const auto wide =
        array.cast<py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>>();
    indices.reserve(static_cast<std::size_t>(wide.size()));
    for (py::ssize_t i = 0; i < wide.size(); ++i) {
      const std::int64_t index = wide.data()[i];
      if (index < 0 || static_cast<std::uint64_t>(index) >= dimension) {
        throw_invalid("coordinate " + std::to_string(index) + " is outside 0 to dimension - 1 = " +
                      std::to_string(static_cast<std::int64_t>(dimension) - 1));
      }
      indices.push_back(static_cast<std::uint32_t>(index));
    }
  }
  return CoordinateSet::from_sorted(dimension, std::move(indices));
}

}  // namespace ams::python

namespace pybind11::detail {

template <>
struct handle_type_name<ams::python::ArrayLike> {
  static constexpr auto name = const_name("numpy.typing.ArrayLike");
};
template <>
struct handle_type_name<ams::python::BytesLike> {
  static constexpr auto name = const_name("bytes | bytearray | memoryview | numpy.ndarray");
};
template <>
struct handle_type_name<ams::python::ClassesLike> {
  static constexpr auto name = const_name("int | collections.abc.Sequence[int]");
};
template <>
struct handle_type_name<ams::python::LossLike> {
  static constexpr auto name =
      const_name("collections.abc.Callable[[object, object], float | None]");
};
template <>
struct handle_type_name<ams::python::CoordinatesLike> {
  static constexpr auto name = const_name("ams._core.CoordinateSet | numpy.typing.ArrayLike");
};

/// uint8 [height, width] <-> LabelMap.
template <>
struct type_caster<ams::LabelMap> {
  PYBIND11_TYPE_CASTER(ams::LabelMap, const_name("numpy.ndarray"));

  bool load(handle source, bool) {
    const array labels =
        ams::python::as_array<std::uint8_t>(reinterpret_borrow<object>(source), "the label map", 2);
    value.height = static_cast<int>(labels.shape(0));
    value.width = static_cast<int>(labels.shape(1));
    const auto* begin = static_cast<const std::uint8_t*>(labels.data());
    value.ids.assign(begin, begin + labels.size());
    return true;
  }
  static handle cast(ams::LabelMap labels, return_value_policy, handle) {
    const ssize_t height = labels.height, width = labels.width;
    return ams::python::to_array(std::move(labels.ids), {height, width}).release();
  }
};

/// uint8 [height, width, 3], RGB <-> Frame; its capture_seconds travels apart.
template <>
struct type_caster<ams::Frame> {
  PYBIND11_TYPE_CASTER(ams::Frame, const_name("numpy.ndarray"));

  bool load(handle source, bool) {
    const array pixels =
        ams::python::as_array<std::uint8_t>(reinterpret_borrow<object>(source), "the frame", 3);
    if (pixels.shape(2) != 3) {
      ams::python::throw_invalid("the frame is uint8 " + ams::python::shape_text(pixels) +
                                 "; allowed is uint8 [height, width, 3], RGB");
    }
    value.height = static_cast<int>(pixels.shape(0));
    value.width = static_cast<int>(pixels.shape(1));
    const auto* begin = static_cast<const std::uint8_t*>(pixels.data());
    value.rgb.assign(begin, begin + pixels.size());
    return true;
  }
  static handle cast(ams::Frame frame, return_value_policy, handle) {
    const ssize_t height = frame.height, width = frame.width;
    return ams::python::to_array(std::move(frame.rgb), {height, width, ssize_t{3}}).release();
  }
};

}  // namespace pybind11::detail
