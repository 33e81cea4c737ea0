#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace ams {

/// Logs of the bundled programs, on stderr: lines for people, or one JSON object a line for
/// machines. Thread-safe. The library itself never logs; it throws or returns.
namespace log {

enum class Level { debug, info, warning, error };
enum class Format { text, json };

/// Level is one of debug, info, warning, error; format is text or json. Throws
/// Error(invalid_argument).
void configure(std::string_view level, std::string_view format);

using Field = std::pair<std::string_view, nlohmann::json>;

/// event: a short, stable name, e.g. "update_sent". fields: what belongs to it, with units in the
/// names.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::debug, event, fields);
}
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::info, event, fields);
}
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::warning, event, fields);
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::error, event, fields);
}

}  // namespace log
}  // namespace ams
