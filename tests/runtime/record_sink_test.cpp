#include "ams/runtime/record_sink.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ams/core/error.hpp"
#include "runtime/recording_log.hpp"

using namespace ams;

namespace {

/// A folder that goes away with everything in it.
struct Scratch {
  std::filesystem::path path;
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ams-sink-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

Bytes bytes_of(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return std::vector<std::byte>(begin, begin + text.size());
}

/// "<number> <letters>\n", `size` bytes.
std::string record(int number, std::size_t size = 16) {
  std::string text = std::to_string(number) + " ";
  text.resize(size - 1, static_cast<char>('a' + number % 26));
  return text + "\n";
}

/// The number of a whole record of this size, else -1.
int number_of(const std::string& text, std::size_t size) {
  const int number = text.empty() ? -1 : std::atoi(text.c_str());
  return number >= 0 && text == record(number, size) ? number : -1;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "none";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Waits for what another thread does; a test that hangs is ended by ctest.
void await(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

void await_written(const RecordSink& sink, std::uint64_t count) {
  await([&] { return sink.counters().written >= count; });
}

class Reader {
 public:
  explicit Reader(int descriptor) : descriptor_(descriptor) { REQUIRE(descriptor >= 0); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { ::close(descriptor_); }

  int descriptor() const { return descriptor_; }

  std::string line() {
    std::string text;
    char c = 0;
    while (::read(descriptor_, &c, 1) == 1) {
      text += c;
      if (c == '\n') break;
    }
    return text;
  }

  std::vector<std::string> lines_to_the_end() {
    std::vector<std::string> lines;
    for (std::string text = line(); !text.empty(); text = line()) lines.push_back(text);
    return lines;
  }

 private:
  int descriptor_;
};

int connected_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int made = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return made;
}

/// Opens a named pipe that nobody may be writing yet.
int opened_pipe(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ::fcntl(descriptor, F_SETFL, 0);
  return descriptor;
}

/// Standard output is `descriptor` while this lives.
class StandardOutput {
 public:
  explicit StandardOutput(int descriptor) : saved_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    ::dup2(descriptor, STDOUT_FILENO);
  }
  ~StandardOutput() {
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

}  // namespace

TEST_CASE("a file holds every record") {
  const Scratch scratch;
  const std::string path = scratch / "new/folder/records";
  std::string all;
  RecordSink sink(path);
  for (int i = 0; i < 20; ++i) {
    sink.put(bytes_of(record(i)));
    all += record(i);
  }
  sink.finish();
  CHECK(contents(path) == all);
  CHECK(sink.counters().written == 20);
  sink.put(bytes_of(record(20)));
  sink.finish();
  CHECK(sink.counters().lost == 1);
  CHECK(contents(path) == all);
  RecordSink(path).put(bytes_of("again\n"));
  CHECK(contents(path) == "again\n");
}

TEST_CASE("a full disk loses records, is told once, and nothing of them stays") {
  RecordingLog log;
  {
    RecordSink sink("/dev/full", {}, &log);
    for (int i = 0; i < 5; ++i) sink.put(bytes_of(record(i)));
    await([&] { return sink.counters().lost == 5; });
    CHECK(sink.counters().written == 0);
    CHECK_FALSE(sink.closed());
  }
  CHECK(log.count("output_failed") == 1);

  // A limit of the file's size stands in for a disk that fills up in the middle of a record.
  const Scratch scratch;
  const std::string path = scratch / "records";
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{40, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  {
    RecordSink sink(path);
    for (int i = 0; i < 4; ++i) sink.put(bytes_of(record(i)));
    await([&] { return sink.counters().lost == 2; });
    CHECK(contents(path) == record(0) + record(1));
    ::setrlimit(RLIMIT_FSIZE, &before);
    sink.put(bytes_of(record(4)));  // there is room again
  }
  ::signal(SIGXFSZ, old);
  CHECK(contents(path) == record(0) + record(1) + record(4));
}

TEST_CASE("standard output that is closed ends the records and not the program") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  RecordingLog log;
  {
    std::unique_ptr<RecordSink> sink;
    {
      const StandardOutput output(ends[1]);
      ::close(ends[1]);
      sink = std::make_unique<RecordSink>("-", RecordSinkOptions{}, &log);
    }
    {
      Reader reader(ends[0]);
      sink->put(bytes_of(record(0)));
      CHECK(reader.line() == record(0));
      CHECK_FALSE(sink->closed());
    }
    sink->put(bytes_of(record(1)));
    await([&] { return sink->closed(); });
    sink->put(bytes_of(record(2)));
    await([&] { return sink->counters().lost == 2; });
  }
  CHECK(log.count("output_failed") == 0);
}

TEST_CASE("standard output to a file") {
  const Scratch scratch;
  const int file = ::open((scratch / "out").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  REQUIRE(::write(file, "first\n", 6) == 6);
  {
    const StandardOutput output(file);
    ::close(file);
    RecordSink("/dev/stdout").put(bytes_of(record(1)));
  }
  CHECK(contents(scratch / "out") == "first\n" + record(1));
}

TEST_CASE("a named pipe is written while somebody reads it") {
  const Scratch scratch;
  const std::string path = scratch / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  RecordSink sink(path);
  sink.put(bytes_of(record(0)));  // perhaps to nobody
  for (int reader_number = 1; reader_number <= 2; ++reader_number) {
    Reader reader(opened_pipe(path));
    const std::uint64_t written = sink.counters().written;
    await([&] {  // a writer whose reader has left notices with the next record
      sink.put(bytes_of(record(reader_number)));
      return sink.counters().written > written;
    });
    int number = 0;
    while (number < reader_number) {
      number = number_of(reader.line(), record(0).size());
      REQUIRE(number >= 0);
    }
  }
  CHECK_FALSE(sink.closed());
}

TEST_CASE("records larger than a pipe come whole, and a reader that stops holds up nobody") {
  const Scratch scratch;
  const std::string path = scratch / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  constexpr std::size_t large = 300'000;
  Reader reader(opened_pipe(path));
  auto sink = std::make_unique<RecordSink>(
      path, RecordSinkOptions{.max_waiting_records = 2, .finish_seconds = 0});
  sink->put(bytes_of(record(0, large)));
  pollfd begun{reader.descriptor(), POLLIN, 0};
  REQUIRE(::poll(&begun, 1, -1) == 1);
  // The oldest go; the one that was begun stays.
  for (int i = 1; i < 10; ++i) sink->put(bytes_of(record(i, large)));
  await([&] { return sink->counters().lost == 7; });
  for (const int number : {0, 8, 9}) CHECK(number_of(reader.line(), large) == number);
  for (int i = 10; i < 20; ++i) sink->put(bytes_of(record(i, large)));
  sink.reset();  // does not wait for the reader
}

TEST_CASE("readers of a local socket come and go, and each gets whole records") {
  const Scratch scratch;
  const std::string path = scratch / "socket";
  RecordSink sink("unix:" + path, {.greeting = "hello\n"});
  {
    Reader one(connected_to(path));
    CHECK(one.line() == "hello\n");
    Reader other(connected_to(path));
    CHECK(other.line() == "hello\n");
    ::shutdown(other.descriptor(), SHUT_WR);  // as `nc` does at the end of its input
    REQUIRE(::write(one.descriptor(), "anything", 8) == 8);
    await([&] { return sink.counters().readers == 2; });
    for (int i = 1; i <= 3; ++i) sink.put(bytes_of(record(i)));
    for (int i = 1; i <= 3; ++i) {
      CHECK(one.line() == record(i));
      CHECK(other.line() == record(i));
    }
  }
  await([&] { return sink.counters().readers == 0; });
  Reader third(connected_to(path));
  CHECK(third.line() == "hello\n");
  await([&] { return sink.counters().readers == 1; });
  sink.put(bytes_of(record(4)));
  CHECK(third.line() == record(4));
  await_written(sink, 7);
  CHECK(sink.counters().lost == 0);
}

TEST_CASE("a slow reader loses records; the others and the sink do not wait for it") {
  const Scratch scratch;
  const std::string path = scratch / "socket";
  constexpr std::size_t large = 200'000;
  constexpr int count = 40;
  auto sink = std::make_unique<RecordSink>(
      "unix:" + path, RecordSinkOptions{.max_waiting_records = 2, .finish_seconds = 60});
  Reader slow(connected_to(path));
  Reader quick(connected_to(path));
  await([&] { return sink->counters().readers == 2; });
  for (int i = 0; i < count; ++i) {
    sink->put(bytes_of(record(i, large)));
    CHECK(number_of(quick.line(), large) == i);
  }
  await([&] { return sink->counters().lost > count / 2; });
  std::vector<std::string> lines;
  std::thread reading([&] { lines = slow.lines_to_the_end(); });
  sink.reset();
  reading.join();
  CHECK(lines.size() < count / 2);
  int previous = -1;
  for (const std::string& line : lines) {  // whole, in order, with gaps
    const int number = number_of(line, large);
    CHECK(number > previous);
    previous = number;
  }
  CHECK(previous == count - 1);
}

TEST_CASE("a socket that a dead program has left is replaced, another program's is not") {
  const Scratch scratch;
  const std::string path = scratch / "socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(dead);
  {
    const RecordSink sink("unix:" + path);
    CHECK(has(message_of([&] { RecordSink("unix:" + path); }), "another program listens"));
    CHECK(has(message_of([&] { RecordSink{path}; }), "give unix:" + path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  std::ofstream(path) << "mine";
  CHECK(has(message_of([&] { RecordSink("unix:" + path); }), "is no socket"));
  CHECK(contents(path) == "mine");
}

TEST_CASE("a socket for other machines") {
  RecordSink sink("tcp:127.0.0.1:0");
  const int port = std::stoi(sink.where().substr(sink.where().rfind(':') + 1));
  CHECK(port > 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  Reader reader(made);
  await([&] { return sink.counters().readers == 1; });
  sink.put(bytes_of(record(1)));
  CHECK(reader.line() == record(1));
  CHECK(has(message_of([&] { RecordSink(sink.where()); }), "io_error: cannot open"));
  CHECK(has(message_of([&] { RecordSink("tcp:localhost:1"); }), "no numeric address"));
}

TEST_CASE("shared memory holds the newest record") {
  const std::string name = "ams-test-" + std::to_string(::getpid());
  const std::string path = "/" + name;
  const auto word = [](const void* memory, std::size_t offset) {
    std::uint64_t value = 0;
    std::memcpy(&value, static_cast<const char*>(memory) + offset, 8);
    return value;
  };
  const void* memory = nullptr;
  constexpr std::size_t mapped = 64 + 100;
  {
    RecordSink sink("shm:" + name, {.max_record_bytes = 100});
    const int descriptor = ::shm_open(path.c_str(), O_RDONLY, 0);
    REQUIRE(descriptor >= 0);
    memory = ::mmap(nullptr, mapped, PROT_READ, MAP_SHARED, descriptor, 0);
    ::close(descriptor);
    REQUIRE(memory != MAP_FAILED);
    CHECK(std::memcmp(memory, "AMSM", 4) == 0);
    CHECK(word(memory, 8) == 0);
    for (int i = 1; i <= 3; ++i) {
      sink.put(bytes_of(record(i, 10 * static_cast<std::size_t>(i))));
      await_written(sink, static_cast<std::uint64_t>(i));
    }
    CHECK(word(memory, 8) == 6);
    CHECK(word(memory, 16) == 30);
    CHECK(std::memcmp(static_cast<const char*>(memory) + 64, record(3, 30).data(), 30) == 0);
    sink.put(bytes_of(record(4, 101)));
    await([&] { return sink.counters().lost == 1; });
    CHECK(word(memory, 8) == 6);
    CHECK((word(memory, 24) & 0xffffffff) == 1);
    CHECK(has(message_of([&] { RecordSink("shm:" + name, {.max_record_bytes = 9}); }),
              "another program writes there"));
  }
  CHECK((word(memory, 24) & 0xffffffff) == 0);
  ::munmap(const_cast<void*>(memory), mapped);
  CHECK(::shm_open(path.c_str(), O_RDONLY, 0) < 0);
}

TEST_CASE("shared memory that a dead program has left is used on, other memory is not") {
  const std::string name = "ams-test-" + std::to_string(::getpid());
  const std::string path = "/" + name;
  const auto leave = [&](const char* magic, std::uint64_t sequence) {
    const int descriptor = ::shm_open(path.c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(::ftruncate(descriptor, 80) == 0);
    REQUIRE(::pwrite(descriptor, magic, 4, 0) == 4);
    REQUIRE(::pwrite(descriptor, &sequence, 8, 8) == 8);
    return descriptor;
  };
  const int descriptor = leave("AMSM", 7);  // it died while it wrote
  {
    RecordSink sink("shm:" + name, {.max_record_bytes = 100});
    sink.put(bytes_of(record(1, 100)));
    await_written(sink, 1);
    std::uint64_t sequence = 0;
    REQUIRE(::pread(descriptor, &sequence, 8, 8) == 8);
    CHECK(sequence == 8);
  }
  ::close(descriptor);
  const int foreign = leave("ELSE", 0);
  CHECK(has(message_of([&] { RecordSink("shm:" + name, {.max_record_bytes = 100}); }),
            "other shared memory has this name"));
  ::close(foreign);
  ::shm_unlink(path.c_str());
}

TEST_CASE("places are refused with what is allowed") {
  const Scratch scratch;
  for (const char* where : {"", "http://x", "udp:1.2.3.4:5", "unix", "unix:", "tcp:", "tcp:9000",
                            "tcp:127.0.0.1:99999", "tcp:::1:9000", "shm:", "shm:a/b", "shm:."}) {
    CAPTURE(where);
    const std::string message = message_of([&] { require_record_place(where); });
    if (std::strcmp(where, "unix") == 0) {
      CHECK(message == "none");  // a file
      continue;
    }
    CHECK(has(message, "invalid_argument: '" + std::string(where) + "'"));
    CHECK((has(message, "give ") || has(message, "e.g. ")));
    CHECK(message_of([&] { RecordSink{where}; }) == message);
  }
  CHECK(
      has(message_of([&] { require_record_place("unix:" + std::string(200, 'x')); }), "1 to 107"));
  CHECK(has(message_of([&] { RecordSink{scratch.path.string()}; }), "io_error: cannot open"));
  CHECK(has(message_of([&] { RecordSink("x", {.max_waiting_records = 0}); }), "1 or more"));
  CHECK(has(message_of([&] { RecordSink("shm:ams-x"); }), "max_record_bytes"));
}

TEST_CASE("put never waits for a sink that cannot keep up, and counts what it loses") {
  const Scratch scratch;
  RecordSink sink(scratch / "records", {.max_waiting_records = 1});
  for (int i = 0; i < 1000; ++i) sink.put(bytes_of(record(i)));
  await([&] {
    const RecordSinkCounters counters = sink.counters();
    return counters.written + counters.lost == 1000;
  });
  CHECK(sink.counters().records == 1000);
  CHECK(has(contents(scratch / "records"), record(999)));
}
