#pragma once

// Peers made by hand from sockets and OpenSSL: they speak WebSocket without the library under test,
// and can send what no good peer would. Blocking; every wait is bounded.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace raw {

using Bytes = std::vector<std::byte>;

inline void require(bool ok, const char* what) {
  if (!ok) {
    throw std::runtime_error(what);
  }
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A connected TCP socket.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {
    const timeval limit{10, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int on = 1;
    setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() { close(); }

  static Socket connect(std::uint16_t port, int receive_buffer_bytes = 0) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(descriptor >= 0, "socket");
    if (receive_buffer_bytes > 0) {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                 sizeof receive_buffer_bytes);
    }
    const sockaddr_in address = loopback(port);
    Socket result(descriptor);
    require(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
            "connect");
    return result;
  }

  int descriptor() const { return descriptor_; }

  bool write(std::string_view data) const {
    while (!data.empty()) {
      const ssize_t n = ::send(descriptor_, data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        return false;
      }
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  /// Whether the peer ends the connection (in any way) within 10 s.
  bool ends() const {
    char buffer[4096];
    while (true) {
      const ssize_t n = ::recv(descriptor_, buffer, sizeof buffer, 0);
      if (n == 0 || (n < 0 && errno != EAGAIN)) {
        return true;
      }
      if (n < 0) {
        return false;
      }
    }
  }

  void close() {
    if (descriptor_ >= 0) {
      ::close(std::exchange(descriptor_, -1));
    }
  }

  /// Ends with a TCP reset.
  void reset() {
    const linger now{1, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

 private:
  int descriptor_;
};

/// A socket on an ephemeral port of the loopback. One that does not listen refuses connections, and
/// keeps the port from other programs.
class Listener {
 public:
  explicit Listener(bool listens = true)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    require(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
            "bind");
    if (listens) require(::listen(descriptor_, 64) == 0, "listen");
    socklen_t size = sizeof address;
    getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(descriptor_); }

  std::uint16_t port() const { return port_; }

  std::optional<Socket> accept(int timeout_milliseconds = 10000) const {
    pollfd poll_entry{descriptor_, POLLIN, 0};
    if (::poll(&poll_entry, 1, timeout_milliseconds) != 1) {
      return std::nullopt;
    }
    const int descriptor = ::accept(descriptor_, nullptr, nullptr);
    return descriptor < 0 ? std::nullopt : std::optional<Socket>(descriptor);
  }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

/// TLS over a socket, either end. The client verifies nothing.
class Tls {
 public:
  explicit Tls(Socket socket, int max_version = 0) : socket_(std::move(socket)) {
    make(TLS_client_method(), max_version);
    shaken_ = SSL_connect(ssl_.get()) == 1;
  }
  Tls(Socket socket, const std::filesystem::path& certificate, const std::filesystem::path& key)
      : socket_(std::move(socket)) {
    make(TLS_server_method(), 0);
    require(SSL_use_certificate_file(ssl_.get(), certificate.c_str(), SSL_FILETYPE_PEM) == 1,
            "certificate");
    require(SSL_use_PrivateKey_file(ssl_.get(), key.c_str(), SSL_FILETYPE_PEM) == 1, "key");
    shaken_ = SSL_accept(ssl_.get()) == 1;
  }

  bool shaken() const { return shaken_; }
  std::string version() const { return SSL_get_version(ssl_.get()); }
  Socket& socket() { return socket_; }

  bool write(std::string_view data) {
    ERR_clear_error();
    return data.empty() || SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())) ==
                               static_cast<int>(data.size());
  }

  /// Nothing when the connection has ended or 10 s have passed.
  std::optional<std::string> read_some() {
    char buffer[16384];
    ERR_clear_error();
    const int n = SSL_read(ssl_.get(), buffer, sizeof buffer);
    return n > 0 ? std::optional<std::string>(std::in_place, buffer, static_cast<std::size_t>(n))
                 : std::nullopt;
  }

  std::string read_to_the_end() {
    std::string all;
    while (const auto some = read_some()) {
      all += *some;
    }
    return all;
  }

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  void make(const SSL_METHOD* method, int max_version) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(method));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    SSL_CTX_set_security_level(context.get(), 0);
    if (max_version != 0) {
      SSL_CTX_set_max_proto_version(context.get(), max_version);
    }
    ssl_.reset(SSL_new(context.get()));
    SSL_set_fd(ssl_.get(), socket_.descriptor());
  }

  Socket socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  bool shaken_ = false;
};

struct Frame {
  unsigned opcode = 0;
  std::string payload;
};

/// Header of a WebSocket frame (RFC 6455, section 5.2). `announced`: length to write instead of the
/// true one.
inline std::string make_frame(unsigned opcode, std::string_view payload, bool masked,
                              bool fin = true, std::uint64_t announced = 0) {
  const std::uint64_t size = announced != 0 ? announced : payload.size();
  std::string frame;
  frame += static_cast<char>((fin ? 0x80 : 0) | opcode);
  const unsigned mask_bit = masked ? 0x80 : 0;
  const int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
  frame += static_cast<char>(mask_bit | (length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127));
  for (int i = length_bytes - 1; i >= 0; --i) {
    frame += static_cast<char>(size >> (8 * i));
  }
  if (!masked) {
    return frame.append(payload);
  }
  const char mask[4] = {0x11, 0x22, 0x33, 0x44};
  frame.append(mask, 4);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame += static_cast<char>(payload[i] ^ mask[i % 4]);
  }
  return frame;
}

inline std::string accept_key(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char base64[64];
  EVP_EncodeBlock(base64, digest, sizeof digest);
  return reinterpret_cast<const char*>(base64);
}

/// A WebSocket by hand: client of a WebSocketServer, or server of a WebSocketClient.
class WebSocket {
 public:
  /// Client. open() tells whether the server agreed.
  explicit WebSocket(std::uint16_t port, const std::string& path = "/ams",
                     int receive_buffer_bytes = 0)
      : tls_(Socket::connect(port, receive_buffer_bytes)), masked_(true) {
    open_ =
        tls_.shaken() &&
        tls_.write(
            "GET " + path +
            " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n") &&
        read_head() && head_.find(" 101 ") != std::string::npos &&
        head_.find(accept_key("dGhlIHNhbXBsZSBub25jZQ==")) != std::string::npos;
  }

  /// Server.
  WebSocket(Socket socket, const std::filesystem::path& certificate,
            const std::filesystem::path& key)
      : tls_(std::move(socket), certificate, key), masked_(false) {
    if (!tls_.shaken() || !read_head()) {
      return;
    }
    const std::string name = "Sec-WebSocket-Key: ";
    const auto at = head_.find(name);
    if (at == std::string::npos) {
      return;
    }
    const auto begin = at + name.size();
    open_ = tls_.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        accept_key(head_.substr(begin, head_.find("\r\n", begin) - begin)) + "\r\n\r\n");
  }

  bool open() const { return open_; }
  const std::string& head() const { return head_; }
  Tls& tls() { return tls_; }

  bool send(unsigned opcode, std::string_view payload, bool fin = true) {
    return tls_.write(make_frame(opcode, payload, masked_, fin));
  }

  /// One message of the protocol, small enough for one chunk.
  bool send_message(const Bytes& message) {
    return send(2, std::string(1, '\0').append(reinterpret_cast<const char*>(message.data()),
                                               message.size()));
  }

  /// Nothing when the connection has ended.
  std::optional<Frame> read() {
    const auto need = [this](std::size_t bytes) {
      while (input_.size() < bytes) {
        const auto some = tls_.read_some();
        if (!some) {
          return false;
        }
        input_ += *some;
      }
      return true;
    };
    const auto byte = [this](std::size_t i) { return static_cast<unsigned char>(input_[i]); };
    if (!need(2)) {
      return std::nullopt;
    }
    const bool masked = (byte(1) & 0x80) != 0;
    std::uint64_t size = byte(1) & 0x7f;
    std::size_t header = 2;
    if (size >= 126) {
      const std::size_t length_bytes = size == 126 ? 2 : 8;
      if (!need(header + length_bytes)) {
        return std::nullopt;
      }
      size = 0;
      for (std::size_t i = 0; i < length_bytes; ++i) {
        size = (size << 8) | byte(header + i);
      }
      header += length_bytes;
    }
    header += masked ? 4 : 0;
    if (!need(header + size)) {
      return std::nullopt;
    }
    Frame frame{byte(0) & 0x0fU, input_.substr(header, size)};
    for (std::size_t i = 0; masked && i < frame.payload.size(); ++i) {
      frame.payload[i] = static_cast<char>(frame.payload[i] ^ input_[header - 4 + i % 4]);
    }
    input_.erase(0, header + size);
    return frame;
  }

  /// The next whole message, without its chunk header; nothing when something else comes.
  std::optional<Bytes> read_message() {
    const auto frame = read();
    if (!frame || frame->opcode != 2 || frame->payload.size() < 2 || frame->payload[0] != 0) {
      return std::nullopt;
    }
    const auto* data = reinterpret_cast<const std::byte*>(frame->payload.data());
    return Bytes(data + 1, data + frame->payload.size());
  }

 private:
  bool read_head() {
    while (true) {
      if (const auto end = input_.find("\r\n\r\n"); end != std::string::npos) {
        head_ = input_.substr(0, end + 4);
        input_.erase(0, end + 4);
        return true;
      }
      const auto some = tls_.read_some();
      if (!some) {
        return false;
      }
      input_ += *some;
    }
  }

  Tls tls_;
  bool masked_;
  bool open_ = false;
  std::string head_;
  std::string input_;
};

/// Passes TCP connections on, one after another, and counts every byte.
class CountingProxy {
 public:
  explicit CountingProxy(std::uint16_t target) : target_(target), thread_([this] { serve(); }) {}
  CountingProxy(const CountingProxy&) = delete;
  CountingProxy& operator=(const CountingProxy&) = delete;
  ~CountingProxy() {
    stop_ = true;
    thread_.join();
  }

  std::uint16_t port() const { return listener_.port(); }
  std::uint64_t uplink_bytes() const { return uplink_; }
  std::uint64_t downlink_bytes() const { return downlink_; }

 private:
  void serve() {
    while (!stop_) {
      if (auto device = listener_.accept(50)) {
        relay(*device, Socket::connect(target_));
      }
    }
  }

  static bool pass(const Socket& from, const Socket& to, std::atomic<std::uint64_t>& count) {
    char buffer[65536];
    const ssize_t n = ::recv(from.descriptor(), buffer, sizeof buffer, 0);
    if (n <= 0) {
      ::shutdown(to.descriptor(), SHUT_WR);
      return false;
    }
    count += static_cast<std::uint64_t>(n);
    to.write({buffer, static_cast<std::size_t>(n)});
    return true;
  }

  void relay(const Socket& device, const Socket& server) {
    bool up = true;
    bool down = true;
    while (!stop_ && (up || down)) {
      pollfd entries[2] = {{up ? device.descriptor() : -1, POLLIN, 0},
                           {down ? server.descriptor() : -1, POLLIN, 0}};
      ::poll(entries, 2, 50);
      if (entries[0].revents != 0) {
        up = pass(device, server, uplink_);
      }
      if (entries[1].revents != 0) {
        down = pass(server, device, downlink_);
      }
    }
  }

  std::uint16_t target_;
  Listener listener_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> uplink_{0};
  std::atomic<std::uint64_t> downlink_{0};
  std::thread thread_;
};

}  // namespace raw
