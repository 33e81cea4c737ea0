#pragma once

#include <pthread.h>

#include <csignal>
#include <stop_token>
#include <thread>

namespace ams {

/// Blocks SIGINT and SIGTERM in this thread and all that it starts later, so that one thread can
/// wait for them: first thing in main().
inline void block_stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

/// Waits up to `seconds` for a blocked SIGINT or SIGTERM; its number, or 0 when none came.
inline int wait_for_stop_signal(double seconds) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(seconds);
  timeout.tv_nsec = static_cast<long>((seconds - static_cast<double>(timeout.tv_sec)) * 1e9);
  const int signal = sigtimedwait(&set, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

/// Requests a stop as soon as a blocked SIGINT or SIGTERM comes, whatever the other threads wait
/// for.
class StopSignals {
 public:
  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  std::jthread watcher_{[this](const std::stop_token& end) {
    while (!end.stop_requested()) {
      if (wait_for_stop_signal(0.1) == 0) continue;
      stop_.request_stop();
      return;
    }
  }};
};

}  // namespace ams
