#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/frame.hpp"
#include "ams/core/handle.hpp"
#include "ams/segmentation/label_map.hpp"
#include "arrays.hpp"
#include "errors.hpp"

/// Python objects within C++ values: in handles, as the parts of hosts, as callbacks.
namespace ams::python {

/// A reference to a Python object. It is made and used with the GIL, and dropped with or without.
class Reference {
 public:
  explicit Reference(py::object object) : object_(std::move(object)) {}
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;
  ~Reference() {
    const py::gil_scoped_acquire gil;
    py::object dropped = std::move(object_);
  }
  const py::object& get() const noexcept { return object_; }

 private:
  py::object object_;
};

/// None is an empty handle.
inline Handle to_handle(py::object object) {
  if (object.is_none()) return {};
  return std::make_shared<const Reference>(std::move(object));
}

/// What to_handle() got; of handles that C++ made, what Python has for their value.
inline py::object to_object(const Handle& handle) {
  if (!handle) return py::none();
  if (handle.holds<Frame>()) return py::cast(handle.as<Frame>());
  if (handle.holds<LabelMap>()) return py::cast(handle.as<LabelMap>());
  if (handle.holds<LabelledFrame>()) {
    return py::cast(std::const_pointer_cast<LabelledFrame>(handle.share<LabelledFrame>()));
  }
  return handle.as<Reference>().get();
}

/// The Python objects to which a C++ object has exactly one reference each, for the garbage
/// collector.
using References = std::vector<PyObject*>;

/// A C++ object that belongs to a Python object of which it keeps others alive: Python's garbage
/// collector sees them. A driver that is a part of the host that it holds is a cycle, with all that
/// these keep in it.
template <class T>
class Collectable {
 public:
  /// references: what the object keeps.
  Collectable(std::unique_ptr<T> object, References references)
      : object_(std::move(object)), references_(std::move(references)) {}

  T& get() const {
    if (!object_) throw_invalid("this object has been collected as garbage");
    return *object_;
  }

  /// For py::class_ of Collectable<T>.
  static py::custom_type_setup type_setup() {
    return py::custom_type_setup([](PyHeapTypeObject* heap_type) {
      PyTypeObject& type = heap_type->ht_type;
      type.tp_flags |= Py_TPFLAGS_HAVE_GC;
      type.tp_traverse = [](PyObject* object, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(object));
        if (const Collectable* self = of(object)) {
          for (PyObject* reference : self->references_) Py_VISIT(reference);
        }
        return 0;
      };
      type.tp_clear = [](PyObject* object) -> int {
        if (Collectable* self = of(object)) {
          self->references_.clear();
          const std::unique_ptr<T> dropped = std::move(self->object_);
        }
        return 0;
      };
    });
  }

 private:
  /// Null before __init__ has been through, and for a class of several bases (simple_layout is not
  /// set then), whose cycles stay. Allocates nothing: the collector runs.
  static Collectable* of(PyObject* object) {
    auto* instance = reinterpret_cast<py::detail::instance*>(object);
    if (!instance->simple_layout) return nullptr;
    const py::detail::value_and_holder value = instance->get_value_and_holder();
    return value.holder_constructed() ? value.value_ptr<Collectable>() : nullptr;
  }

  std::unique_ptr<T> object_;
  References references_;
};

/// A Python object of a class that stands for T, which it may be derived from.
template <class T>
class PartOf : public py::object {
  static bool is_part(PyObject* object) { return py::isinstance<T>(object); }
  PYBIND11_OBJECT_DEFAULT(PartOf, py::object, is_part)
};

/// The T of a Python object, which lives as long as the pointer.
template <class T>
std::shared_ptr<T> share(const PartOf<T>& object, References& references) {
  references.push_back(object.ptr());
  auto reference = std::make_shared<const Reference>(object);
  return {reference, object.template cast<T*>()};
}

/// The same for any object.
inline std::shared_ptr<const Reference> share(const py::object& object, References& references) {
  references.push_back(object.ptr());
  return std::make_shared<const Reference>(object);
}

/// Calls a method of a Python object from C++.
template <class Result = void, class... Arguments>
Result call_method(const py::object& object, const char* name, Arguments&&... arguments) {
  const py::gil_scoped_acquire gil;
  return call_python([&]() -> Result {
    const py::object result = object.attr(name)(std::forward<Arguments>(arguments)...);
    if constexpr (!std::is_void_v<Result>) return result.cast<Result>();
  });
}

/// A C++ value that Python may look at during one call.
template <class T>
class Lent {
 public:
  explicit Lent(T& value) : value_(std::make_shared<T*>(&value)) {}
  T& get() const {
    if (!*value_) throw_invalid("this object is only good within the call that it came with");
    return **value_;
  }
  void end() const noexcept { *value_ = nullptr; }

 private:
  std::shared_ptr<T*> value_;
};

/// Calls f with a Lent<T> of each value, which end with it.
template <class F, class... Ts>
decltype(auto) lend(F&& f, Ts&... values) {
  return [&](const Lent<Ts>&... lent) -> decltype(auto) {
    struct End {
      std::tuple<const Lent<Ts>&...> all;
      ~End() {
        std::apply([](const auto&... each) { (each.end(), ...); }, all);
      }
    } const end{{lent...}};
    return f(lent...);
  }(Lent<Ts>(values)...);
}

}  // namespace ams::python

namespace pybind11::detail {

template <class T>
struct handle_type_name<ams::python::PartOf<T>> {
  static constexpr auto name = make_caster<T>::name;
};

/// Any object <-> Handle.
template <>
struct type_caster<ams::Handle> {
  PYBIND11_TYPE_CASTER(ams::Handle, const_name("object"));
  bool load(handle source, bool) {
    value = ams::python::to_handle(reinterpret_borrow<object>(source));
    return true;
  }
  static handle cast(const ams::Handle& handle, return_value_policy, pybind11::handle) {
    return ams::python::to_object(handle).release();
  }
};

/// A bytes-like object, copied <-> Bytes.
template <>
struct type_caster<ams::Bytes> {
  PYBIND11_TYPE_CASTER(ams::Bytes, const_name("bytes"));
  bool load(handle source, bool) {
    if (!PyObject_CheckBuffer(source.ptr())) return false;
    value = ams::python::ConstBytes(reinterpret_borrow<object>(source), "data").copy();
    return true;
  }
  static handle cast(const ams::Bytes& bytes, return_value_policy, pybind11::handle) {
    return ams::python::to_bytes(bytes.span()).release();
  }
};

}  // namespace pybind11::detail
