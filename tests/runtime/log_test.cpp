#include "ams/runtime/log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
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
             {{"device", "camera 7"},
              {"bytes", std::size_t{1200}},
              {"seconds", 2.0},
              {"rate", 0.1},
              {"change", -3},
              {"ok", true}}) ==
        "2023-11-14T22:13:20Z it_happened  device=\"camera 7\"  bytes=1200  seconds=2.0  rate=0.1  "
        "change=-3  ok=true");
  CHECK(line(LogFormat::text, LogLevel::warning, {}) == "2023-11-14T22:13:20Z warning it_happened");
}

TEST_CASE("nobody else's bytes steer a terminal or pass for another field or line") {
  const auto text_line = [](const std::string& text) {
    const std::string whole = line(LogFormat::text, LogLevel::info, {{"text", text}});
    const std::string begin = "2023-11-14T22:13:20Z it_happened  text=";
    REQUIRE(whole.starts_with(begin));
    return whole.substr(begin.size());
  };
  CHECK(text_line("camera-7") == "camera-7");
  CHECK(text_line("") == R"("")");
  CHECK(text_line("a\nb\x1b[2J\xff\xc3\xa4\x7f\xc2\x9b") ==
        "\"a\\nb\\u001b[2J\\xff\xc3\xa4\\u007f\\u009b\"");
  CHECK(text_line("a  bytes=1") == R"("a  bytes=1")");
  CHECK(text_line("a=1") == R"("a=1")");
  CHECK(text_line("a\"  b=\"1\\") == R"("a\"  b=\"1\\")");
  CHECK(text_line("a\u2003b") == "\"a\u2003b\"");
  for (const char* turned : {"\u202e", "\u2066", "\u200f", "\u061c", "\u2028"}) {
    const std::string written = text_line(std::string("7-aremac") + turned);
    CHECK(written.find(turned) == std::string::npos);
    CHECK(written.starts_with(R"("7-aremac\u)"));
  }
}

TEST_CASE("of many warnings alike some are written, and the others counted") {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    Logger logger(file, 4096, 5);
    for (int i = 0; i < 100; ++i) {
      logger.warning("refused", {{"n", i}});
      logger.info("phase");
    }
    logger.warning("other");
  }
  const std::string text = contents(file);
  CHECK(count(text, " warning refused  n=") == 5);
  CHECK(count(text, " warning log_lines_held_back  of=refused  count=95\n") == 1);
  CHECK(count(text, " warning other") == 1);
  CHECK(count(text, " phase") == 100);
  CHECK(count(text, "log_lines_held_back") == 1);
  std::fclose(file);
}

TEST_CASE("a reader that has stalled does not hold up the end") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  std::FILE* const file = ::fdopen(ends[1], "w");
  auto logger = std::make_unique<Logger>(file);
  for (int i = 0; i < 100; ++i) logger->info("line", {{"text", std::string(4000, 'x')}});
  logger.reset();  // comes back
  std::ptrdiff_t lines = 0;
  for (std::array<char, 4096> part{}; lines < 100;) {  // what waited is written all the same
    const ssize_t size = ::read(ends[0], part.data(), part.size());
    REQUIRE(size > 0);
    lines += std::count(part.begin(), part.begin() + size, '\n');
  }
  std::fclose(file);
  ::close(ends[0]);
}

TEST_CASE("lines for machines") {
  CHECK(line(LogFormat::json, LogLevel::error,
             {{"device", "camera 7"},
              {"port", std::uint16_t{8443}},
              {"seconds", 2.0},
              {"tiny", 1e-7},
              {"nan", std::numeric_limits<double>::quiet_NaN()},
              {"ok", false}}) ==
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
