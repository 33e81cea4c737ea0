#include "ams/runtime/record_sink.hpp"

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "descriptor.hpp"
#include "record_lane.hpp"
#include "record_place.hpp"
#include "shared_slot.hpp"

namespace ams {
namespace {

using detail::Descriptor;
using detail::fail_to_open;
using detail::RecordLane;
using detail::RecordPlace;
using detail::SharedSlot;
using Clock = std::chrono::steady_clock;
using LaneKind = RecordLane::Kind;

constexpr std::size_t max_readers = 64;

RecordSinkOptions checked(RecordSinkOptions options) {
  if (options.max_waiting_records < 1) detail::refuse("max_waiting_records must be 1 or more");
  if (!(options.finish_seconds >= 0 && options.finish_seconds <= 3600)) {  // or NaN
    detail::refuse("finish_seconds must be 0 to 3600");
  }
  return options;
}

Descriptor new_socket(int family, const std::string& where) {
  Descriptor made(::socket(family, SOCK_STREAM, 0));
  if (!made) fail_to_open(where);
  made.set_close_on_exec_and_non_blocking();
  return made;
}

void bind_and_listen(const Descriptor& listener, const sockaddr* address, socklen_t bytes,
                     const std::string& where) {
  if (::bind(listener.get(), address, bytes) != 0 || ::listen(listener.get(), 16) != 0) {
    fail_to_open(where);
  }
}

Descriptor listen_locally(const std::string& path, const std::string& where) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) {
      throw Error(ErrorCode::io_error, "cannot listen on '" + where +
                                           "': there is a file that is no socket; name a path "
                                           "that is not there yet");
    }
    const Descriptor probe = new_socket(AF_UNIX, where);
    if (::connect(probe.get(), generic, sizeof address) == 0 || errno != ECONNREFUSED) {
      throw Error(ErrorCode::io_error,
                  "cannot listen on '" + where + "': another program listens there");
    }
    ::unlink(path.c_str());
  }
  Descriptor listener = new_socket(AF_UNIX, where);
  bind_and_listen(listener, generic, sizeof address, where);
  return listener;
}

/// `where` gets the port that was free.
Descriptor listen_on_network(const RecordPlace& place, std::string& where) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(place.name.c_str(), place.port.c_str(), &wanted, &found);
      code != 0) {
    detail::refuse("'" + where + "': " + place.name + " is no numeric address (" +
                   ::gai_strerror(code) + "); e.g. tcp:127.0.0.1:9000");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  Descriptor listener = new_socket(found->ai_family, where);
  const int yes = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  bind_and_listen(listener, found->ai_addr, found->ai_addrlen, where);
  sockaddr_storage got{};
  socklen_t bytes = sizeof got;
  std::array<char, NI_MAXSERV> port{};
  auto* const generic = reinterpret_cast<sockaddr*>(&got);
  if (::getsockname(listener.get(), generic, &bytes) == 0 &&
      ::getnameinfo(generic, bytes, nullptr, 0, port.data(), port.size(), NI_NUMERICSERV) == 0) {
    where = where.substr(0, where.rfind(':') + 1) + port.data();
  }
  return listener;
}

LaneKind kind_of(int descriptor, const std::string& where) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail_to_open(where);
  if (S_ISREG(status.st_mode)) return LaneKind::file;
  return S_ISSOCK(status.st_mode) ? LaneKind::socket : LaneKind::pipe;
}

}  // namespace

class RecordSink::Impl {
 public:
  Impl(std::string where, RecordSinkOptions options, LogSink* log)
      : where_(std::move(where)),
        options_(checked(std::move(options))),
        place_(detail::parse_record_place(where_)),
        log_(log) {
    open();
    std::array<int, 2> wake{};
    if (::pipe(wake.data()) != 0) fail_to_open(where_);
    woken_ = Descriptor(wake[0]);
    waker_ = Descriptor(wake[1]);
    woken_.set_close_on_exec_and_non_blocking();
    waker_.set_close_on_exec_and_non_blocking();
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() { finish(); }

  void finish() {
    const std::lock_guard one_at_a_time(finishing_);
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    wake();
    thread_.join();
    if (place_.kind == RecordPlace::Kind::local_socket) ::unlink(place_.name.c_str());
    listener_ = Descriptor();
    lanes_.clear();
    slot_.reset();
  }

  void put(Bytes record) {
    ++records_;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) {
        ++lost_;
        return;
      }
      if (arrived_.size() >= options_.max_waiting_records) {
        arrived_.pop_front();
        ++lost_;
      }
      arrived_.push_back(std::move(record));
    }
    wake();
  }

  bool closed() const { return closed_; }
  const std::string& where() const { return where_; }
  RecordSinkCounters counters() const { return {records_, written_, lost_, readers_}; }

 private:
  // ---- opening ----

  void open() {
    switch (place_.kind) {
      case RecordPlace::Kind::standard_output: {
        const LaneKind kind = kind_of(STDOUT_FILENO, where_);
        Descriptor copy(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
        if (!copy) fail_to_open(where_);
        lanes_.emplace_back(std::move(copy), kind);
        break;
      }
      case RecordPlace::Kind::file:
        open_path();
        break;
      case RecordPlace::Kind::local_socket:
        listener_ = listen_locally(place_.name, where_);
        break;
      case RecordPlace::Kind::tcp_socket:
        listener_ = listen_on_network(place_, where_);
        break;
      case RecordPlace::Kind::shared_memory:
        if (options_.max_record_bytes < 1) detail::refuse("shm: needs max_record_bytes");
        slot_.emplace(where_, place_.name, options_.max_record_bytes);
        break;
    }
  }

  void open_path() {
    const std::filesystem::path path(place_.name);
    std::error_code ignored;  // opening the path tells
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0) {
      if (S_ISFIFO(found.st_mode)) {
        is_named_pipe_ = true;
        return open_named_pipe();
      }
      if (S_ISSOCK(found.st_mode)) {
        throw Error(ErrorCode::io_error,
                    "cannot open '" + where_ + "': it is a socket; give unix:" + where_);
      }
    }
    Descriptor file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666));
    if (!file) fail_to_open(where_);
    const LaneKind kind = kind_of(file.get(), where_);
    lanes_.emplace_back(std::move(file), kind);
  }

  /// Succeeds while somebody reads it.
  void open_named_pipe() {
    Descriptor pipe(::open(place_.name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (pipe) {
      lanes_.emplace_back(std::move(pipe), LaneKind::pipe);
    } else if (errno != ENXIO) {
      fail(errno);
    }
  }

  // ---- the thread ----

  void run() {
    // The host's signals are not ours, and a reader that has gone must not end the program.
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::optional<Clock::time_point> deadline;
    for (;;) {
      wait_and_write(deadline);
      std::deque<Bytes> arrived;
      bool ended = false;
      {
        const std::lock_guard lock(mutex_);
        arrived.swap(arrived_);
        ended = ended_;
      }
      for (const Bytes& record : arrived) deliver(record);
      if (!ended) continue;
      if (!deadline) {
        deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(options_.finish_seconds));
      }
      std::size_t waiting = 0;
      for (const RecordLane& lane : lanes_) waiting += lane.waiting();
      if (waiting == 0) return;
      if (Clock::now() >= *deadline) {
        lost_ += waiting;
        return;
      }
    }
  }

  void wait_and_write(const std::optional<Clock::time_point>& deadline) {
    std::vector<pollfd> polled{{woken_.get(), POLLIN, 0}};
    const bool accepts = listener_ && !deadline && is_accepting_ && lanes_.size() < max_readers;
    polled.push_back({accepts ? listener_.get() : -1, POLLIN, 0});
    for (const RecordLane& lane : lanes_) {
      const auto events = static_cast<short>((listener_ && lane.hears() ? POLLIN : 0) |
                                             (lane.waiting() > 0 ? POLLOUT : 0));
      polled.push_back({listener_ || events != 0 ? lane.descriptor() : -1, events, 0});
    }
    int timeout_ms = -1;
    if (deadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    }
    if (::poll(polled.data(), polled.size(), timeout_ms) <= 0) return;
    std::array<char, 64> ignored;
    while (::read(woken_.get(), ignored.data(), ignored.size()) > 0) {
    }
    for (std::size_t i = lanes_.size(); i-- > 0;) {
      const short events = polled[i + 2].revents;
      if (events != 0 && !serve(lanes_[i], events)) {
        lanes_.erase(lanes_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (polled[1].revents != 0) accept_reader();
    if (listener_) readers_ = lanes_.size();
  }

  /// False when the lane has come to its end.
  bool serve(RecordLane& lane, short events) {
    const bool is_hung_up = (events & (POLLHUP | POLLERR)) != 0;
    if (listener_ && (is_hung_up || (events & POLLIN) != 0) && !lane.hear(is_hung_up)) return false;
    if (lane.waiting() == 0 || (events & (POLLOUT | POLLHUP | POLLERR)) == 0) return true;
    const RecordLane::Progress progress = lane.write();
    written_ += progress.written;
    if (progress.error == 0) return true;
    if (listener_) return false;
    if (progress.error == EPIPE || progress.error == ECONNRESET) {
      lost_ += lane.waiting();
      if (!is_named_pipe_) closed_ = true;
      return false;
    }
    fail(progress.error);
    lane.drop_first();
    ++lost_;
    return true;
  }

  void accept_reader() {
    Descriptor reader(::accept(listener_.get(), nullptr, nullptr));
    if (!reader) {
      is_accepting_ = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
      return;
    }
    reader.set_close_on_exec_and_non_blocking();
    const auto& greeting = options_.greeting;
    if (::send(reader.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL) ==
        std::ssize(greeting)) {
      lanes_.emplace_back(std::move(reader), LaneKind::socket);
    }
  }

  void deliver(const Bytes& record) {
    is_accepting_ = true;  // no more file descriptors before: perhaps there are some now
    if (slot_) {
      if (slot_->write(record.span())) {
        ++written_;
      } else {
        ++lost_;
        fail(EMSGSIZE);
      }
      return;
    }
    if (is_named_pipe_ && lanes_.empty()) open_named_pipe();
    if (closed_) ++lost_;
    for (RecordLane& lane : lanes_) lost_ += lane.add(record, options_.max_waiting_records);
  }

  void fail(int reason) {
    if (std::exchange(has_told_failure_, true) || log_ == nullptr) return;
    log_->warning("output_failed",
                  {{"output", where_}, {"reason", std::system_category().message(reason)}});
  }

  void wake() {
    const char any = 0;
    // A full pipe wakes as well.
    [[maybe_unused]] const ssize_t count = ::write(waker_.get(), &any, 1);
  }

  std::string where_;
  const RecordSinkOptions options_;
  const RecordPlace place_;
  LogSink* const log_;
  std::atomic<std::uint64_t> records_{0}, written_{0}, lost_{0};
  std::atomic<std::size_t> readers_{0};
  std::atomic<bool> closed_{false};

  std::mutex finishing_;
  std::mutex mutex_;
  std::deque<Bytes> arrived_;
  bool ended_ = false;
  Descriptor woken_, waker_;

  // Of the thread alone, while it runs.
  Descriptor listener_;
  std::vector<RecordLane> lanes_;
  std::optional<SharedSlot> slot_;
  bool is_named_pipe_ = false;
  bool is_accepting_ = true;
  bool has_told_failure_ = false;

  std::thread thread_;
};

RecordSink::RecordSink(const std::string& where, RecordSinkOptions options, LogSink* log)
    : impl_(std::make_unique<Impl>(where, std::move(options), log)) {}
RecordSink::~RecordSink() = default;

void RecordSink::put(Bytes record) {
  impl_->put(std::move(record));
}
void RecordSink::finish() {
  impl_->finish();
}
bool RecordSink::closed() const {
  return impl_->closed();
}
RecordSinkCounters RecordSink::counters() const {
  return impl_->counters();
}
const std::string& RecordSink::where() const {
  return impl_->where();
}

}  // namespace ams
