#include "ams/runtime/thread_executor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ams/runtime/device_host.hpp"
#include "ams/runtime/server_host.hpp"
#include "runtime/recording_log.hpp"
#include "runtime/toy_parts.hpp"

using namespace ams;
using namespace std::chrono_literals;

namespace {

void wait_until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!done()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(1ms);
  }
}

Work work(
    WorkKind kind, const std::string& session, std::function<void()> run,
    std::function<void()> finish = [] {}) {
  return {kind, session,
          [run = std::move(run)]() -> std::optional<WorkCost> {
            run();
            return WorkCost{};
          },
          std::move(finish)};
}

}  // namespace

TEST_CASE("functions run in order on one thread, and ticks between them") {
  ThreadExecutor executor;
  std::atomic<int> ticks = 0;
  std::vector<int> seen;
  std::vector<std::thread::id> threads;
  executor.set_tick([&] { ++ticks; });
  for (int i = 0; i < 100; ++i) {
    executor.post([&, i] {
      seen.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  wait_until([&] { return ticks >= 3; });
  executor.stop();
  REQUIRE(seen.size() == 100);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(std::count(threads.begin(), threads.end(), threads[0]) == 100);
  CHECK(threads[0] != std::this_thread::get_id());
  executor.post([&] { seen.push_back(0); });  // dropped
  executor.submit(work(WorkKind::train, "a", [&] { seen.push_back(0); }));
  CHECK(seen.size() == 100);
  const double now = executor.now_seconds();
  CHECK(executor.now_seconds() >= now);
}

TEST_CASE("sessions take turns, and what is finished follows on the same thread") {
  ThreadExecutor executor;
  std::latch begun(1), go(1), done(8);
  std::vector<std::string> order;
  executor.submit(work(WorkKind::label, "flood", [&] {
    begun.count_down();
    go.wait();
  }));
  begun.wait();
  for (int i = 0; i < 3; ++i) {
    for (const char* name : {"flood", "b"}) {
      auto thread = std::make_shared<std::thread::id>();
      executor.submit(work(
          WorkKind::label, name,
          [&order, name, thread] {
            order.emplace_back(name);
            *thread = std::this_thread::get_id();
          },
          [&, thread] {
            CHECK(*thread == std::this_thread::get_id());
            done.count_down();
          }));
    }
  }
  for (int i = 0; i < 2; ++i) {  // not wanted any more
    executor.submit({WorkKind::label, "none",
                     [&]() -> std::optional<WorkCost> {
                       done.count_down();
                       return std::nullopt;
                     },
                     [] { FAIL("finished what was not wanted"); }});
  }
  go.count_down();
  done.wait();
  CHECK(order == std::vector<std::string>{"b", "flood", "b", "flood", "b", "flood"});
}

TEST_CASE("what throws costs what it was to do, and a line in the log") {
  RecordingLog log;
  ThreadExecutor executor(&log);
  std::latch done(3);
  const auto fail = [] { throw std::runtime_error("a mistake"); };
  const auto tell = [&] { done.count_down(); };
  executor.post(fail);
  executor.post(tell);
  executor.submit(work(WorkKind::label, "a", fail, tell));
  executor.submit(work(WorkKind::label, "a", [] {}, tell));
  executor.submit(work(WorkKind::train, "a", [] {}, [] { throw 5; }));
  executor.submit(work(WorkKind::train, "a", [] {}, tell));
  done.wait();
  executor.set_tick(fail);
  wait_until([&] { return log.count("work_failed") >= 5; });
}

TEST_CASE("each kind has its thread; models are loaded on the host's") {
  ThreadExecutor executor;
  std::mutex mutex;
  std::map<WorkKind, std::thread::id> threads;
  std::thread::id host;
  std::latch done(8);
  executor.post([&] {
    host = std::this_thread::get_id();
    done.count_down();
  });
  for (const WorkKind kind : {WorkKind::label, WorkKind::train, WorkKind::sample, WorkKind::encode,
                              WorkKind::publish, WorkKind::save, WorkKind::show}) {
    executor.submit(work(kind, "a", [&, kind] {
      const std::lock_guard lock(mutex);
      threads[kind] = std::this_thread::get_id();
      done.count_down();
    }));
  }
  done.wait();
  CHECK(threads[WorkKind::publish] == host);
  CHECK(threads[WorkKind::sample] == threads[WorkKind::encode]);
  const std::vector different = {host, threads[WorkKind::label], threads[WorkKind::train],
                                 threads[WorkKind::encode], threads[WorkKind::save],
                                 threads[WorkKind::show]};
  for (const auto& id : different) CHECK(std::count(different.begin(), different.end(), id) == 1);
}

TEST_CASE("the end: what is under way is finished, what has not begun is not, models are kept") {
  ThreadExecutor executor;
  std::latch begun(1);
  std::atomic<bool> go = false;
  std::vector<std::string> done;
  std::mutex mutex;
  const auto note = [&](const char* name) {
    const std::lock_guard lock(mutex);
    done.emplace_back(name);
  };
  executor.submit(work(
      WorkKind::train, "a",
      [&] {
        begun.count_down();
        while (!go) std::this_thread::sleep_for(1ms);
      },
      [&] {
        note("trained");
        executor.post([&] { note("posted"); });
      }));
  executor.submit(work(WorkKind::train, "b", [&] { note("not begun"); }));
  executor.submit(work(WorkKind::train, "gone", [&] { note("forgotten"); }));
  executor.forget("gone");
  for (int i = 0; i < 3; ++i) executor.submit(work(WorkKind::save, "a", [&] { note("saved"); }));
  begun.wait();
  std::thread stopper([&] { executor.stop(); });
  std::this_thread::sleep_for(20ms);
  go = true;
  stopper.join();
  for (const char* name : {"trained", "posted"}) {
    CHECK(std::count(done.begin(), done.end(), name) == 1);
  }
  CHECK(std::count(done.begin(), done.end(), "saved") == 3);
  CHECK(done.size() == 5);
}

namespace {

/// One server and several devices in one process: messages go from thread to thread.
class Net {
 public:
  struct ServerLink final : ServerTransport {
    Net& net;
    explicit ServerLink(Net& owner) : net(owner) {}
    void send(ConnectionId connection, ServerMessage message) override {
      net.to_device(connection, [message = std::move(message)](DeviceHost& device) {
        device.on_message(message);
      });
    }
    void close(ConnectionId connection, const std::string&) override { net.cut(connection); }
    LinkCounters counters(ConnectionId) const override { return {1, 1}; }
  };
  struct DeviceLink final : DeviceTransport {
    Net& net;
    ConnectionId connection = 0;
    DeviceHost* device = nullptr;
    ThreadExecutor executor;
    explicit DeviceLink(Net& owner) : net(owner) {}
    void connect() override { net.connect(*this); }
    void send(DeviceMessage message) override { net.to_server(*this, std::move(message)); }
    void close(const std::string&) override { net.cut_device(*this); }
    LinkCounters counters() const override { return {}; }
  };

  void connect(DeviceLink& link) {
    const std::lock_guard lock(mutex_);
    link.connection = ++connections_;
    open_[link.connection] = &link;
    server_executor.post([this, id = link.connection] { server->on_connected(id, "a thread"); });
    link.executor.post([&link] { link.device->on_connected(); });
  }
  void to_server(DeviceLink& link, DeviceMessage message) {
    const std::lock_guard lock(mutex_);
    if (!open_.contains(link.connection)) return;
    server_executor.post([this, id = link.connection, message = std::move(message)] {
      server->on_message(id, message);
    });
  }
  void to_device(ConnectionId id, std::function<void(DeviceHost&)> event) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    DeviceLink& link = *found->second;
    link.executor.post([&link, event = std::move(event)] { event(*link.device); });
  }
  void cut(ConnectionId id) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    DeviceLink& link = *found->second;
    open_.erase(found);
    server_executor.post([this, id] { server->on_disconnected(id, "cut"); });
    link.executor.post([&link] { link.device->on_disconnected("cut"); });
  }
  void cut_device(DeviceLink& link) {
    ConnectionId id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = link.connection;
    }
    cut(id);
  }

  ThreadExecutor server_executor;
  ServerLink server_link{*this};
  std::optional<ServerHost> server;

 private:
  std::mutex mutex_;
  ConnectionId connections_ = 0;
  std::map<ConnectionId, DeviceLink*> open_;
};

}  // namespace

TEST_CASE("hosts on threads: devices come, go and are cut, and end in step") {
  constexpr int device_count = 3;
  struct Store final : SessionStore {
    std::mutex mutex;
    std::map<std::string, SessionRecord> records;
    std::optional<SessionRecord> load(const std::string& id) override {
      const std::lock_guard lock(mutex);
      const auto found = records.find(id);
      return found == records.end() ? std::nullopt : std::optional(found->second);
    }
    void save(const SessionRecord& record) override {
      const std::lock_guard lock(mutex);
      records.insert_or_assign(record.device_id, record);
    }
    void erase(const std::string&) override {}
  };
  RecordingLog log;
  Net net;
  toy::SessionSetup setup;
  setup.strategy = make_selection_strategy("full", 1);
  setup.pace.update_interval_seconds = 0.1;
  setup.pace.sampling.initial_fps = setup.pace.sampling.max_fps = 50;
  ServerParts server_parts{.initial = toy::initial_state(),
                           .task = std::make_shared<toy::Task>(),
                           .make_policy = [&] { return setup.policy(); },
                           .teacher = std::make_shared<toy::Teacher>(600),
                           .trainer = std::make_shared<toy::Trainer>(),
                           .codec = std::make_shared<toy::Codec>(),
                           .store = std::make_shared<Store>()};
  net.server.emplace(server_parts, ServerHostOptions{.max_devices = 2}, net.server_executor,
                     net.server_link, &log);
  net.server_executor.set_tick([&] { net.server->on_time(); });

  std::vector<std::unique_ptr<Net::DeviceLink>> links;
  std::vector<std::unique_ptr<DeviceHost>> devices;
  std::atomic<std::size_t> predictions = 0;
  for (int i = 0; i < device_count; ++i) {
    links.push_back(std::make_unique<Net::DeviceLink>(net));
    DeviceParts parts{toy::initial_state(), std::make_shared<toy::Predictor>(),
                      std::make_shared<toy::Predictor>(), std::make_shared<toy::Codec>()};
    parts.save = [](const ModelState&, std::span<const Bytes>) {};
    parts.on_prediction = [&](const Handle&, const Handle&, ModelVersion) { ++predictions; };
    ClientOptions options;
    options.device_id = "device " + std::to_string(i);
    options.first_batch_seconds = 0.05;
    options.reconnect_min_seconds = options.reconnect_max_seconds = 0.02;
    devices.push_back(
        std::make_unique<DeviceHost>(parts, options, links.back()->executor, *links.back(), &log));
    links.back()->device = devices.back().get();
    links.back()->executor.set_tick([device = devices.back().get()] { device->on_time(); });
    devices.back()->start();
  }

  std::atomic<bool> ended = false;
  std::vector<std::thread> cameras;
  for (const auto& device : devices) {
    cameras.emplace_back([&ended, host = device.get()] {
      for (std::size_t frame = 0; !ended; ++frame) {
        host->predict(Handle::make(frame));
        host->offer(double(frame) / 100, Handle::make(frame));
        std::this_thread::sleep_for(1ms);
      }
    });
  }
  std::mt19937 random(1);
  for (int i = 0; i < 40; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 50));
    Net::DeviceLink& link = *links[random() % device_count];
    net.cut_device(link);
    net.server->report();
    net.server->metrics();
    net.server->next_wake_seconds();
    link.device->status();
    link.device->counters();
    link.device->swap_seconds();
  }
  wait_until([&] {
    std::size_t updated = 0;
    for (const auto& device : devices) updated += device->status().model_version > 0;
    return updated >= 2;
  });
  ended = true;
  for (std::thread& camera : cameras) camera.join();
  for (const auto& device : devices) device->leave("the end");
  for (const auto& device : devices) CHECK(device->wait_until_left(30));

  net.server->stop();
  net.server_executor.stop_work();
  for (const auto& link : links) link->executor.stop();
  net.server_executor.stop();
  CHECK(predictions > 0);
  CHECK(log.count("client_failed") == 0);
  CHECK(log.count("session_failed") == 0);
  CHECK(log.count("update_refused") == 0);
  for (const auto& device : devices) {
    const ServerSession* const session = net.server->session(device->client().options().device_id);
    if (session != nullptr && session->counters().connections > 0) {
      // An update that was being kept when the device said goodbye waits for its return.
      const ModelVersion device_holds = device->client().held().version();
      const std::vector<PublishedUpdate> missed = session->record().history;
      CHECK((session->held().version() == device_holds ||
             (!missed.empty() && missed.back().base == device_holds)));
    }
    CHECK(device->status().model_version == device->client().held().version().number);
  }
}
