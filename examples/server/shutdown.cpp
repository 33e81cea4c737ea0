#include "server/shutdown.hpp"

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>

namespace ams {
namespace {

constexpr std::chrono::duration<double> longest_last_phase{2.5};

/// Calls `work`, which may be left running on a thread: false when it takes longer.
bool ends_within(std::chrono::duration<double> time, std::function<void()> work) {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> future = done->get_future();
  std::thread([work = std::move(work), done] {
    work();
    done->set_value();
  }).detach();
  return future.wait_for(time) == std::future_status::ready;
}

/// Waits for what was posted so far.
void drain(Executor& executor) {
  std::promise<void> done;
  executor.post([&] { done.set_value(); });
  done.get_future().wait();
}

}  // namespace

bool shut_down(ServerHost& host, ThreadExecutor& executor, WebSocketServerTransport& network) {
  host.stop();
  const bool has_ended = ends_within(longest_last_phase, [&executor] { executor.stop_work(); });
  network.stop();
  has_ended ? executor.stop() : drain(executor);  // the ends of connections count, too
  return has_ended;
}

}  // namespace ams
