#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ams/net/client.hpp"
#include "ams/net/server.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/executor.hpp"
#include "ams/runtime/log_sink.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/transport.hpp"

namespace ams {

/// A ServerTransport over WebSocketServer. Its socket thread moves bytes, checks tokens and answers
/// /metrics with ServerHost::metrics(); all else is posted to the executor.
///
///     WebSocketServerTransport transport(network, accept_tokens({token}), executor);
///     ServerHost host(parts, options, executor, transport);
///     transport.start(host);
///     ...
///     executor.stop_work();  // what came of the phase under way still leaves
///     transport.stop();      // orderly; the host hears of every connection's end
///     executor.stop();
class WebSocketServerTransport final : public ServerTransport {
 public:
  /// Listens, but accepts nothing before start(). authorize: as in WebSocketServerCallbacks, on the
  /// socket thread; null lets every device in. executor and log outlive the transport. Throws as
  /// WebSocketServer does.
  WebSocketServerTransport(WebSocketServerOptions options,
                           std::function<std::optional<Fault>(const Hello&)> authorize,
                           Executor& executor, LogSink* log = nullptr);

  /// Stops.
  ~WebSocketServerTransport() override;

  /// Serves `host`, which lives until stop() has returned and the executor has stopped. Once.
  void start(ServerHost& host);

  /// Answers what operators ask for below /api/, on the executor's host thread. Before start().
  void set_on_request(std::function<void(HttpRequest, HttpReply)> on_request);

  /// Closes all connections in order. Not from the executor's threads.
  void stop();

  /// As WebSocketServer::reload_certificate().
  void reload_certificate();

  std::uint16_t port() const noexcept;  ///< the port listened on
  LinkCounters total_counters() const;  ///< every connection and request, past ones too

  void send(ConnectionId connection, ServerMessage message) override;
  void close(ConnectionId connection, const std::string& reason) override;
  LinkCounters counters(ConnectionId connection) const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// A DeviceTransport over WebSocketClient. Its socket thread moves bytes; all else is posted to the
/// executor.
class WebSocketDeviceTransport final : public DeviceTransport {
 public:
  /// Connects to nothing yet. executor outlives the transport. Throws as WebSocketClient does.
  WebSocketDeviceTransport(WebSocketClientOptions options, Executor& executor);

  /// Stops.
  ~WebSocketDeviceTransport() override;

  /// Carries messages for `host`, which lives until stop() has returned and the executor has
  /// stopped. Once, before DeviceHost::start().
  void start(DeviceHost& host);

  /// Closes the connection. Not from the executor's threads.
  void stop();

  /// Throws Error(invalid_argument) before start().
  void connect() override;
  void send(DeviceMessage message) override;
  void close(const std::string& reason) override;
  LinkCounters counters() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
