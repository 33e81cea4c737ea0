#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "ams/runtime/device_host.hpp"
#include "ams/runtime/executor.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/transport.hpp"

/// Events in the order of their times, and of their coming where these are equal.
class VirtualClock {
 public:
  double now = 0;

  void at(double seconds, std::function<void()> event) {
    queue_.push({seconds, ++sequence_, std::move(event)});
  }
  void after(double seconds, std::function<void()> event) { at(now + seconds, std::move(event)); }

  std::optional<double> next_seconds() const {
    return queue_.empty() ? std::nullopt : std::optional(queue_.top().seconds);
  }
  void run_next() {
    const auto event = queue_.top().event;
    queue_.pop();
    event();
  }

 private:
  struct Event {
    double seconds;
    std::uint64_t sequence;
    std::function<void()> event;
    bool operator<(const Event& other) const {  // the queue's top is the largest
      return seconds != other.seconds ? seconds > other.seconds : sequence > other.sequence;
    }
  };
  std::priority_queue<Event> queue_;
  std::uint64_t sequence_ = 0;
};

/// Work takes a time by its kind, as many pieces at once as there are; none takes no time at all.
class VirtualExecutor final : public ams::Executor {
 public:
  explicit VirtualExecutor(VirtualClock& clock) : clock_(clock) {}

  std::map<ams::WorkKind, double> seconds;

  double now_seconds() const override { return clock_.now; }
  void post(std::function<void()> function) override { function(); }
  void submit(ams::Work work) override {
    if (!work.run()) return;
    if (const double duration = seconds[work.kind]; duration > 0) {
      clock_.after(duration, std::move(work.finish));
    } else {
      work.finish();
    }
  }
  void forget(const std::string&) override {}

 private:
  VirtualClock& clock_;
};

/// A server and a device over a link with delay that can be cut, with processes that can be killed
/// and started again, in virtual time.
class VirtualPair {
 public:
  struct Setup {
    std::function<ams::ServerParts()> server;
    ams::ServerHostOptions server_options = {};
    std::function<ams::DeviceParts()> device;
    ams::ClientOptions client = {};
    double delay_seconds = 0.05;
    double encode_seconds = 0.4;
    double label_seconds = 0.6;
    double phase_seconds = 1.5;
    double publish_seconds = 0.02;
  };

  explicit VirtualPair(Setup setup) : setup_(std::move(setup)) {
    executor.seconds = {{ams::WorkKind::encode, setup_.encode_seconds},
                        {ams::WorkKind::label, setup_.label_seconds},
                        {ams::WorkKind::train, setup_.phase_seconds},
                        {ams::WorkKind::publish, setup_.publish_seconds}};
  }

  // ---- what happens from outside ----

  void run_until(double seconds) {
    for (;;) {
      double next = seconds;
      int who = 0;
      const auto earlier = [&](std::optional<double> time, int candidate) {
        if (time && *time < next) {
          next = *time;
          who = candidate;
        }
      };
      earlier(clock.next_seconds(), 1);
      if (server) earlier(server->next_wake_seconds(), 2);
      if (device) earlier(device->next_wake_seconds(), 3);
      clock.now = std::max(clock.now, next);
      if (who == 0) return;
      if (who == 1) {
        clock.run_next();
      } else if (who == 2) {
        server->on_time();
        // Or it would wake forever.
        REQUIRE(server->next_wake_seconds().value_or(clock.now + 1) > clock.now);
      } else {
        device->on_time();
        REQUIRE(device->next_wake_seconds().value_or(clock.now + 1) > clock.now);
      }
      after_event();
    }
  }

  void start_server() {
    server = std::make_unique<ams::ServerHost>(setup_.server(), setup_.server_options, executor,
                                               server_link_);
  }

  void kill_server() {
    server.reset();
    cut();
  }

  void start_device() {
    device = std::make_unique<ams::DeviceHost>(setup_.device(), setup_.client, executor,
                                               device_link_);
    ++device_life_;
    device->start();
  }

  void kill_device() {
    device.reset();
    cut();
  }

  /// Everything on its way is lost; both ends notice at once.
  void cut() {
    if (connection_ == 0) return;
    const auto id = std::exchange(connection_, 0);
    if (device) device->on_disconnected("cut");
    if (server) server->on_disconnected(id, "cut");
  }

  // ---- what is looked at ----

  VirtualClock clock;
  VirtualExecutor executor{clock};
  std::unique_ptr<ams::ServerHost> server;
  std::unique_ptr<ams::DeviceHost> device;
  bool link_up = true;
  std::vector<std::string> reasons;  ///< of disconnections by either side

  std::function<void()> after_event = [] {};

  /// May change or swallow (false) what is sent.
  std::function<bool(ams::ServerMessage&)> downlink = [](ams::ServerMessage&) { return true; };
  std::function<bool(ams::DeviceMessage&)> uplink = [](ams::DeviceMessage&) { return true; };

  /// See all that is sent, and what arrives at the device.
  std::function<void(const ams::ServerMessage&)> on_sent_down = [](const ams::ServerMessage&) {};
  std::function<void(const ams::DeviceMessage&)> on_sent_up = [](const ams::DeviceMessage&) {};
  std::function<void(const ams::ServerMessage&)> on_arrived = [](const ams::ServerMessage&) {};

  const ams::ServerSession* session() const {
    return server ? server->session(setup_.client.device_id) : nullptr;
  }

 private:
  /// Unless the connection has ended by then.
  void later_on_link(std::function<void()> event) {
    clock.after(setup_.delay_seconds, [this, id = connection_, event = std::move(event)] {
      if (connection_ != 0 && connection_ == id) event();
    });
  }

  /// Unless that process has ended by then.
  void later_on_device(double seconds, std::function<void()> event) {
    clock.after(seconds, [this, life = device_life_, event = std::move(event)] {
      if (device && life == device_life_) event();
    });
  }

  struct ServerLink final : ams::ServerTransport {
    explicit ServerLink(VirtualPair& pair) : world(pair) {}
    void send(ams::ConnectionId connection, ams::ServerMessage message) override {
      if (connection != world.connection_) return;
      world.on_sent_down(message);
      if (!world.downlink(message)) return;
      world.later_on_link([this, message = std::move(message)] {
        world.on_arrived(message);
        world.device->on_message(message);
      });
    }
    void close(ams::ConnectionId connection, const std::string& reason) override {
      world.reasons.push_back(reason);
      if (connection == world.connection_) world.later_on_link([this] { world.cut(); });
    }
    ams::LinkCounters counters(ams::ConnectionId) const override { return {}; }
    VirtualPair& world;
  };

  struct DeviceLink final : ams::DeviceTransport {
    explicit DeviceLink(VirtualPair& pair) : world(pair) {}
    void connect() override {
      world.later_on_device(world.setup_.delay_seconds, [this, attempt = ++world.attempt_] {
        if (attempt != world.attempt_) return;  // given up
        if (!world.link_up || !world.server) return world.device->on_disconnected("unreachable");
        world.connection_ = ++world.connections_;
        world.server->on_connected(world.connection_, "a device");
        world.device->on_connected();
      });
    }
    void send(ams::DeviceMessage message) override {
      world.on_sent_up(message);
      if (!world.uplink(message)) return;
      world.later_on_link([this, id = world.connection_, message = std::move(message)] {
        world.server->on_message(id, message);
      });
    }
    void close(const std::string& reason) override {
      world.reasons.push_back(reason);
      if (world.connection_ != 0) {
        world.later_on_link([this] { world.cut(); });
      } else {
        ++world.attempt_;
        world.later_on_device(0, [this] { world.device->on_disconnected("closed"); });
      }
    }
    ams::LinkCounters counters() const override { return {}; }
    VirtualPair& world;
  };

  Setup setup_;
  ServerLink server_link_{*this};
  DeviceLink device_link_{*this};
  ams::ConnectionId connection_ = 0;  // 0: none
  ams::ConnectionId connections_ = 0;
  std::uint64_t attempt_ = 0;  // at a connection; another one is of no interest any more
  std::uint64_t device_life_ = 0;
};
