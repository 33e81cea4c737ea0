#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "ams/runtime/link_counters.hpp"
#include "ams/session/messages.hpp"

namespace ams {

struct WebSocketClientOptions {
  std::string host;           ///< name or IP address
  std::uint16_t port = 8443;  ///< 1 to 65535
  std::string path = "/ams";  ///< the WebSocket's path

  /// PEM file with the certificates to trust: the server's own one if it is self-signed, or that of
  /// its authority. Empty: the system's store.
  std::filesystem::path ca_file;

  /// Accepts a trusted certificate that was made out to another host. Only where ca_file holds the
  /// server's own certificate does this leave the link safe.
  bool insecure_accept_any_host_name = false;

  std::size_t max_message_bytes = 256U << 20;  ///< of one message from the server
  std::size_t max_queue_bytes = 128U << 20;  ///< waiting to be sent; the connection ends beyond it

  double connect_timeout_seconds = 15;  ///< name look-up, TCP, TLS and HTTP together
  /// A connection that is silent for half of it is pinged; one that stays silent is cut.
  double idle_timeout_seconds = 60;
  double close_timeout_seconds = 5;  ///< for what is queued and the closing handshake
};

/// Called on the client's io thread, one at a time. They may call every function of the client
/// except run(). An exception thrown from on_message ends the connection; an ams::Error's message
/// is the reason. The others must not throw.
struct WebSocketClientCallbacks {
  std::function<void()> on_connected;  ///< the link is up and encrypted; send Hello now
  std::function<void(ServerMessage)> on_message;
  /// Once for each connect(), whether on_connected came or not. connect() may be called from in
  /// here.
  std::function<void(const std::string& reason)> on_disconnected;
};

/// The device's end: one WebSocket over TLS (1.2 or 1.3) at a time. When to connect again is the
/// caller's decision. Every function may be called from every thread.
class WebSocketClient {
 public:
  /// Throws Error(invalid_argument) on options that make no sense, Error(io_error) when ca_file
  /// cannot be read and Error(malformed_data) when no certificate is in it. Connects to nothing
  /// yet.
  WebSocketClient(WebSocketClientOptions options, WebSocketClientCallbacks callbacks);

  /// Stops. Not from a callback.
  ~WebSocketClient();
  WebSocketClient(const WebSocketClient&) = delete;
  WebSocketClient& operator=(const WebSocketClient&) = delete;

  void start();  ///< works on a thread of its own, until stop(). Once, instead of run().
  void run();    ///< works on this thread, until stop(). Once, instead of start().

  /// Closes the connection with its closing handshake and ends run(); cut short after
  /// close_timeout_seconds. Returns when the own thread of start() has ended, except on the io
  /// thread.
  void stop();

  /// Begins to connect; on_connected or on_disconnected tells how it went. Does nothing while a
  /// connection is there or on its way.
  void connect();

  /// Queues a message. Control messages overtake chunks of big ones; messages of one kind stay in
  /// order; a Bye goes after everything queued and is the last: the server then closes, and what it
  /// had sent before still arrives. False, and nothing is sent, when not connected or closing.
  /// Throws Error(invalid_argument) on a message that breaks a limit of the protocol.
  bool send(const DeviceMessage& message);

  /// Sends what is queued, then closes with this reason (cut to 123 bytes).
  void close(std::string reason);

  bool connected() const noexcept;
  std::size_t queued_bytes() const noexcept;  ///< queued by send() and not yet taken by the socket
  LinkCounters counters() const noexcept;     ///< over the client's life, all its connections

  /// Runs a function on the io thread, in the order of the calls. It must not throw. Dropped once
  /// the client has stopped.
  void post(std::function<void()> function);

  /// The same after a delay.
  void post_after(double delay_seconds, std::function<void()> function);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
