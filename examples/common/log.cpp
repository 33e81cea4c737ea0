#include "common/log.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <string>

#include "ams/core/error.hpp"
#include "ams/protocol/text.hpp"

namespace ams::log {
namespace {

std::atomic<Level> minimum_level{Level::info};
std::atomic<Format> output_format{Format::text};
std::mutex output_mutex;

constexpr const char* level_names[] = {"debug", "info", "warning", "error"};

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(millis));
  return text;
}

}  // namespace

void configure(std::string_view level, std::string_view format) {
  bool known = false;
  for (int i = 0; i < 4; ++i) {
    if (level == level_names[i]) {
      minimum_level = static_cast<Level>(i);
      known = true;
    }
  }
  if (!known) {
    throw Error(ErrorCode::invalid_argument,
                "log level '" + std::string(level) + "' is not one of debug, info, warning, error");
  }
  if (format != "text" && format != "json") {
    throw Error(ErrorCode::invalid_argument,
                "log format '" + std::string(format) + "' is not one of text, json");
  }
  output_format = format == "json" ? Format::json : Format::text;
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (level < minimum_level) return;
  const char* level_name = level_names[static_cast<int>(level)];
  std::string line;
  if (output_format == Format::json) {
    nlohmann::ordered_json object;
    object["time"] = utc_now();
    object["level"] = level_name;
    object["event"] = event;
    for (const auto& [name, value] : fields) object[std::string(name)] = value;
    // Text that came over the network may not be UTF-8; a log line must be written all the same.
    // Pure ASCII, so that nobody else's bytes steer a terminal that shows the log.
    line = object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  } else {
    line = utc_now().substr(11, 8) +
           (level >= Level::warning ? " " + std::string(level_name) : "") + " " +
           std::string(event);
    for (const auto& [name, value] : fields) {
      line += "  " + std::string(name) + "=" +
              (value.is_string()
                   ? value.get<std::string>()
                   : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    for (char& c : line) {
      if (c == '\n' || c == '\r' || c == '\t') c = ' ';
    }
    line = printable(line);  // nobody else's bytes may steer the terminal
  }
  line += '\n';
  const std::lock_guard lock(output_mutex);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace ams::log
