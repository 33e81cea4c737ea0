#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ams/runtime/link_counters.hpp"
#include "ams/session/messages.hpp"

namespace ams {

/// Names one connection in a server's life; never used twice.
using ConnectionId = std::uint64_t;

/// Carries messages between a server's host and its devices. WebSocketTransport (net) is the real
/// one. Calls may come from any thread and do not wait.
class ServerTransport {
 public:
  virtual ~ServerTransport() = default;

  /// Queues a message. Nothing happens when the connection is gone.
  virtual void send(ConnectionId connection, ServerMessage message) = 0;

  /// Sends what is queued, then closes. ServerHost::on_disconnected() follows.
  virtual void close(ConnectionId connection, const std::string& reason) = 0;

  /// Bytes of the connection so far; also during on_disconnected().
  virtual LinkCounters counters(ConnectionId connection) const = 0;
};

/// Carries messages between a device's host and its server. Likewise.
class DeviceTransport {
 public:
  virtual ~DeviceTransport() = default;

  /// Begins to connect. DeviceHost::on_connected() or on_disconnected() follows.
  virtual void connect() = 0;
  virtual void send(DeviceMessage message) = 0;

  /// Sends what is queued, then closes, or gives up connecting. on_disconnected() follows.
  virtual void close(const std::string& reason) = 0;

  /// Bytes over the device's life, all its connections.
  virtual LinkCounters counters() const = 0;
};

}  // namespace ams
