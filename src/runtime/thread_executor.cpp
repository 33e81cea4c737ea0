#include "ams/runtime/thread_executor.hpp"

#ifdef __linux__
#include <sys/resource.h>
#endif

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "ams/session/turn_queue.hpp"

namespace ams {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds tick_period{50};
constexpr int least_priority = 5;  // as nice(2): a third of the time of a thread that trains

/// Calls functions that others brought: what they throw must not end the process.
class Caller {
 public:
  explicit Caller(LogSink* log) : log_(log) {}

  template <class Function>
  void call(Function&& function) const noexcept {
    try {
      function();
    } catch (const std::exception& error) {
      tell(error.what());
    } catch (...) {
      tell("an unknown exception");
    }
  }

  /// run, then what follows from it.
  void perform(Work& work) const noexcept {
    call([&] {
      if (work.run() && work.finish) work.finish();
    });
  }

 private:
  void tell(const char* message) const noexcept {
    if (log_ == nullptr) return;
    try {
      log_->error("work_failed", {{"message", message}});
    } catch (...) {  // there is nobody left to tell
      return;
    }
  }

  LogSink* log_;
};

/// Runs functions in order, and a tick between them.
class HostThread {
 public:
  explicit HostThread(Caller caller) : caller_(caller), thread_([this] { loop(); }) {}
  ~HostThread() { stop(); }

  void set_tick(std::function<void()> tick) {
    {
      const std::lock_guard lock(mutex_);
      tick_ = std::move(tick);
    }
    changed_.notify_one();
  }

  void post(std::function<void()> function) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      functions_.push_back(std::move(function));
    }
    changed_.notify_one();
  }

  /// Runs what waits, then ends.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void loop() {
    auto next_tick = Clock::now();
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto something = [this] { return ended_ || !functions_.empty(); };
      if (tick_) {
        changed_.wait_until(lock, next_tick, something);
      } else {
        changed_.wait(lock, [&] { return something() || tick_; });
      }
      if (!functions_.empty()) {
        auto function = std::move(functions_.front());
        functions_.pop_front();
        lock.unlock();
        caller_.call(function);
        function = nullptr;
        lock.lock();
      } else if (ended_) {
        return;
      }
      if (tick_ && Clock::now() >= next_tick) {
        const auto tick = tick_;
        lock.unlock();
        caller_.call(tick);
        lock.lock();
        next_tick = Clock::now() + tick_period;
      }
    }
  }

  const Caller caller_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> functions_;
  std::function<void()> tick_;
  bool ended_ = false;
  std::thread thread_;  // the last one: it uses all of the above
};

/// A thread that works for sessions in turns. It begins with the first piece.
class Lane {
 public:
  /// niceness: as nice(2), of the thread.
  explicit Lane(Caller caller, int niceness = 0) : caller_(caller), niceness_(niceness) {}
  ~Lane() { stop(true); }

  void submit(Work work) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      const std::string session = work.session;
      queue_.push(session, std::move(work));
      if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    }
    changed_.notify_one();
  }

  void forget(const std::string& session) {
    const std::lock_guard lock(mutex_);
    queue_.remove(session);
  }

  /// Waits for the piece under way; the others are dropped, or done too.
  void stop(bool drop) {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      if (drop) queue_.clear();
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void loop() {
#ifdef __linux__  // where threads have priorities of their own
    if (niceness_ > 0) ::setpriority(PRIO_PROCESS, 0, niceness_);
#endif
    std::unique_lock lock(mutex_);
    for (;;) {
      auto next = queue_.next();
      if (!next) {
        if (ended_) return;
        changed_.wait(lock);
        continue;
      }
      lock.unlock();
      caller_.perform(next->second);
      next->second = {};
      lock.lock();
      queue_.finish(next->first);
    }
  }

  const Caller caller_;
  const int niceness_;
  std::mutex mutex_;
  std::condition_variable changed_;
  TurnQueue<std::string, Work> queue_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace

class ThreadExecutor::Impl {
 public:
  explicit Impl(LogSink* log)
      : caller(log),
        host(caller),
        label(caller),
        train(caller),
        encode(caller),
        save(caller),
        show(caller, least_priority) {}

  const Caller caller;
  HostThread host;
  Lane label, train, encode, save, show;

  /// Null: the host's thread.
  Lane* lane(WorkKind kind) {
    switch (kind) {
      case WorkKind::label:
        return &label;
      case WorkKind::train:
        return &train;
      case WorkKind::sample:
      case WorkKind::encode:
        return &encode;
      case WorkKind::save:
        return &save;
      case WorkKind::show:
        return &show;
      case WorkKind::publish:
        break;
    }
    return nullptr;
  }
};

ThreadExecutor::ThreadExecutor(LogSink* log) : impl_(std::make_unique<Impl>(log)) {
  now_seconds();
}

ThreadExecutor::~ThreadExecutor() {
  stop();
}

void ThreadExecutor::set_tick(std::function<void()> tick) {
  impl_->host.set_tick(std::move(tick));
}

double ThreadExecutor::now_seconds() const {
  static const Clock::time_point start = Clock::now();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void ThreadExecutor::post(std::function<void()> function) {
  impl_->host.post(std::move(function));
}

void ThreadExecutor::submit(Work work) {
  if (Lane* const lane = impl_->lane(work.kind)) {
    lane->submit(std::move(work));
  } else {
    impl_->host.post([caller = impl_->caller, work = std::move(work)]() mutable {
      caller.perform(work);
    });
  }
}

void ThreadExecutor::forget(const std::string& session) {
  for (Lane* lane : {&impl_->label, &impl_->train, &impl_->encode, &impl_->save, &impl_->show}) {
    lane->forget(session);
  }
}

void ThreadExecutor::stop_work() {
  for (Lane* lane : {&impl_->label, &impl_->train, &impl_->encode, &impl_->show}) lane->stop(true);
}

void ThreadExecutor::stop() {
  stop_work();
  impl_->host.stop();
  impl_->save.stop(false);
}

}  // namespace ams
