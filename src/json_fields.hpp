#pragma once

// For the sources of every room that reads JSON. Private to libams.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/session/text_file.hpp"

namespace ams {

constexpr std::size_t max_json_text_bytes = 4096;

/// Throws Error(malformed_data), which begins with `where`, unless `text` is one JSON object.
inline nlohmann::json parse_json_object(std::string_view text, const std::string& where) {
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(utf8_text(text, where));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::malformed_data, fmt::format("{}: not JSON: {}", where, error.what()));
  }
  if (!object.is_object()) {
    throw Error(ErrorCode::malformed_data, where + ": must be a JSON object, {...}");
  }
  return object;
}

/// Takes typed, bounded fields out of an object; every refusal names the field.
class JsonFields {
 public:
  using json = nlohmann::json;

  JsonFields(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string& field, const std::string& problem) const {
    throw Error(ErrorCode::malformed_data, fmt::format("{}: \"{}\" {}", where_, field, problem));
  }

  const json* find(const char* field) const {
    const auto at = object_.find(field);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
  }

  const json& need(const char* field, const char* allowed) const {
    const json* value = find(field);
    if (value == nullptr) refuse(field, fmt::format("is missing; it must be {}", allowed));
    return *value;
  }

  double number(const char* field, double low, double high) const {
    const std::string allowed = fmt::format("a number from {} to {}", low, high);
    const json& value = need(field, allowed.c_str());
    if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high)) {
      refuse(field, fmt::format("is {}; it must be {}", shown(value), allowed));
    }
    return value.get<double>();
  }

  std::int64_t whole(const char* field, std::int64_t low, std::int64_t high) const {
    const std::string allowed = fmt::format("a whole number from {} to {}", low, high);
    return whole(field, need(field, allowed.c_str()), low, high);
  }

  std::int64_t whole(const std::string& field, const json& value, std::int64_t low,
                     std::int64_t high) const {
    const double number = value.is_number() ? value.get<double>() : 0.5;
    if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) ||
        number != std::floor(number)) {
      refuse(field, fmt::format("is {}; it must be a whole number from {} to {}", shown(value), low,
                                high));
    }
    return static_cast<std::int64_t>(number);
  }

  std::int64_t whole_or(const char* field, std::int64_t low, std::int64_t high,
                        std::int64_t fallback) const {
    return find(field) == nullptr ? fallback : whole(field, low, high);
  }

  std::string text(const char* field, const json& value, std::size_t low, std::size_t high) const {
    if (!value.is_string() || value.get_ref<const std::string&>().size() < low ||
        value.get_ref<const std::string&>().size() > high) {
      refuse(field,
             fmt::format("is {}; it must be a text of {} to {} bytes", shown(value), low, high));
    }
    return value.get<std::string>();
  }

  bool flag(const char* field) const {
    const json& value = need(field, "true or false");
    if (!value.is_boolean()) {
      refuse(field, fmt::format("is {}; it must be true or false", shown(value)));
    }
    return value.get<bool>();
  }

  std::string text_or_empty(const char* field) const {
    const json* value = find(field);
    return value == nullptr ? std::string() : text(field, *value, 0, max_json_text_bytes);
  }

  const json& list(const char* field, std::size_t low, std::size_t high, const char* of) const {
    const std::string allowed = fmt::format("a list of {} to {} {}", low, high, of);
    const json& value = need(field, allowed.c_str());
    if (!value.is_array() || value.size() < low || value.size() > high) {
      refuse(field, fmt::format("is {}; it must be {}", shown(value), allowed));
    }
    return value;
  }

 private:
  static std::string shown(const json& value) {
    std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    return text;
  }

  const json& object_;
  std::string where_;
};

}  // namespace ams
