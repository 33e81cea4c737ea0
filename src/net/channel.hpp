#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ams/core/bytes.hpp"
#include "ams/core/error.hpp"
#include "ams/net/chunking.hpp"
#include "ams/net/wire.hpp"

namespace ams::detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

/// Written on the io thread, read on any.
struct SocketCounters {
  std::atomic<std::uint64_t> read_bytes{0};
  std::atomic<std::uint64_t> written_bytes{0};
};

/// Beast shows every transfer of a socket to the stream's rate policy; this one limits nothing and
/// counts. It sits below TLS, so handshakes and records are counted too.
class CountingPolicy {
 public:
  CountingPolicy(std::shared_ptr<SocketCounters> connection, std::shared_ptr<SocketCounters> total)
      : connection_(std::move(connection)), total_(std::move(total)) {}

 private:
  friend class beast::rate_policy_access;
  static constexpr std::size_t unlimited = static_cast<std::size_t>(-1);

  std::size_t available_read_bytes() const noexcept { return unlimited; }
  std::size_t available_write_bytes() const noexcept { return unlimited; }
  void transfer_read_bytes(std::size_t n) const noexcept {
    connection_->read_bytes += n;
    total_->read_bytes += n;
  }
  void transfer_write_bytes(std::size_t n) const noexcept {
    connection_->written_bytes += n;
    total_->written_bytes += n;
  }
  void on_timer() const noexcept {}

  std::shared_ptr<SocketCounters> connection_;
  std::shared_ptr<SocketCounters> total_;
};

using TcpStream = beast::basic_stream<tcp, asio::any_io_executor, CountingPolicy>;
using Duration = std::chrono::steady_clock::duration;

/// TLS whose end has a deadline too. Beast ends a connection with TLS's own goodbye, and waits for
/// the peer's; one that breaks WebSocket's rules is not going to say it.
class TlsStream : public beast::ssl_stream<TcpStream> {
 public:
  using Base = beast::ssl_stream<TcpStream>;
  using Base::Base;

  void set_teardown_timeout(Duration timeout) { teardown_timeout_ = timeout; }

  // Found by argument-dependent look-up, from websocket::stream.
  template <typename Handler>
  friend void async_teardown(beast::role_type role, TlsStream& stream, Handler&& handler) {
    stream.next_layer().expires_after(stream.teardown_timeout_);
    // How the goodbye went must not hide why it was said.
    async_teardown(
        role, static_cast<Base&>(stream),
        [handler = std::forward<Handler>(handler)](error_code) mutable { handler(error_code()); });
  }
  friend void teardown(beast::role_type role, TlsStream& stream, error_code& error) {
    teardown(role, static_cast<Base&>(stream), error);
  }

 private:
  Duration teardown_timeout_ = std::chrono::seconds(5);
};

using WebSocket = websocket::stream<TlsStream, false>;  // false: without permessage-deflate

/// Throws Error(invalid_argument) unless 0 < seconds <= 1e6.
Duration to_timeout(double seconds, const char* option);

/// Any delay that a timer can take: negative ones become 0. Throws Error(invalid_argument) on NaN.
Duration to_delay(double seconds);

/// TLS 1.2 or 1.3, forward secrecy, no renegotiation, no compression, no session tickets.
void harden(asio::ssl::context& context);

/// "connection reset by peer" and the like, without what only a programmer wants to know.
std::string describe(error_code error);

/// What both ends do with an open WebSocket: chunks out by urgency, chunks in and assembled, close
/// handshake in bounded time. All functions run on the io thread, except send() and the const ones.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  struct Options {
    std::size_t max_message_bytes = 0;
    std::size_t max_queue_bytes = 0;
    Duration idle_timeout{};
    Duration close_timeout{};
    /// After a Bye of ours, the peer closes: what it sent before it read the Bye still arrives.
    bool peer_closes_after_bye = false;
  };

  struct Handlers {
    /// What it throws ends the connection as fail() does.
    std::function<void(Bytes)> on_message;
    /// The last message to the peer before the connection is closed because of an error.
    std::function<Bytes(const Error&)> farewell;
    std::function<void(const std::string& reason)> on_closed;  ///< exactly once after start()
  };

  /// `websocket` is open already.
  Channel(WebSocket websocket, std::shared_ptr<SocketCounters> counters, Options options);

  void start(Handlers handlers);

  /// From any thread. False when closing or when the queue would be over its limit, which also
  /// closes.
  bool send(MessageKind kind, Bytes message);

  /// Sends what is queued, then closes. The first reason given is the one that counts.
  void close(websocket::close_code code, std::string reason);

  /// Drops what is queued, sends the farewell, closes.
  void fail(const Error& error);

  /// Ends at once, without a word to the peer.
  void cut(const std::string& reason);

  void set_max_message_bytes(std::size_t bytes);

  std::size_t queued_bytes() const noexcept { return queued_bytes_; }
  const SocketCounters& counters() const noexcept { return *counters_; }

 private:
  enum class State { open, draining, closing, closed };

  void read();
  void on_read(error_code error);
  void deliver(std::span<const std::byte> chunk);
  void write();
  void on_write(error_code error);
  void drop_queue_but_control();
  void begin_close_handshake();
  void finish(const std::string& reason);
  std::string reason_of(error_code error) const;

  WebSocket websocket_;
  std::shared_ptr<SocketCounters> counters_;
  Options options_;
  Handlers handlers_;
  asio::any_io_executor executor_;
  asio::steady_timer close_timer_;

  State state_ = State::open;
  bool failed_ = false;  // what still arrives is not delivered any more
  websocket::close_code close_code_ = websocket::close_code::normal;
  std::string close_reason_;

  beast::flat_buffer read_buffer_;
  ChunkAssembler assembler_;

  ChunkQueue queue_;
  Chunk chunk_;  // being written
  bool writing_ = false;

  std::atomic<bool> accepts_{true};
  std::atomic<std::size_t> queued_bytes_{0};  // with what other threads have handed over
};

}  // namespace ams::detail
