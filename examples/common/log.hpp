#pragma once

#include <initializer_list>
#include <string_view>

#include "ams/runtime/log.hpp"

/// The log of a bundled program, on stderr. Thread-safe. The library itself has no global log.
namespace ams::log {

/// Begins with the first call; writes what waits when the program ends.
inline Logger& logger() {
  static Logger instance;
  return instance;
}

inline void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  logger().debug(event, fields);
}
inline void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  logger().info(event, fields);
}
inline void warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  logger().warning(event, fields);
}
inline void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  logger().error(event, fields);
}

}  // namespace ams::log
