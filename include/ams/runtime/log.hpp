#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ams/core/error.hpp"
#include "ams/runtime/log_sink.hpp"

namespace ams {

enum class LogFormat : std::uint8_t {
  text,  ///< for people: time, event, name=value; in quotes where it has more than one word
  json,  ///< for machines: one object a line, in ASCII
};

/// "debug", "info", "warning" or "error". Throws Error(invalid_argument).
LogLevel parse_log_level(std::string_view name);

/// "text" or "json". Throws Error(invalid_argument).
LogFormat parse_log_format(std::string_view name);

/// The line of an event, without its end. unix_seconds: its time. Nobody else's bytes steer a
/// terminal, or pass for a field or a line of their own: control characters (see is_printable() of
/// text.hpp) and bytes that are not UTF-8 are escaped, and a text that is not one ASCII word is in
/// quotes.
std::string format_log_line(LogFormat format, double unix_seconds, LogLevel level,
                            std::string_view event, std::span<const LogField> fields);

/// Writes events as lines to a file, on a thread of its own. write() never waits for the file:
/// while more than `max_waiting` lines wait, new ones are dropped, and a line says how many. Of
/// warnings and errors of one event, `max_alike` are written in 10 s; a line says how many more
/// there were, so that nobody fills a disk with them.
class Logger final : public LogSink {
 public:
  /// file: stderr unless given; stays open.
  explicit Logger(std::FILE* file = stderr, std::size_t max_waiting = 4096,
                  std::size_t max_alike = 20);

  /// Writes what waits; gives up after 1 s when nobody reads it.
  ~Logger() override;
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  /// From now on. By default events from `info` on are written, as text.
  void configure(LogLevel minimum, LogFormat format);

  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override;

  /// Waits until what was written so far is in the file; gives up after 1 s when nobody reads it.
  void flush();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ams
