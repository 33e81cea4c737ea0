#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

namespace detail {

/// A name that tells T from every other type, the same in all libraries of a process; needs no
/// RTTI.
template <class T>
constexpr std::string_view type_name() noexcept {
  return __PRETTY_FUNCTION__;
}

}  // namespace detail

/// Shares one immutable value of any type. Sessions and hosts pass frames, labels, samples and
/// predictions on as handles, so that none of them knows what the task's values are.
///
/// Copying shares the value. Thread-safe as std::shared_ptr<const T> is.
///
///     Handle sample = Handle::make(LabelledFrame{...});
///     sample.as<LabelledFrame>().labels;  // throws when it holds another type
class Handle {
 public:
  /// Holds nothing.
  Handle() = default;

  /// Shares *value. Null gives an empty handle.
  template <class T>
  Handle(std::shared_ptr<const T> value)
      : value_(std::move(value)), type_(detail::type_name<T>()) {}
  template <class T>
  Handle(std::shared_ptr<T> value) : Handle(std::shared_ptr<const T>(std::move(value))) {}

  template <class T>
  static Handle make(T value) {
    return Handle(std::make_shared<const T>(std::move(value)));
  }

  explicit operator bool() const noexcept { return value_ != nullptr; }

  template <class T>
  bool holds() const noexcept {
    return value_ && type_ == detail::type_name<T>();
  }

  /// The value. Throws Error(invalid_argument) unless holds<T>().
  template <class T>
  const T& as() const {
    require<T>();
    return *static_cast<const T*>(value_.get());
  }

  /// The value, shared. Throws Error(invalid_argument) unless holds<T>().
  template <class T>
  std::shared_ptr<const T> share() const {
    require<T>();
    return std::static_pointer_cast<const T>(value_);
  }

  /// Keeps the value alive and tells handles of one value from others.
  const std::shared_ptr<const void>& owner() const noexcept { return value_; }

 private:
  template <class T>
  void require() const {
    if (holds<T>()) return;
    throw Error(ErrorCode::invalid_argument,
                std::string("a handle holds ") +
                    (value_ ? std::string(type_) : std::string("nothing")) + "; wanted is " +
                    std::string(detail::type_name<T>()));
  }

  std::shared_ptr<const void> value_;
  std::string_view type_;
};

}  // namespace ams
