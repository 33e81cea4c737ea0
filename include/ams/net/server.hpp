#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ams/runtime/link_counters.hpp"
#include "ams/session/messages.hpp"

namespace ams {

/// Names one connection in a server's life; never used twice.
using ConnectionId = std::uint64_t;

struct WebSocketServerOptions {
  std::string address = "0.0.0.0";  ///< IPv4 or IPv6 address to listen on
  std::uint16_t port = 8443;        ///< 0: any free port, port() then tells which
  std::string path = "/ams";        ///< the WebSocket's path

  /// PEM files, as check_certificate() wants them. write_self_signed_certificate() makes a pair.
  std::filesystem::path certificate_file;
  std::filesystem::path private_key_file;

  std::size_t max_connections = 256;  ///< devices at a time; more get HTTP 503 or a Fault
  std::size_t max_message_bytes = 64U << 20;  ///< of one message from a device
  /// Bytes waiting for one device; a device that reads too slowly is disconnected beyond it.
  std::size_t max_queue_bytes = 128U << 20;

  double handshake_timeout_seconds = 10;  ///< TLS and HTTP together
  double hello_timeout_seconds = 10;      ///< from the open WebSocket to an accepted Hello
  /// A connection that is silent for half of it is pinged; one that stays silent is cut.
  double idle_timeout_seconds = 60;
  double close_timeout_seconds = 5;  ///< for what is queued and the closing handshake

  /// HTML for GET /, for everybody: it must name no device. Its one script and one style may
  /// run, and nothing else. Empty: there is no page.
  std::string page = {};
};

/// A request of an operator for a path below /api/.
struct HttpRequest {
  std::string method;  ///< "GET", "POST", ...
  std::string path;    ///< as it came, percent-encoded, without what follows a '?'
  std::string body;    ///< at most 16 KiB
  std::string peer;    ///< address and port
};

struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// Takes the answer to a request, once, from any thread, while the server lives. Without one the
/// request is answered with HTTP 503 after half a minute.
using HttpReply = std::function<void(HttpAnswer)>;

/// Called on the server's io thread, one at a time. They may call every function of the server
/// except run() and must not block: the io thread serves all connections. An ams::Error thrown from
/// on_message or authorize is sent to the device as a Fault, which ends the connection; any other
/// exception ends it too. What metrics throws is answered with HTTP 500. The others must not throw.
struct WebSocketServerCallbacks {
  /// Decides on a Hello; a Fault is sent and ends the connection. accept_tokens() (token.hpp) makes
  /// one. Without it every device is let in. Protocol versions that this build does not speak never
  /// reach it.
  std::function<std::optional<Fault>(const Hello&)> authorize;

  /// A device was let in; `peer` is its address and port. Its Hello follows at once through
  /// on_message.
  std::function<void(ConnectionId, const std::string& peer)> on_connected;

  /// A message of a connected device, checked against the limits of the protocol. The first one is
  /// its Hello, and there is no second. After a Bye the connection closes by itself,
  /// once everything that is queued has been sent.
  std::function<void(ConnectionId, DeviceMessage)> on_message;

  /// Exactly once for each on_connected. counters(id) still answers in here.
  std::function<void(ConnectionId, const std::string& reason)> on_disconnected;

  /// A connection ended before it was let in: failed handshake, no Hello in time, wrong token,
  /// server full.
  std::function<void(const std::string& peer, const std::string& reason)> on_refused;

  /// Prometheus text for GET /metrics, after the few lines that the server itself has. With
  /// `authorize` it is for those who send `Authorization: Bearer <token>` with a token that
  /// `authorize` takes in a Hello without a device id. Others get the server's own lines, and HTTP
  /// 401 with another token.
  std::function<std::string()> metrics;

  /// A request for a path below /api/ by somebody who may read all of the metrics. What changes
  /// something (not GET) must be of type application/json, and no request may come from the page of
  /// another site: a browser that an operator uses is no way in.
  std::function<void(HttpRequest, HttpReply)> on_request;
};

/// WebSocket over TLS (1.2 or 1.3) for any number of devices, one connection each. The same port
/// has GET /healthz, GET /metrics, and a page and an interface for operators. It moves messages and
/// knows no session. Every function may be called from every thread.
class WebSocketServer {
 public:
  /// Listens, but accepts nothing before run() or start(). Throws Error(invalid_argument) on
  /// options that make no sense, Error(io_error) when the address is taken, and what
  /// check_certificate() throws.
  WebSocketServer(WebSocketServerOptions options, WebSocketServerCallbacks callbacks);

  /// Stops. Not from a callback.
  ~WebSocketServer();
  WebSocketServer(const WebSocketServer&) = delete;
  WebSocketServer& operator=(const WebSocketServer&) = delete;

  std::uint16_t port() const noexcept;  ///< the port listened on

  void start();  ///< serves on a thread of its own, until stop(). Once, instead of run().
  void run();    ///< serves on this thread, until stop(). Once, instead of start().

  /// Stops accepting, closes every connection with its closing handshake and ends run(); cut short
  /// after close_timeout_seconds. Returns when the own thread of start() has ended, except on the
  /// io thread.
  void stop();

  /// Reads the certificate and its key again, for the connections to come; those that are there
  /// stay. Throws what check_certificate() throws, and then goes on with what it had.
  void reload_certificate();

  /// Queues a message. Control messages overtake chunks of big ones; messages of one kind stay in
  /// order; a Bye goes after everything queued, a Fault at once, and both close the connection when
  /// they are sent. False, and nothing is sent, when the connection is gone or closing. Throws
  /// Error(invalid_argument) on a message that breaks a limit of the protocol.
  bool send(ConnectionId connection, const ServerMessage& message);

  /// Sends what is queued, then closes with this reason (cut to 123 bytes).
  void close(ConnectionId connection, std::string reason);

  /// Bytes queued by send() that the socket has not taken yet; 0 when the connection is gone.
  std::size_t queued_bytes(ConnectionId connection) const;

  LinkCounters counters(ConnectionId connection) const;  ///< zeros when the connection is gone
  LinkCounters total_counters() const;   ///< every connection and request, past ones too
  std::size_t connection_count() const;  ///< devices that are let in

  /// Runs a function on the io thread, in the order of the calls. It must not throw. Dropped once
  /// the server has stopped.
  void post(std::function<void()> function);

  /// The same after a delay.
  void post_after(double delay_seconds, std::function<void()> function);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
