#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace ams::detail {

/// An io_context and the one thread that serves it, once: the caller's own (run) or another
/// (start). Every function may be called from every thread. Destroyed after stop() alone, and after
/// all that uses the context.
class IoThread {
 public:
  /// `owner` is its name in errors.
  explicit IoThread(const char* owner) : owner_(owner) {}

  boost::asio::io_context& context() noexcept { return io_; }

  /// Both throw Error(invalid_argument) when one of them was called before. `ready` is called on
  /// the thread before anything else.
  void run(const std::function<void()>& ready = {});
  void start(std::function<void()> ready = {});

  /// Has `shut_down` called on the thread, the first time: it ends with end(), now or later.
  /// Returns when the thread of start() has ended, except on that thread.
  void stop(std::function<void()> shut_down);

  /// Told on the thread of exceptions that come out of its handlers; the thread goes on. Before
  /// run() or start(); must not throw.
  std::function<void(const std::string& message)> on_exception = nullptr;

  /// What is still posted is dropped. On the io thread.
  void end() { io_.stop(); }

  void post(std::function<void()> function);
  void post_after(double delay_seconds, std::function<void()> function);

 private:
  void begin();
  void serve(const std::function<void()>& ready);
  void tell(const char* message) const;

  const char* owner_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  std::atomic<bool> started_{false};
  std::atomic<bool> stop_requested_{false};
  std::atomic<std::thread::id> id_{};
  std::mutex thread_mutex_;
  std::thread thread_;
};

}  // namespace ams::detail
