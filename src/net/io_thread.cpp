#include "io_thread.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "ams/core/error.hpp"
#include "channel.hpp"

namespace ams::detail {

void IoThread::begin() {
  if (started_.exchange(true)) {
    throw Error(ErrorCode::invalid_argument,
                std::string("the ") + owner_ + " was started before (once is allowed)");
  }
}

void IoThread::serve(const std::function<void()>& ready) {
  id_ = std::this_thread::get_id();
  if (ready) {
    ready();
  }
  // An exception costs what the handler was to do, and no other connection.
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::exception& error) {
      tell(error.what());
    } catch (...) {
      tell("an unknown exception");
    }
  }
}

void IoThread::tell(const char* message) const {
  if (on_exception) {
    on_exception(message);
  }
}

void IoThread::run(const std::function<void()>& ready) {
  begin();
  serve(ready);
}

void IoThread::start(std::function<void()> ready) {
  begin();
  const std::lock_guard lock(thread_mutex_);
  thread_ = std::thread([this, ready = std::move(ready)] { serve(ready); });
}

void IoThread::stop(std::function<void()> shut_down) {
  if (!stop_requested_.exchange(true)) {
    post(std::move(shut_down));
  }
  if (id_.load() == std::this_thread::get_id()) {
    return;
  }
  const std::lock_guard lock(thread_mutex_);
  if (thread_.joinable()) {
    thread_.join();
  }
}

void IoThread::post(std::function<void()> function) {
  asio::post(io_, std::move(function));
}

void IoThread::post_after(double delay_seconds, std::function<void()> function) {
  auto timer = std::make_shared<asio::steady_timer>(io_, to_delay(delay_seconds));
  timer->async_wait([timer, function = std::move(function)](error_code error) {
    if (!error) {
      function();
    }
  });
}

}  // namespace ams::detail
