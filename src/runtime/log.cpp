#include "ams/runtime/log.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/session/text.hpp"

namespace ams {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds alike_period{10};
/// For a reader that has stalled.
constexpr std::chrono::seconds longest_wait{1};

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

/// In quotes, with the escapes of JSON. JSON is written in ASCII. For people, other letters stay,
/// and a byte that is not UTF-8 becomes \xe9 or the like.
std::string quoted(std::string_view text, LogFormat format) {
  const bool is_json = format == LogFormat::json;
  std::string result = "\"";
  while (!text.empty()) {
    const std::size_t size = detail::utf8_sequence_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (size == 0 && is_json) {
      append_unit(result, 0xfffd);
    } else if (size == 0) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(first));
      result += escaped;
    } else if (size > 1 && !is_json && is_printable(text.substr(0, size))) {
      result += text.substr(0, size);
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

/// A name or a value as it is, where nobody could take a part of it for another field.
std::string plain_or_quoted(std::string_view text) {
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '=' && c != '"' && c != '\\';
  });
  return is_plain ? std::string(text) : quoted(text, LogFormat::text);
}

struct ValueText {
  bool is_json;
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return digits(value); }
  std::string operator()(std::uint64_t value) const { return digits(value); }
  std::string operator()(double value) const { return number(value); }
  std::string operator()(const std::string& value) const {
    return is_json ? quoted(value, LogFormat::json) : plain_or_quoted(value);
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
  std::string line;
  if (format == LogFormat::json) {
    const auto text = [](std::string_view value) { return quoted(value, LogFormat::json); };
    line = "{\"time\":" + text(utc(unix_seconds)) + ",\"level\":" + text(name_of(level)) +
           ",\"event\":" + text(event);
    for (const LogField& field : fields) {
      line += ',' + text(field.name) + ':' + std::visit(ValueText{true}, field.value);
    }
    return line + '}';
  }
  line = utc(unix_seconds).substr(0, 19) + 'Z';
  if (level >= LogLevel::warning) line.append(" ").append(name_of(level));
  line.append(" ").append(plain_or_quoted(event));
  for (const LogField& field : fields) {
    line.append("  ").append(plain_or_quoted(field.name)).append("=");
    line += std::visit(ValueText{false}, field.value);
  }
  return line;
}

/// Shared with its thread, which a stalled reader may hold up beyond the logger's end.
class Logger::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(std::FILE* file, std::size_t max_waiting, std::size_t max_alike)
      : descriptor_(::fileno(file)),
        max_waiting_(std::max<std::size_t>(max_waiting, 1)),
        max_alike_(std::max<std::size_t>(max_alike, 1)) {}

  void start() {
    thread_ = std::thread([self = shared_from_this()] { self->loop(); });
  }

  void end() {
    std::unique_lock lock(mutex_);
    ended_ = true;
    changed_.notify_one();
    const bool is_done = written_.wait_for(lock, longest_wait, [this] { return is_done_; });
    lock.unlock();
    is_done ? thread_.join() : thread_.detach();
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
      if (level >= LogLevel::warning && is_held_back(event)) return;
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
    written_.wait_for(lock, longest_wait,
                      [this] { return lines_.empty() && dropped_ == 0 && !is_writing_; });
  }

 private:
  /// Lines of one event, within a period.
  struct Alike {
    Clock::time_point begin;
    std::size_t lines = 0;
    std::uint64_t held_back = 0;
  };

  bool is_held_back(std::string_view event) {
    const auto now = Clock::now();
    const auto [found, is_new] = alike_.try_emplace(std::string(event));
    Alike& alike = found->second;
    if (is_new || (now - alike.begin >= alike_period && alike.held_back == 0)) alike = {now};
    if (alike.lines < max_alike_) {
      ++alike.lines;
      return false;
    }
    if (alike.held_back++ == 0) changed_.notify_one();  // the thread is to wake at the period's end
    return true;
  }

  /// When the number of lines held back is to be told next.
  std::optional<Clock::time_point> next_count() const {
    std::optional<Clock::time_point> earliest;
    for (const auto& [event, alike] : alike_) {
      if (alike.held_back == 0) continue;
      const auto end = alike.begin + alike_period;
      if (!earliest || end < *earliest) earliest = end;
    }
    return earliest;
  }

  /// Tells of the periods that are over, or of all.
  void tell_held_back(bool all) {
    const auto now = Clock::now();
    for (auto& [event, alike] : alike_) {
      if (alike.held_back == 0 || (!all && now - alike.begin < alike_period)) continue;
      const LogField fields[] = {{"of", event}, {"count", alike.held_back}};
      lines_.push_back(notice("log_lines_held_back", fields));
      alike = {now};
    }
  }

  std::string notice(std::string_view event, std::span<const LogField> fields) const {
    return format_log_line(format_, unix_now(), LogLevel::warning, event, fields) + '\n';
  }

  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto has_news = [this] { return ended_ || !lines_.empty(); };
      while (!has_news()) {
        const auto wake = next_count();
        if (!wake) {
          changed_.wait(lock);
        } else if (changed_.wait_until(lock, *wake) == std::cv_status::timeout) {
          tell_held_back(false);
        }
      }
      if (ended_) tell_held_back(true);
      if (lines_.empty()) break;
      const std::deque<std::string> lines = std::exchange(lines_, {});
      const std::uint64_t dropped = std::exchange(dropped_, 0);
      is_writing_ = true;
      lock.unlock();
      for (const std::string& line : lines) put(line);
      if (dropped > 0) {
        const LogField count("count", dropped);
        put(notice("log_lines_dropped", std::span(&count, 1)));
      }
      lock.lock();
      is_writing_ = false;
      written_.notify_all();
    }
    is_done_ = true;
    written_.notify_all();
  }

  /// Not through the FILE, whose lock the program's end would wait for. What cannot be written is
  /// lost: there is nobody to tell.
  void put(std::string_view line) const {
    while (!line.empty()) {
      const ssize_t size = ::write(descriptor_, line.data(), line.size());
      if (size >= 0) {
        line.remove_prefix(static_cast<std::size_t>(size));
      } else if (errno == EAGAIN) {
        pollfd writable{descriptor_, POLLOUT, 0};
        ::poll(&writable, 1, -1);
      } else if (errno != EINTR) {
        return;
      }
    }
  }

  const int descriptor_;
  const std::size_t max_waiting_, max_alike_;
  std::atomic<LogLevel> minimum_{LogLevel::info};
  std::atomic<LogFormat> format_{LogFormat::text};

  std::mutex mutex_;
  std::condition_variable changed_, written_;
  std::deque<std::string> lines_;
  std::map<std::string, Alike> alike_;  // by event, of which a program has few
  std::uint64_t dropped_ = 0;
  bool is_writing_ = false;
  bool ended_ = false;
  bool is_done_ = false;
  std::thread thread_;
};

Logger::Logger(std::FILE* file, std::size_t max_waiting, std::size_t max_alike)
    : impl_(std::make_shared<Impl>(file, max_waiting, max_alike)) {
  impl_->start();
}

Logger::~Logger() {
  impl_->end();
}

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
