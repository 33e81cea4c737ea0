#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ams/runtime/executor.hpp"
#include "ams/runtime/log_sink.hpp"

namespace ams {

/// An Executor in real time. It has a thread for the host and one for each kind of work that comes:
/// label, train, encode (with sample), save and show (of a lower priority). Work of kind publish
/// runs on the host's thread.
///
/// On a thread of work, sessions take turns (TurnQueue): a session that brings more than it should
/// holds up no other. `finish` follows `run` on the same thread.
///
/// A function that throws, against the rule, costs what it was to do and a line in the log.
class ThreadExecutor final : public Executor {
 public:
  /// log: outlives the executor; null: none.
  explicit ThreadExecutor(LogSink* log = nullptr);

  /// Stops.
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  /// Calls `tick` on the host's thread every 50 ms from now on, e.g. ServerHost::on_time(). Null:
  /// no more.
  void set_tick(std::function<void()> tick);

  /// Seconds since the process's first executor was made.
  double now_seconds() const override;
  void post(std::function<void()> function) override;
  void submit(Work work) override;
  void forget(const std::string& session) override;

  /// Waits for labelling, training and encoding that is under way, and drops what has not begun and
  /// what comes later. Not from a thread of the executor's.
  void stop_work();

  /// stop_work(), then runs the functions that wait, loads and saves the models that wait, and ends
  /// all threads. What comes later is dropped. Not from a thread of the executor's.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
