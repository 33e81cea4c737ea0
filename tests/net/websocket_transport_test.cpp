#include "ams/net/websocket_transport.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ams/runtime/log.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "fixtures.hpp"
#include "runtime/recording_log.hpp"
#include "runtime/toy_parts.hpp"

namespace {

using namespace ams;
using fixtures::eventually;

/// A server of the toy student on a free port.
struct Server {
  toy::SessionSetup setup = [] {
    toy::SessionSetup s;
    s.strategy = make_selection_strategy("full", 1);
    s.pace.update_interval_seconds = 0.1;
    s.pace.sampling.initial_fps = s.pace.sampling.max_fps = 50;
    return s;
  }();
  RecordingLog log;
  ThreadExecutor executor;
  WebSocketServerTransport transport{fixtures::server_options(), accept_tokens({"secret"}),
                                     executor, &log};
  ServerHost host{{.initial = toy::initial_state(),
                   .task = std::make_shared<toy::Task>(),
                   .make_policy = [this] { return setup.policy(); },
                   .teacher = std::make_shared<toy::Teacher>(600),
                   .trainer = std::make_shared<toy::Trainer>(),
                   .codec = std::make_shared<toy::Codec>()},
                  {},
                  executor,
                  transport,
                  &log};
  Server() {
    executor.set_tick([this] { host.on_time(); });
    transport.start(host);
  }
  void stop() {
    host.stop();
    executor.stop_work();
    transport.stop();
    executor.stop();
  }
  ~Server() { stop(); }
};

struct Device {
  RecordingLog log;
  ThreadExecutor executor;
  WebSocketDeviceTransport transport;
  DeviceHost host;
  std::size_t frame = 0;

  Device(std::uint16_t port, const std::string& token)
      : transport(
            [&] {
              WebSocketClientOptions options;
              options.host = "127.0.0.1";
              options.port = port;
              options.ca_file = fixtures::Credentials::get().certificate;
              return options;
            }(),
            executor),
        host(
            {.initial = toy::initial_state(),
             .active = std::make_shared<toy::Predictor>(),
             .inactive = std::make_shared<toy::Predictor>(),
             .codec = std::make_shared<toy::Codec>()},
            [&] {
              ClientOptions options;
              options.token = token;
              options.first_batch_seconds = 0.05;
              options.reconnect_min_seconds = options.reconnect_max_seconds = 0.05;
              return options;
            }(),
            executor, transport, &log) {
    executor.set_tick([this] { host.on_time(); });
    transport.start(host);
    host.start();
  }
  void play() {
    host.offer(double(frame) / 100, Handle::make(frame));
    ++frame;
  }
  void stop() {
    transport.stop();
    executor.stop();
  }
  ~Device() { stop(); }
};

TEST_CASE("hosts find each other over the network, adapt, and part in order") {
  Server server;
  Device device(server.transport.port(), "secret");
  REQUIRE(eventually([&] {
    device.play();
    return device.host.status().model_version >= 3;
  }));
  CHECK(device.host.status().streaming);
  CHECK(eventually([&] {
    return server.host.metrics().find("ams_updates_total{device=\"device\"}") != std::string::npos;
  }));
  device.host.leave("the end");
  CHECK(device.host.wait_until_left(20));
  device.stop();
  server.stop();
  REQUIRE(server.host.session("device"));
  CHECK(server.host.session("device")->held().version() == device.host.client().held().version());
  CHECK(device.host.counters().refusals == 0);
  const auto report = server.host.report();
  REQUIRE(report.size() == 1);
  CHECK(report[0].ended_links.uplink_bytes > 0);
  CHECK(report[0].ended_links.uplink_bytes == device.host.status().link.uplink_bytes);
  CHECK(report[0].ended_links.downlink_bytes == server.transport.total_counters().downlink_bytes);
}

TEST_CASE("the server that docs/embed.md shows") {
  const ams::WebSocketServerOptions network = fixtures::server_options();
  const toy::SessionSetup setup;
  const ams::ServerParts parts{.initial = toy::initial_state(),
                               .task = std::make_shared<toy::Task>(),
                               .make_policy = [&] { return setup.policy(); },
                               .teacher = std::make_shared<toy::Teacher>(600),
                               .trainer = std::make_shared<toy::Trainer>(),
                               .codec = std::make_shared<toy::Codec>()};
  std::optional<Device> device;
  std::uint16_t port = 0;
  const auto wait_for_the_end = [&] {
    device.emplace(port, "secret");
    CHECK(eventually([&] { return device->host.status().streaming; }));
  };

  ams::Logger log;  // to stderr
  ams::ThreadExecutor executor;
  ams::WebSocketServerTransport link(network, ams::accept_tokens({"secret"}), executor, &log);
  ams::ServerHost server(parts, {}, executor, link, &log);
  executor.set_tick([&] { server.on_time(); });
  link.start(server);
  port = link.port();
  wait_for_the_end();
  server.stop();
  executor.stop_work();  // the update of the phase under way still leaves
  link.stop();
  executor.stop();
}

TEST_CASE("a device whose transport was not started says so") {
  RecordingLog log;
  ThreadExecutor executor;
  WebSocketDeviceTransport transport(
      {.host = "127.0.0.1", .port = 1, .ca_file = fixtures::Credentials::get().certificate},
      executor);
  DeviceHost host({.initial = toy::initial_state(),
                   .active = std::make_shared<toy::Predictor>(),
                   .inactive = std::make_shared<toy::Predictor>(),
                   .codec = std::make_shared<toy::Codec>()},
                  {}, executor, transport, &log);
  host.start();
  CHECK(log.count("client_failed") == 1);
  executor.stop();
}

TEST_CASE("a device with a wrong token reaches no session") {
  Server server;
  Device device(server.transport.port(), "guess");
  CHECK(eventually([&] { return server.log.count("refused") > 0; }));
  CHECK(eventually([&] { return device.log.count("server_fault") > 0; }));
  device.stop();
  server.stop();
  CHECK(server.host.report().empty());
}

TEST_CASE("a server that stops and one that comes back") {
  std::optional<Server> server;
  server.emplace();
  Device device(server->transport.port(), "secret");
  CHECK(eventually([&] { return device.host.status().streaming; }));
  server->stop();
  CHECK(eventually([&] { return !device.host.status().streaming; }));
  CHECK(server->host.report().at(0).ended_links.downlink_bytes > 0);
  CHECK(device.log.count("disconnected") > 0);
}

}  // namespace
