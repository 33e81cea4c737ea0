#pragma once

#include <pthread.h>

#include <condition_variable>
#include <csignal>
#include <ctime>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace ams {

namespace detail {

inline sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace detail

/// First thing in main(). Blocks SIGINT, SIGTERM and SIGHUP in this thread and all that it starts
/// later, so that one thread can wait for them. Ignores SIGPIPE: a program outlives whoever reads
/// its output.
inline void prepare_signals() {
  const sigset_t set = detail::stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond a limit fails, and is told as such
}

/// Thrown where a signal ends work whose half is worth nothing; run() knows what to do.
struct Stopped {
  int signal = 0;
};

/// What signals do to a program that runs until it is told to stop.
///
/// Before begin(), SIGINT and SIGTERM end it at once: nothing has begun that could be lost. After
/// it, the first one requests a stop and the second one ends it at once. A program that a signal
/// ends has the exit status that says so: 128 and the signal's number, for a shell.
class Signals {
 public:
  enum class Hangup {
    stops,    ///< SIGHUP is as SIGTERM; under nohup it does nothing
    reloads,  ///< SIGHUP calls what set_on_hangup() got
  };

  explicit Signals(Hangup hangup) : hangup_(hangup) {}

  void begin() {
    const std::lock_guard lock(mutex_);
    has_begun_ = true;
  }

  /// For Hangup::reloads. It is called on a thread of its own until another one, or null, is set,
  /// and must not throw.
  void set_on_hangup(std::function<void()> on_hangup) {
    const std::lock_guard lock(mutex_);
    on_hangup_ = std::move(on_hangup);
  }

  /// Of the stop.
  std::stop_token token() const { return stop_.get_token(); }

  /// Throws Stopped once a signal has requested the stop.
  void throw_if_stopped() {
    const std::lock_guard lock(mutex_);
    if (signal_ != 0) throw Stopped{signal_};
  }

  /// Waits for the signal that requests the stop: its number.
  int wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return signal_ != 0; });
    return signal_;
  }

 private:
  void watch(const std::stop_token& end) {
    const bool is_under_nohup = std::signal(SIGHUP, SIG_DFL) == SIG_IGN;
    const sigset_t set = detail::stop_signals();
    while (!end.stop_requested()) {
      const timespec timeout{0, 100'000'000};
      const int signal = sigtimedwait(&set, nullptr, &timeout);
      if (signal <= 0) continue;
      if (signal != SIGHUP) {
        on_stop(signal);
      } else if (hangup_ == Hangup::stops) {
        if (!is_under_nohup) on_stop(signal);
      } else {
        const std::lock_guard lock(mutex_);
        if (on_hangup_) on_hangup_();
      }
    }
  }

  void on_stop(int signal) {
    {
      const std::lock_guard lock(mutex_);
      if (!has_begun_ || signal_ != 0) end_by(signal);
      signal_ = signal;
    }
    stop_.request_stop();
    changed_.notify_all();
  }

  /// As if it had not been blocked.
  static void end_by(int signal) {
    std::signal(signal, SIG_DFL);
    const sigset_t set = detail::stop_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    std::raise(signal);
  }

  const Hangup hangup_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool has_begun_ = false;
  int signal_ = 0;
  std::function<void()> on_hangup_;
  // The last one: it uses all of the above.
  std::jthread watcher_{[this](const std::stop_token& end) { watch(end); }};
};

}  // namespace ams
