#include "ams/runtime/process_teacher.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/frame.hpp"
#include "ams/session/backoff.hpp"
#include "descriptor.hpp"
#include "wall_seconds.hpp"

namespace ams {
namespace {

using detail::Descriptor;
using detail::wall_seconds;

constexpr int socket_number = 3;
constexpr double goodbye_seconds = 0.5;
constexpr std::size_t max_text_bytes = 4096;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::unavailable, "the teacher's process " + message);
}

/// Numbers and bytes of a message, checked.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> take(std::size_t count) {
    if (count > bytes_.size()) refuse("has sent an answer that ends too early");
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  std::uint32_t number() { return detail::load_le<std::uint32_t>(take(4).data()); }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const char* const hint = number == SIGKILL ? ", maybe for want of memory" : "";
    return fmt::format("was ended by signal {} ({}){}", number, ::strsignal(number), hint);
  }
  return fmt::format("has ended with status {}", WEXITSTATUS(status));
}

}  // namespace

/// A child, or none. Not thread-safe.
class ProcessTeacher::Process {
 public:
  Process(const ProcessTeacherOptions& options, LogSink* log)
      : options_(options),
        log_(log),
        backoff_(options.restart_min_seconds, options.restart_max_seconds,
                 static_cast<std::uint64_t>(::getpid())) {}
  ~Process() { end(goodbye_seconds); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Starts it and waits until it is ready. Throws Error(unavailable).
  void start() {
    try {
      fork_and_execute();
      const std::vector<std::byte> ready = receive(deadline(options_.start_timeout_seconds));
      Reader reader(ready);
      if (const auto why_not = failure(reader)) throw Error(*why_not);
      if (reader.number() != 0 || reader.left() > 0) refuse("has sent no sign that it is ready");
      if (log_ != nullptr) log_->info("teacher_started", {{"process", std::int64_t{pid_}}});
    } catch (const Error& error) {
      give_up(error);
      throw;
    }
  }

  /// One message there and one back. Throws Error(unavailable).
  std::vector<std::byte> ask(std::span<const std::span<const std::byte>> message) {
    require_running();
    try {
      const auto until = deadline(options_.answer_timeout_seconds);
      for (const auto part : message) send(part, until);
      return receive(until);
    } catch (const Error& error) {
      give_up(error);
      throw;
    }
  }

  /// The answer was good.
  void succeeded() { backoff_.reset(); }

  /// What has broken the protocol is not asked again.
  void give_up(const Error& error) {
    end(0);
    const double pause = backoff_.next_seconds();
    not_before_ = wall_seconds() + pause;
    if (log_ != nullptr) {
      log_->warning("teacher_ended", {{"message", error.what()}, {"restart_seconds", pause}});
    }
  }

  /// What the program says went wrong, if it does. Throws on what is no answer.
  static std::optional<Error> failure(Reader& reader) {
    const std::uint32_t status = reader.number();
    if (status == 0) return std::nullopt;
    if (status != 1) refuse("has sent an answer of no kind that is known");
    const auto text = reader.take(std::min(reader.left(), max_text_bytes));
    return Error(ErrorCode::unavailable,
                 std::string(reinterpret_cast<const char*>(text.data()), text.size()));
  }

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  static Deadline deadline(double seconds) {
    return std::chrono::steady_clock::now() +
           std::chrono::duration_cast<Deadline::duration>(std::chrono::duration<double>(seconds));
  }

  void require_running() {
    if (pid_ > 0) return;
    const double wait = not_before_ - wall_seconds();
    if (wait > 0) refuse(fmt::format("is started again in {:.0f} s", std::max(1.0, wait)));
    start();
  }

  void fork_and_execute() {
    int ends[2] = {};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      refuse(fmt::format("cannot be given a socket: {}", std::strerror(errno)));
    }
    Descriptor ours(ends[0]), theirs(ends[1]);
    ours.set_close_on_exec_and_non_blocking();
    // All that allocates, before the fork: another thread may hold the allocator's lock.
    std::vector<char*> arguments;
    for (const std::string& argument : options_.command) {
      arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) refuse(fmt::format("cannot be started: {}", std::strerror(errno)));
    if (child == 0) become_teacher(theirs.get(), arguments.data(), parent);
    pid_ = child;
    socket_ = std::move(ours);
  }

  /// In the child. Calls nothing that is not safe there.
  [[noreturn]] static void become_teacher(int socket, char* const* arguments, pid_t parent) {
    ::setpgid(0, 0);  // a terminal's Ctrl-C is the server's
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
#else
    (void)parent;
#endif
    ::signal(SIGHUP, SIG_DFL);
    ::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    // dup2() of a number onto itself would leave it to be closed.
    const int spare = ::fcntl(socket, F_DUPFD, socket_number + 1);
    ::dup2(spare, socket_number);
    close_from(socket_number + 1);
    ::execvp(arguments[0], arguments);
    ::_exit(127);
  }

  /// Sockets and files of the server are not the teacher's.
  static void close_from(int first) {
#ifdef SYS_close_range
    if (::syscall(SYS_close_range, first, std::numeric_limits<unsigned>::max(), 0) == 0) return;
#endif
    const long most = ::sysconf(_SC_OPEN_MAX);
    for (int number = first; number < most; ++number) ::close(number);
  }

  /// Leaves its status to be asked for.
  bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  /// Waits for the socket. Throws when it is too late.
  void wait_for(short events, Deadline until) {
    pollfd entry{socket_.get(), events, 0};
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) refuse("gives no answer in time and is ended");
      // A process that ended may have left a child that holds the socket open.
      const bool was_ended = has_ended();
      const auto wait = std::min<std::int64_t>(left.count(), was_ended ? 0 : 200);
      const int ready = ::poll(&entry, 1, static_cast<int>(wait));
      if (ready > 0) return;
      if (ready == 0 && was_ended) throw_ended();
      if (ready < 0 && errno != EINTR) refuse(std::strerror(errno));
    }
  }

  void send(std::span<const std::byte> bytes, Deadline until) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait_for(POLLOUT, until);
      } else if (errno != EINTR) {
        throw_ended();
      }
    }
  }

  void receive(std::span<std::byte> bytes, Deadline until) {
    while (!bytes.empty()) {
      const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
      if (got > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(got));
      } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        wait_for(POLLIN, until);
      } else if (got == 0 || errno != EINTR) {
        throw_ended();
      }
    }
  }

  std::vector<std::byte> receive(Deadline until) {
    std::byte header[4] = {};
    receive(header, until);
    std::uint32_t size = 0;
    for (const std::byte digit : header) size = size << 8 | std::to_integer<std::uint32_t>(digit);
    if (size > options_.max_answer_bytes) {
      refuse(fmt::format("has sent an answer of {} bytes; allowed are {}", size,
                         options_.max_answer_bytes));
    }
    std::vector<std::byte> message(size);
    receive(message, until);
    return message;
  }

  /// The other end of the socket is closed.
  [[noreturn]] void throw_ended() {
    const std::optional<int> status = end(goodbye_seconds);
    if (!status) refuse("has closed its socket and is ended");
    if (WIFEXITED(*status) && WEXITSTATUS(*status) == 127) {
      throw Error(ErrorCode::unavailable,
                  "the teacher's program '" + options_.command.front() + "' cannot be started");
    }
    refuse(how_it_ended(*status));
  }

  /// Closes the socket, which asks the process to end, and kills it when it has not in time. Gives
  /// how it ended by itself.
  std::optional<int> end(double wait_seconds) {
    socket_ = Descriptor();
    if (pid_ <= 0) return std::nullopt;
    const pid_t child = std::exchange(pid_, 0);
    const auto until = deadline(wait_seconds);
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(child, &status, WNOHANG)) == 0 &&
           std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ::kill(-child, SIGKILL);  // and whatever it has started
    if (ended == child) return status;
    ::kill(child, SIGKILL);  // if it has no group of its own yet
    if (ended == 0) ::waitpid(child, &status, 0);
    return std::nullopt;
  }

  const ProcessTeacherOptions& options_;
  LogSink* log_;
  Backoff backoff_;
  double not_before_ = 0;  // of the next start
  pid_t pid_ = 0;
  Descriptor socket_;
};

ProcessTeacher::ProcessTeacher(std::shared_ptr<const Task> task, ProcessTeacherOptions options,
                               LogSink* log)
    : task_(std::move(task)), options_(std::move(options)) {
  const auto require = [](bool ok, const char* what) {
    if (!ok) throw Error(ErrorCode::invalid_argument, std::string("ProcessTeacher: ") + what);
  };
  require(task_ != nullptr, "the task is null");
  require(!options_.command.empty() && !options_.command.front().empty(), "the command is empty");
  require(options_.start_timeout_seconds > 0 && options_.answer_timeout_seconds > 0,
          "a timeout is not above 0");
  require(options_.restart_min_seconds > 0 &&
              options_.restart_max_seconds >= options_.restart_min_seconds,
          "restart_min_seconds must be above 0 and restart_max_seconds no less");
  require(options_.max_frames >= 1, "max_frames is 0; at least 1 is needed");
  process_ = std::make_unique<Process>(options_, log);
  process_->start();
}

ProcessTeacher::~ProcessTeacher() = default;

Handle ProcessTeacher::label(const Handle& frame, double capture_seconds) {
  return label_frames({&frame, 1}, {&capture_seconds, 1}).front();
}

std::vector<Handle> ProcessTeacher::label_frames(std::span<const Handle> frames,
                                                 std::span<const double>) {
  if (frames.empty()) return {};
  const Frame& first = frames.front().as<Frame>();
  const std::size_t frame_bytes = std::size_t{3} * static_cast<std::size_t>(first.width) *
                                  static_cast<std::size_t>(first.height);
  const std::size_t size = 12 + frames.size() * frame_bytes;
  if (size > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorCode::limit_exceeded, "ProcessTeacher: a batch of frames has more than 2 GB");
  }
  std::vector<std::byte> header;
  for (int shift = 24; shift >= 0; shift -= 8) {
    header.push_back(static_cast<std::byte>(size >> shift & 0xFF));
  }
  detail::append_le(header, static_cast<std::uint32_t>(frames.size()));
  detail::append_le(header, static_cast<std::uint32_t>(first.height));
  detail::append_le(header, static_cast<std::uint32_t>(first.width));
  std::vector<std::span<const std::byte>> message{header};
  for (const Handle& handle : frames) {
    const Frame& frame = handle.as<Frame>();
    if (frame.width != first.width || frame.height != first.height ||
        frame.rgb.size() != frame_bytes) {
      throw Error(ErrorCode::invalid_argument, "ProcessTeacher: frames of a batch differ in size");
    }
    message.push_back(std::as_bytes(std::span(frame.rgb)));
  }
  const std::vector<std::byte> answer = process_->ask(message);
  Reader reader(answer);
  std::vector<Handle> labels;
  std::optional<Error> failure;
  try {
    failure = Process::failure(reader);
    const std::uint32_t count = failure ? 0 : reader.number();
    if (!failure && count != frames.size()) {
      refuse(fmt::format("has sent {} labels of {} frames", count, frames.size()));
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto bytes = reader.take(reader.number());
      labels.push_back(bytes.empty() ? Handle() : task_->unpack_label(bytes));
    }
    if (!failure && reader.left() > 0) refuse("has sent more than its labels");
  } catch (const Error& error) {
    process_->give_up(error);
    throw;
  }
  process_->succeeded();
  if (failure) throw Error(*failure);  // of this batch alone
  return labels;
}

}  // namespace ams
