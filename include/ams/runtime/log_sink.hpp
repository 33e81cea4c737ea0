#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace ams {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// What belongs to an event: a name, with the unit in it, and a value.
struct LogField {
  using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

  std::string_view name;  ///< outlives the call of LogSink::write(); a literal
  Value value;

  LogField(std::string_view field_name, bool field_value) : name(field_name), value(field_value) {}
  template <std::signed_integral T>
  LogField(std::string_view field_name, T field_value)
      : name(field_name), value(std::int64_t{field_value}) {}
  template <std::unsigned_integral T>
  LogField(std::string_view field_name, T field_value)
      : name(field_name), value(std::uint64_t{field_value}) {}
  LogField(std::string_view field_name, double field_value)
      : name(field_name), value(field_value) {}
  LogField(std::string_view field_name, std::string field_value)
      : name(field_name), value(std::move(field_value)) {}
  LogField(std::string_view field_name, const char* field_value)
      : name(field_name), value(std::string(field_value)) {}
};

/// Takes the events that hosts and transports report. Logger (log.hpp) writes them to stderr.
///
/// write() is called from any thread, also under a host's lock: it must not wait, throw, or call
/// the host.
class LogSink {
 public:
  virtual ~LogSink() = default;

  /// event: a short, stable name, e.g. "update_sent".
  virtual void write(LogLevel level, std::string_view event, std::span<const LogField> fields) = 0;

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::info, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::warning, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::error, event, fields);
  }
};

/// Drops all events.
class NoLog final : public LogSink {
 public:
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

}  // namespace ams
