// A teacher in a process of its own, played by teacher_child.py.

#include "ams/runtime/process_teacher.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "runtime/recording_log.hpp"

using namespace ams;
namespace fs = std::filesystem;

namespace {

/// Labels are numbers.
struct NumberTask final : Task {
  std::string name() const override { return "number"; }
  Handle sample(const Handle&, const Handle& label) const override { return label; }
  Handle unpack_label(std::span<const std::byte> bytes) const override {
    std::uint64_t number = 0;
    if (bytes.size() != sizeof number) throw Error(ErrorCode::malformed_data, "no number");
    std::memcpy(&number, bytes.data(), sizeof number);
    return Handle::make(number);
  }
  std::optional<double> phi(const Handle&, const Handle&) const override { return {}; }
  std::size_t size_bytes(const Handle&) const override { return 1; }
  std::unique_ptr<TaskScore> score() const override { return nullptr; }
  Frame draw(const Handle&, const Handle&) const override { return {}; }
};

struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "ams-teacher-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::size_t starts() const { return fs::file_size(path / "starts"); }
  std::string text(const char* name) const {
    std::ostringstream text;
    text << std::ifstream(path / name).rdbuf();
    return text.str();
  }
};

ProcessTeacherOptions options_for(const Folder& folder, const std::string& mode) {
  return {.command = {"python3", AMS_SOURCE_DIR "/tests/runtime/teacher_child.py", mode,
                      folder.path.string()},
          .start_timeout_seconds = 30,
          .answer_timeout_seconds = mode == "hangs" ? 0.3 : 30,
          .restart_min_seconds = 0.02,
          .restart_max_seconds = 0.02,
          .max_answer_bytes = 1 << 20};
}

std::vector<Handle> frames_of(std::initializer_list<int> numbers, int width = 3, int height = 2) {
  std::vector<Handle> frames;
  for (const int number : numbers) {
    Frame frame;
    frame.width = width;
    frame.height = height;
    frame.rgb.assign(static_cast<std::size_t>(width) * height * 3,
                     static_cast<std::uint8_t>(number));
    frames.push_back(Handle::make(std::move(frame)));
  }
  return frames;
}

/// 255 where there is none.
std::vector<std::uint64_t> ask(Teacher& teacher, const std::vector<Handle>& frames) {
  const std::vector<double> times(frames.size());
  std::vector<std::uint64_t> numbers;
  for (const Handle& label : teacher.label_frames(frames, times)) {
    numbers.push_back(label ? label.as<std::uint64_t>() : 255);
  }
  return numbers;
}

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("frames go there, labels come back, and a frame may have none") {
  const Folder folder;
  ProcessTeacher teacher(std::make_shared<NumberTask>(), options_for(folder, "good"));
  CHECK(teacher.max_frames() == 16);
  for (int i = 0; i < 20; ++i) {
    CHECK(ask(teacher, frames_of({i, 255, 2 * i})) ==
          std::vector<std::uint64_t>{std::uint64_t(i), 255, std::uint64_t(2 * i)});
  }
  CHECK(ask(teacher, frames_of({7}, 1920, 1080)) == std::vector<std::uint64_t>{7});
  CHECK(teacher.label(frames_of({5}).front(), 1).as<std::uint64_t>() == 5);
  CHECK(ask(teacher, {}).empty());
  CHECK(folder.starts() == 1);
}

TEST_CASE("a program that does not become ready says so at the start") {
  const Folder folder;
  const auto start = [&](ProcessTeacherOptions options) {
    return failure_of([&] { ProcessTeacher(std::make_shared<NumberTask>(), std::move(options)); });
  };
  contains(start(options_for(folder, "says why not")), "no such network");
  contains(start(options_for(folder, "ends at the start")), "has ended with status 7");
  contains(start(options_for(folder, "odd sign")), "answer");
  ProcessTeacherOptions options = options_for(folder, "never ready");
  options.start_timeout_seconds = 0.2;
  contains(start(options), "no answer in time");
  options.command = {"/no/such/program"};
  contains(start(options), "'/no/such/program' cannot be started");
  options.command.clear();
  contains(start(options), "command is empty");
  options = options_for(folder, "good");
  options.restart_max_seconds = 0;
  contains(start(options), "restart_min_seconds");
  contains(failure_of([&] { ProcessTeacher(nullptr, options_for(folder, "good")); }), "task");
}

TEST_CASE("what the teacher raises costs a batch, and the process goes on") {
  const Folder folder;
  RecordingLog log;
  ProcessTeacher teacher(std::make_shared<NumberTask>(), options_for(folder, "raises"), &log);
  contains(failure_of([&] { ask(teacher, frames_of({9})); }), "ValueError: nine");
  CHECK(ask(teacher, frames_of({4})) == std::vector<std::uint64_t>{4});
  CHECK(folder.starts() == 1);
  CHECK(log.count("teacher_ended") == 0);
}

TEST_CASE("whatever goes wrong over there costs batches until it is started again") {
  const std::vector<std::pair<std::string, std::string>> modes = {
      {"is killed", "signal 9"},
      {"ends", "status 3"},
      {"hangs", "no answer in time"},
      {"another count", "labels of 2 frames"},
      {"a long label", "ends too early"},
      {"more", "more than its labels"},
      {"short", "ends too early"},
      {"a bad label", "no number"},
      {"a huge answer", "4294967295 bytes"},
      {"half an answer", "status 0"},
      {"another kind", "no kind"},
  };
  for (const auto& mode_and_text : modes) {
    const std::string &mode = mode_and_text.first, &text = mode_and_text.second;
    CAPTURE(mode);
    const Folder folder;
    RecordingLog log;
    ProcessTeacher teacher(std::make_shared<NumberTask>(), options_for(folder, mode), &log);
    contains(failure_of([&] { ask(teacher, frames_of({1, 2})); }), text);
    CHECK(log.count("teacher_ended") == 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK(ask(teacher, frames_of({1, 2})) == std::vector<std::uint64_t>{1, 2});
    CHECK(folder.starts() == 2);
    CHECK(log.count("teacher_started") == 2);
  }
}

TEST_CASE("a process that has just ended is not started at every batch") {
  const Folder folder;
  ProcessTeacherOptions options = options_for(folder, "ends");
  options.restart_min_seconds = options.restart_max_seconds = 100;
  ProcessTeacher teacher(std::make_shared<NumberTask>(), options);
  contains(failure_of([&] { ask(teacher, frames_of({1})); }), "status 3");
  for (int i = 0; i < 3; ++i) {
    contains(failure_of([&] { ask(teacher, frames_of({1})); }), "started again in");
  }
  CHECK(folder.starts() == 1);
}

TEST_CASE("frames that do not go together are refused, and the process goes on") {
  const Folder folder;
  ProcessTeacher teacher(std::make_shared<NumberTask>(), options_for(folder, "good"));
  std::vector<Handle> frames = frames_of({1});
  frames.push_back(frames_of({1}, 4, 4).front());
  contains(failure_of([&] { ask(teacher, frames); }), "differ in size");
  CHECK(ask(teacher, frames_of({3})) == std::vector<std::uint64_t>{3});
  CHECK(folder.starts() == 1);
}

TEST_CASE("it inherits its socket and the standard streams alone, and leaves nobody behind") {
  const Folder folder;
  const int secret = ::open("/dev/null", O_RDONLY);  // as a socket of Boost's is: not close-on-exec
  REQUIRE(secret > 2);
  {
    ProcessTeacher teacher(std::make_shared<NumberTask>(), options_for(folder, "inherited"));
    ask(teacher, frames_of({1}));
  }
  ::close(secret);
  const std::string open_there = folder.text("open");
  CAPTURE(open_there);  // the last one is the folder that is being listed
  CHECK(open_there.starts_with("0 1 2 3"));
  CHECK(std::count(open_there.begin(), open_there.end(), ' ') == 4);

  const Folder another;
  {
    ProcessTeacher teacher(std::make_shared<NumberTask>(), options_for(another, "leaves a child"));
    failure_of([&] { ask(teacher, frames_of({1})); });
  }
  const pid_t grandchild = std::stoi(another.text("grandchild"));
  for (int i = 0; i < 200 && ::kill(grandchild, 0) == 0; ++i) {
    std::ifstream status("/proc/" + std::to_string(grandchild) + "/stat");
    std::string text((std::istreambuf_iterator<char>(status)), std::istreambuf_iterator<char>());
    if (text.find(") Z ") != std::string::npos) return;  // dead, and nobody has asked after it
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(::kill(grandchild, 0) != 0);
}
