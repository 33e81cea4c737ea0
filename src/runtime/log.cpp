#include "ams/runtime/log.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/session/text.hpp"

namespace ams {
namespace {

constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warning", "error"};

std::string_view name_of(LogLevel level) {
  return level_names[static_cast<std::size_t>(level)];
}

/// ISO 8601, UTC, with milliseconds.
std::string utc(double unix_seconds) {
  const auto millis = static_cast<std::int64_t>(std::floor(unix_seconds * 1000));
  const auto seconds = static_cast<std::time_t>(millis / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(millis % 1000));
  return text;
}

template <class Number>
std::string digits(Number value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

/// As few digits as tell the value from every other; JSON has no NaN and no infinity.
std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  std::string text = digits(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void append_unit(std::string& text, unsigned unit) {
  char escaped[16];
  std::snprintf(escaped, sizeof escaped, "\\u%04x", unit);
  text += escaped;
}

/// A JSON string in ASCII.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const std::size_t size = detail::utf8_sequence_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (size == 0) {
      append_unit(result, 0xfffd);
    } else if (size > 1) {
      unsigned code = first & (0x7fU >> size);
      for (const char c : text.substr(1, size - 1)) {
        code = code << 6 | (static_cast<unsigned char>(c) & 0x3fU);
      }
      if (code >= 0x10000) {
        append_unit(result, 0xd800 + ((code - 0x10000) >> 10));
        append_unit(result, 0xdc00 + ((code - 0x10000) & 0x3ff));
      } else {
        append_unit(result, code);
      }
    } else if (first == '"' || first == '\\') {
      result += '\\';
      result += text.front();
    } else if (first == '\n') {
      result += "\\n";
    } else if (first == '\r') {
      result += "\\r";
    } else if (first == '\t') {
      result += "\\t";
    } else if (first < 0x20 || first == 0x7f) {
      append_unit(result, first);
    } else {
      result += text.front();
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return result + '"';
}

struct ValueText {
  bool is_json;
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return digits(value); }
  std::string operator()(std::uint64_t value) const { return digits(value); }
  std::string operator()(double value) const { return number(value); }
  std::string operator()(const std::string& value) const {
    return is_json ? quoted(value) : value;
  }
};

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

LogLevel parse_log_level(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (name == level_names[i]) return static_cast<LogLevel>(i);
  }
  throw Error(ErrorCode::invalid_argument,
              "log level '" + std::string(name) + "' is not one of debug, info, warning, error");
}

LogFormat parse_log_format(std::string_view name) {
  if (name == "text") return LogFormat::text;
  if (name == "json") return LogFormat::json;
  throw Error(ErrorCode::invalid_argument,
              "log format '" + std::string(name) + "' is not one of text, json");
}

std::string format_log_line(LogFormat format, double unix_seconds, LogLevel level,
                            std::string_view event, std::span<const LogField> fields) {
  const bool is_json = format == LogFormat::json;
  std::string line;
  if (is_json) {
    line = "{\"time\":" + quoted(utc(unix_seconds)) + ",\"level\":" + quoted(name_of(level)) +
           ",\"event\":" + quoted(event);
    for (const LogField& field : fields) {
      line += ',' + quoted(field.name) + ':' + std::visit(ValueText{true}, field.value);
    }
    return line + '}';
  }
  line = utc(unix_seconds).substr(11, 8);
  if (level >= LogLevel::warning) line.append(" ").append(name_of(level));
  line.append(" ").append(event);
  for (const LogField& field : fields) {
    line.append("  ").append(field.name).append("=");
    line += std::visit(ValueText{false}, field.value);
  }
  for (char& c : line) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  return printable(line);
}

class Logger::Impl {
 public:
  Impl(std::FILE* file, std::size_t max_waiting)
      : file_(file),
        max_waiting_(std::max<std::size_t>(max_waiting, 1)),
        thread_([this] { loop(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void configure(LogLevel minimum, LogFormat format) {
    minimum_ = minimum;
    format_ = format;
  }

  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
    if (level < minimum_) return;
    std::string line = format_log_line(format_, unix_now(), level, event, fields) + '\n';
    {
      const std::lock_guard lock(mutex_);
      if (lines_.size() >= max_waiting_) {
        ++dropped_;
        return;
      }
      lines_.push_back(std::move(line));
    }
    changed_.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex_);
    written_.wait(lock, [this] { return lines_.empty() && dropped_ == 0 && !is_writing_; });
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ended_ || !lines_.empty(); });
      if (lines_.empty()) return;
      const std::deque<std::string> lines = std::exchange(lines_, {});
      const std::uint64_t dropped = std::exchange(dropped_, 0);
      is_writing_ = true;
      lock.unlock();
      for (const std::string& line : lines) put(line);
      if (dropped > 0) {
        const LogField count("count", dropped);
        put(format_log_line(format_, unix_now(), LogLevel::warning, "log_lines_dropped",
                            std::span(&count, 1)) +
            '\n');
      }
      std::fflush(file_);
      lock.lock();
      is_writing_ = false;
      written_.notify_all();
    }
  }

  void put(const std::string& line) { std::fwrite(line.data(), 1, line.size(), file_); }

  std::FILE* const file_;
  const std::size_t max_waiting_;
  std::atomic<LogLevel> minimum_{LogLevel::info};
  std::atomic<LogFormat> format_{LogFormat::text};

  std::mutex mutex_;
  std::condition_variable changed_, written_;
  std::deque<std::string> lines_;
  std::uint64_t dropped_ = 0;
  bool is_writing_ = false;
  bool ended_ = false;
  std::thread thread_;  // the last one: it uses all of the above
};

Logger::Logger(std::FILE* file, std::size_t max_waiting)
    : impl_(std::make_unique<Impl>(file, max_waiting)) {}

Logger::~Logger() = default;

void Logger::configure(LogLevel minimum, LogFormat format) {
  impl_->configure(minimum, format);
}

void Logger::write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  impl_->write(level, event, fields);
}

void Logger::flush() {
  impl_->flush();
}

}  // namespace ams
