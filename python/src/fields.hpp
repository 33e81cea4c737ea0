#pragma once

#include <pybind11/pybind11.h>

#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "errors.hpp"

/// Plain C++ structs as keyword-only arguments and as attributes: from one table of fields come the
/// reading of the arguments with errors that name them, the signature in the docstring, the
/// properties and the repr.
namespace ams::python {

/// The words that stand for the values of an enum; specialise it with `static constexpr std::array
/// words`, pairs of word and value.
template <class E>
struct EnumWords;

template <class E>
const char* to_word(E value) {
  for (const auto& [word, named] : EnumWords<E>::words) {
    if (named == value) return word;
  }
  return "unknown";
}

template <class E>
E parse_word(const std::string& name, const std::string& text) {
  std::string allowed;
  for (const auto& [word, named] : EnumWords<E>::words) {
    if (text == word) return named;
    allowed += (allowed.empty() ? "'" : ", '") + std::string(word) + "'";
  }
  throw_invalid(name + " is '" + text + "'; allowed are " + allowed);
}

inline std::string repr_text(const py::handle& value) {
  return py::repr(value).cast<std::string>();
}

/// Another type of argument; specialise it with its type's name for signatures, `read` as
/// read_argument() below, and `write`, which gives it back as a Python object.
template <class T>
struct ArgumentType;
template <class T>
concept HasArgumentType = requires {
  ArgumentType<T>::name;
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Reads one argument. Throws Error(invalid_argument) that names it, its value and what is allowed.
template <class T>
void read_argument(T& target, const std::string& name, const py::handle& value) {
  const auto refuse = [&](const std::string& allowed) {
    throw_invalid(name + " is " + repr_text(value) + "; allowed is " + allowed);
  };
  if constexpr (HasArgumentType<T>) {
    ArgumentType<T>::read(target, name, value);
  } else if constexpr (is_optional<T>) {
    target.reset();
    if (!value.is_none()) read_argument(target.emplace(), name, value);
  } else if constexpr (std::is_enum_v<T>) {
    if (!py::isinstance<py::str>(value)) refuse("a string");
    target = parse_word<T>(name, value.cast<std::string>());
  } else if constexpr (std::same_as<T, bool>) {
    if (!py::isinstance<py::bool_>(value)) refuse("True or False");
    target = value.cast<bool>();
  } else if constexpr (std::integral<T>) {
    if (py::isinstance<py::bool_>(value) || !PyIndex_Check(value.ptr())) refuse("a whole number");
    try {
      target = py::int_(py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()))).cast<T>();
    } catch (const py::cast_error&) {
      refuse("a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
             std::to_string(std::numeric_limits<T>::max()));
    }
  } else if constexpr (std::floating_point<T>) {
    if (py::isinstance<py::str>(value) || py::isinstance<py::bool_>(value)) refuse("a number");
    const double number = PyFloat_AsDouble(value.ptr());
    if (number == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      refuse("a number");
    }
    target = static_cast<T>(number);
  } else {
    static_assert(std::same_as<T, std::string>);
    if (!py::isinstance<py::str>(value)) refuse("a string");
    target = value.cast<std::string>();
  }
}

template <class T>
py::object to_python(const T& value) {
  if constexpr (HasArgumentType<T>) {
    return ArgumentType<T>::write(value);
  } else if constexpr (std::is_enum_v<T>) {
    return py::str(to_word(value));
  } else {
    return py::cast(value);
  }
}

template <class T>
std::string type_name() {
  if constexpr (HasArgumentType<T>)
    return ArgumentType<T>::name;
  else if constexpr (is_optional<T>)
    return type_name<typename T::value_type>() + " | None";
  else if constexpr (std::is_enum_v<T> || std::same_as<T, std::string>)
    return "str";
  else if constexpr (std::same_as<T, bool>)
    return "bool";
  else if constexpr (std::integral<T>)
    return "int";
  else
    return "float";
}

template <class Struct>
class Fields {
 public:
  /// access: (Struct&) -> T&, with T a number, bool, string, enum, ArgumentType, or optional. doc:
  /// unit, meaning and range.
  template <class Access>
  Fields& add(const char* name, Access access, const char* doc) {
    using T = std::remove_reference_t<std::invoke_result_t<Access, Struct&>>;
    fields_.push_back(
        {name, type_name<T>(), doc,
         [=](Struct& s, const py::handle& value) { read_argument(access(s), name, value); },
         [=](const Struct& s) { return to_python(access(const_cast<Struct&>(s))); },
         [=](const py::object& cls) { return define_getter(cls, access); }});
    return *this;
  }
  template <class T>
  Fields& add(const char* name, T Struct::*member, const char* doc) {
    return add(
        name, [=](Struct& s) -> T& { return s.*member; }, doc);
  }

  /// Takes the arguments that are fields out of `arguments`.
  void read(Struct& target, py::kwargs& arguments) const {
    for (const Field& field : fields_) {
      if (!arguments.contains(field.name)) continue;
      field.set(target, arguments[field.name]);
      arguments.attr("pop")(field.name);
    }
  }

  /// Refuses what nobody took: TypeError that lists the keywords that there are.
  static void expect_none(const py::kwargs& arguments, const char* owner,
                          const std::string& allowed) {
    for (const auto& argument : arguments) {
      throw py::type_error(std::string(owner) + "() has no keyword argument '" +
                           py::str(argument.first).cast<std::string>() + "'; allowed are " +
                           allowed);
    }
  }
  Struct parse(py::kwargs arguments, const char* owner) const {
    Struct target{};
    read(target, arguments);
    expect_none(arguments, owner, names());
    return target;
  }

  std::string names() const {
    std::string text;
    for (const Field& field : fields_) text += (text.empty() ? "" : ", ") + std::string(field.name);
    return text;
  }

  /// "name: type = default, ..." with the struct's own defaults.
  std::string signature() const {
    const Struct defaults{};
    std::string text;
    for (const Field& field : fields_) {
      text += (text.empty() ? "" : ", ") + std::string(field.name) + ": " + field.type + " = " +
              repr_text(field.get(defaults));
    }
    return text;
  }

  /// A line for each field, for the docstring.
  std::string doc() const {
    std::string text;
    for (const Field& field : fields_)
      text += "    " + std::string(field.name) + ": " + field.doc + "\n";
    return text;
  }

  template <class Class>
  void define_properties(Class& cls) const {
    const py::object property = py::module_::import("builtins").attr("property");
    for (const Field& field : fields_) {
      cls.attr(field.name) = property(field.define(cls), py::none(), py::none(), field.doc);
    }
  }
  template <class Class>
  void define_repr(Class& cls, const char* name) const {
    cls.def("__repr__", [*this, name](const Struct& s) {
      std::string text;
      for (const Field& field : fields_) {
        text +=
            (text.empty() ? "" : ", ") + std::string(field.name) + "=" + repr_text(field.get(s));
      }
      return std::string(name) + "(" + text + ")";
    });
  }
  template <class Class>
  void define_to_dict(Class& cls) const {
    cls.def(
        "to_dict",
        [*this](const Struct& s) {
          py::dict values;
          for (const Field& field : fields_) values[field.name] = field.get(s);
          return values;
        },
        "All attributes by name.");
  }

 private:
  struct Field {
    const char* name;
    std::string type;
    const char* doc;
    std::function<void(Struct&, const py::handle&)> set;
    std::function<py::object(const Struct&)> get;
    std::function<py::cpp_function(const py::object&)> define;
  };

  /// A getter whose signature names the type.
  template <class Access>
  static py::cpp_function define_getter(const py::object& cls, Access access) {
    using T = std::remove_reference_t<std::invoke_result_t<Access, Struct&>>;
    return py::cpp_function(
        [=](const Struct& s) {
          const T& value = access(const_cast<Struct&>(s));
          if constexpr (HasArgumentType<T>)
            return ArgumentType<T>::write(value);
          else if constexpr (std::is_enum_v<T>)
            return to_word(value);
          else
            return T(value);
        },
        py::is_method(cls));
  }

  std::vector<Field> fields_;
};

/// Docstring of a function whose keyword arguments are fields: its first line is the signature that
/// pybind11 would have written if the arguments were its own. Use within
/// py::options().disable_function_signatures().
inline std::string signature_doc(const std::string& name, const std::string& arguments,
                                 const std::string& result, const std::string& doc) {
  return name + "(" + arguments + ") -> " + result + "\n\n" + doc;
}

}  // namespace ams::python
