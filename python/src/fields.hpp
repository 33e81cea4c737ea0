#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
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
    target = parse_word<T>(name, to_text(value));
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
    if (PyUnicode_AsUTF8(value.ptr()) == nullptr) {
      PyErr_Clear();
      refuse("a string without lone surrogates");
    }
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

/// Docstring of a function whose keyword arguments are fields: its first line is the signature that
/// pybind11 would have written if the arguments were its own. Use within
/// py::options().disable_function_signatures().
inline std::string signature_doc(const std::string& name, const std::string& arguments,
                                 const std::string& result, const std::string& doc) {
  return name + "(" + arguments + ") -> " + result + "\n\n" + doc;
}

/// A table of a struct's fields: how each is called, read, written and documented.
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
         [=](Struct& s, const char* argument, const py::handle& value) {
           read_argument(access(s), argument, value);
         },
         [=](const Struct& s) { return to_python(access(const_cast<Struct&>(s))); },
         [=](const py::object& cls, Self self) { return getter(cls, self, access); }});
    return *this;
  }
  template <class T>
  Fields& add(const char* name, T Struct::*member, const char* doc) {
    return add(
        name, [=](Struct& s) -> T& { return s.*member; }, doc);
  }

  /// The fields of a struct within this one. access: (Struct&) -> Part&. new_names: pairs of a
  /// field's name in `part` and its name here.
  template <class Part, class Access>
  Fields& include(const Fields<Part>& part, Access access,
                  std::vector<std::pair<std::string, const char*>> new_names = {}) {
    for (const auto& field : part.fields_) {
      const char* name = field.name;
      for (const auto& [old_name, new_name] : new_names) {
        if (old_name == field.name) name = new_name;
      }
      const auto within = [=](const Struct& s) -> Part& { return access(const_cast<Struct&>(s)); };
      fields_.push_back({name, field.type, field.doc,
                         [=](Struct& s, const char* argument, const py::handle& value) {
                           field.set(within(s), argument, value);
                         },
                         [=](const Struct& s) { return field.get(within(s)); },
                         [=](const py::object& cls, Self self) {
                           return field.define(cls, [=](const py::object& o) -> const Part& {
                             return within(self(o));
                           });
                         }});
    }
    return *this;
  }

  /// Takes the arguments that are fields out of `arguments`.
  void read(Struct& target, py::kwargs& arguments) const {
    for (const Field& field : fields_) {
      if (!arguments.contains(field.name)) continue;
      field.set(target, field.name, arguments[field.name]);
      arguments.attr("pop")(field.name);
    }
  }

  /// Refuses what nobody took: TypeError that lists the keywords that there are.
  static void expect_none(const py::kwargs& arguments, const char* owner,
                          const std::string& allowed) {
    for (const auto& argument : arguments) {
      throw py::type_error(std::string(owner) + "() has no keyword argument '" +
                           to_text(argument.first) + "'; allowed are " +
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

  /// __init__ with the fields as keyword arguments. make: (Struct) -> what py::init() takes.
  template <class Class, class Make>
  void define_init(Class& cls, const char* name, Make make) const {
    py::options options;
    options.disable_function_signatures();
    cls.def(py::init([fields = *this, name, make](py::kwargs arguments) {
              return make(fields.parse(std::move(arguments), name));
            }),
            signature_doc("__init__", "self: " + std::string(name) + ", *, " + signature(), "None",
                          doc() + "Raises InvalidArgumentError that names the argument.")
                .c_str());
  }

  /// By name.
  py::dict to_dict(const Struct& s) const {
    py::dict values;
    for (const Field& field : fields_) values[field.name] = field.get(s);
    return values;
  }

  /// Attributes that cannot be set. of: (const Class&) -> const Struct&. without: fields that are
  /// no attributes, because the class has others of these names.
  template <class Class, class Of>
  void define_properties(Class& cls, Of of, const std::vector<std::string>& without = {}) const {
    const Self self = [of](const py::object& object) -> const Struct& {
      return of(object.cast<const typename Class::type&>());
    };
    const py::object property = py::module_::import("builtins").attr("property");
    for (const Field& field : fields_) {
      if (std::find(without.begin(), without.end(), field.name) != without.end()) continue;
      cls.attr(field.name) = property(field.define(cls, self), py::none(), py::none(), field.doc);
    }
  }

  /// The same, and __repr__ and to_dict().
  template <class Class, class Of>
  void define_attributes(Class& cls, const char* name, Of of,
                         const std::vector<std::string>& without = {}) const {
    using Bound = typename Class::type;
    define_properties(cls, of, without);
    cls.def("__repr__", [fields = *this, name, of](const Bound& bound) {
      std::string text;
      for (const Field& field : fields.fields_) {
        text += (text.empty() ? "" : ", ") + std::string(field.name) + "=" +
                repr_text(field.get(of(bound)));
      }
      return std::string(name) + "(" + text + ")";
    });
    cls.def(
        "to_dict", [fields = *this, of](const Bound& bound) { return fields.to_dict(of(bound)); },
        "All arguments by name.");
  }
  template <class Class>
  void define_attributes(Class& cls, const char* name) const {
    define_attributes(cls, name, [](const Struct& s) -> const Struct& { return s; });
  }

 private:
  template <class>
  friend class Fields;

  using Self = std::function<const Struct&(const py::object&)>;

  struct Field {
    const char* name;
    std::string type;
    const char* doc;
    std::function<void(Struct&, const char*, const py::handle&)> set;
    std::function<py::object(const Struct&)> get;
    std::function<py::cpp_function(const py::object&, Self)> define;
  };

  /// A getter whose signature names the type.
  template <class Access>
  static py::cpp_function getter(const py::object& cls, Self self, Access access) {
    using T = std::remove_reference_t<std::invoke_result_t<Access, Struct&>>;
    return py::cpp_function(
        [=](const py::object& object) {
          const T& value = access(const_cast<Struct&>(self(object)));
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

}  // namespace ams::python
