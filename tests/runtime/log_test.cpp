#include "ams/runtime/log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ams/core/error.hpp"

using namespace ams;

namespace {

std::string line(LogFormat format, LogLevel level, std::initializer_list<LogField> fields) {
  return format_log_line(format, 1700000000.0421, level, "it_happened", fields);
}

std::string contents(std::FILE* file) {
  std::fflush(file);
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

std::ptrdiff_t count(const std::string& text, const std::string& part) {
  std::ptrdiff_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("lines for people") {
  CHECK(line(LogFormat::text, LogLevel::info,
             {{"device", "camera 7"}, {"bytes", std::size_t{1200}}, {"seconds", 2.0},
              {"rate", 0.1}, {"change", -3}, {"ok", true}}) ==
        "22:13:20 it_happened  device=camera 7  bytes=1200  seconds=2.0  rate=0.1  change=-3  "
        "ok=true");
  CHECK(line(LogFormat::text, LogLevel::warning, {}) == "22:13:20 warning it_happened");
  // Nobody else's bytes steer the terminal.
  CHECK(line(LogFormat::text, LogLevel::info, {{"text", "a\nb\x1b[2J\xff\xc3\xa4"}}) ==
        "22:13:20 it_happened  text=a b?[2J?\xc3\xa4");
}

TEST_CASE("lines for machines") {
  CHECK(line(LogFormat::json, LogLevel::error,
             {{"device", "camera 7"}, {"port", std::uint16_t{8443}}, {"seconds", 2.0},
              {"tiny", 1e-7}, {"nan", std::numeric_limits<double>::quiet_NaN()}, {"ok", false}}) ==
        R"({"time":"2023-11-14T22:13:20.042Z","level":"error","event":"it_happened",)"
        R"("device":"camera 7","port":8443,"seconds":2.0,"tiny":1e-07,"nan":null,"ok":false})");
  CHECK(line(LogFormat::json, LogLevel::info,
             {{"text", "\"\\\n\t\x1b\x7f \xc3\xa4 \xf0\x9f\x8e\xa5 \xff"}}) ==
        R"({"time":"2023-11-14T22:13:20.042Z","level":"info","event":"it_happened",)"
        R"("text":"\"\\\n\t\u001b\u007f \u00e4 \ud83c\udfa5 \ufffd"})");
}

TEST_CASE("levels and formats by name") {
  CHECK(parse_log_level("debug") == LogLevel::debug);
  CHECK(parse_log_level("error") == LogLevel::error);
  CHECK(parse_log_format("json") == LogFormat::json);
  CHECK_THROWS_AS(parse_log_level("loud"), Error);
  CHECK_THROWS_AS(parse_log_format("xml"), Error);
}

TEST_CASE("a logger writes what is important enough, in order") {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  Logger logger(file);
  logger.debug("unseen");
  logger.info("first", {{"n", 1}});
  logger.configure(LogLevel::warning, LogFormat::json);
  logger.info("unseen");
  logger.error("second");
  logger.flush();
  const std::string text = contents(file);
  CHECK(count(text, "unseen") == 0);
  CHECK(text.find("first  n=1\n") < text.find("\"event\":\"second\"}\n"));
  CHECK(count(text, "\n") == 2);
  std::fclose(file);
}

TEST_CASE("a file that does not take lines holds nobody up, and what is lost is counted") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  std::FILE* const file = ::fdopen(ends[1], "w");
  const std::string long_text(4000, 'x');
  constexpr int threads = 4, each = 500;
  std::string text;
  {
    auto logger = std::make_unique<Logger>(file, 100);
    std::vector<std::thread> writers;
    for (int t = 0; t < threads; ++t) {
      writers.emplace_back([&] {
        for (int i = 0; i < each; ++i) logger->info("line", {{"text", long_text}});
      });
    }
    for (std::thread& writer : writers) writer.join();  // nobody reads the pipe
    std::thread reader([&] {
      std::array<char, 4096> part{};
      for (ssize_t size = 1; size > 0;) {
        size = ::read(ends[0], part.data(), part.size());
        if (size > 0) text.append(part.data(), static_cast<std::size_t>(size));
      }
    });
    logger.reset();
    std::fclose(file);
    reader.join();
  }
  ::close(ends[0]);
  const auto lines = count(text, " line  text=");
  CHECK(lines >= 100);
  CHECK(lines < threads * each);
  std::uint64_t dropped = 0;
  const std::string marker = "log_lines_dropped  count=";
  for (auto at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
    dropped += std::stoull(text.substr(at + marker.size(), 10));
  }
  CHECK(static_cast<std::uint64_t>(lines) + dropped == threads * each);
}
