#include "ams/net/client.hpp"

#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <optional>
#include <utility>

#include "ams/net/wire.hpp"
#include "ams/session/text.hpp"
#include "channel.hpp"
#include "credentials.hpp"
#include "io_thread.hpp"

namespace ams {

using namespace detail;

namespace {

bool is_ip_address(const std::string& host) {
  error_code error;
  asio::ip::make_address(host, error);
  return !error;
}

std::string host_and_port(const WebSocketClientOptions& options) {
  const bool is_ipv6 = options.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + options.host + "]" : options.host) + ":" + std::to_string(options.port);
}

std::string made_out_to(const X509* certificate) {
  std::string text;
  for (const std::string& host : hosts_of(certificate)) text += (text.empty() ? "" : ", ") + host;
  return text.empty() ? "no host" : text;
}

// Why OpenSSL did not believe the server's certificate, and what the user can do about it.
std::string verification_problem(SSL* ssl, long result, const WebSocketClientOptions& options) {
  const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl);
  const X509* own = chain != nullptr && sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : nullptr;
  std::string text = "TLS: certificate verify failed (";
  text += X509_verify_cert_error_string(result);
  text += ")";
  switch (result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      text += options.ca_file.empty()
                  ? ": give its file with --ca"
                  : ": it is not one that " + options.ca_file.string() + " vouches for";
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      text += ": it was not made out to " + options.host +
              (own != nullptr ? " but to " + made_out_to(own) : "") +
              " (ams-server --generate-certificate takes --certificate-hosts)";
      break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      if (own != nullptr) {
        text += ": valid from " + to_text(X509_get0_notBefore(own)) + " to " +
                to_text(X509_get0_notAfter(own));
      }
      text += ": or is this machine's clock wrong?";
      break;
    default:
      break;
  }
  return text;
}

}  // namespace

class WebSocketClient::Impl {
 public:
  Impl(WebSocketClientOptions options, WebSocketClientCallbacks callbacks);

  void run() { thread_.run(); }
  void start() { thread_.start(); }
  void stop() {
    thread_.stop([this] { shut_down(); });
  }

  void connect();
  bool send(const DeviceMessage& message);
  void close(std::string reason);

  std::shared_ptr<Channel> channel() const;
  LinkCounters counters() const noexcept { return {total_->written_bytes, total_->read_bytes}; }
  void post(std::function<void()> function) { thread_.post(std::move(function)); }
  void post_after(double delay_seconds, std::function<void()> function) {
    thread_.post_after(delay_seconds, std::move(function));
  }

 private:
  class Attempt;

  void prepare_tls();
  void opened(WebSocket websocket, std::shared_ptr<SocketCounters> counters);
  void ended(const std::string& reason);
  void shut_down();

  const WebSocketClientOptions options_;
  const WebSocketClientCallbacks callbacks_;
  const Duration connect_timeout_;
  const Duration idle_timeout_;
  const Duration close_timeout_;

  IoThread thread_{"client"};
  asio::io_context& io_ = thread_.context();
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  asio::steady_timer stop_timer_{io_};
  const std::shared_ptr<SocketCounters> total_ = std::make_shared<SocketCounters>();

  // Used on the io thread. At most one of the two is there.
  std::shared_ptr<Attempt> attempt_;
  bool open_ = false;
  bool stopping_ = false;

  mutable std::mutex channel_mutex_;
  std::shared_ptr<Channel> channel_;
};

// From a host's name to an open WebSocket, under one deadline. Ends with exactly one call of
// opened() or ended().
class WebSocketClient::Impl::Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  explicit Attempt(Impl& client)
      : client_(client),
        counters_(std::make_shared<SocketCounters>()),
        resolver_(client.io_),
        deadline_(client.io_, client.connect_timeout_),
        websocket_(TlsStream(TcpStream(CountingPolicy(counters_, client.total_), client.io_),
                             client.tls_)) {}

  void begin() {
    deadline_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) {
        self->fail("no connection within " +
                   std::to_string(self->client_.options_.connect_timeout_seconds) + " s");
      }
    });
    if (const auto problem = name_the_host()) {
      // Not at once: connect() must not call back before it has returned.
      client_.post([self = shared_from_this(), problem] { self->fail(*problem); });
      return;
    }
    resolver_.async_resolve(
        client_.options_.host, std::to_string(client_.options_.port),
        [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
          if (self->proceeds(error, "name look-up: ")) {
            self->connect(found);
          }
        });
  }

  void fail(const std::string& reason) {
    if (done_) {
      return;
    }
    done_ = true;
    deadline_.cancel();
    resolver_.cancel();
    beast::get_lowest_layer(websocket_).close();
    client_.ended(host_and_port(client_.options_) + ": " + printable(reason));
  }

 private:
  // What the server's certificate must be made out to, and which name the server is told (SNI).
  std::optional<std::string> name_the_host() {
    SSL* ssl = websocket_.next_layer().native_handle();
    const std::string& host = client_.options_.host;
    const bool is_ip = is_ip_address(host);
    if (!is_ip && SSL_set_tlsext_host_name(ssl, host.c_str()) != 1) {
      return "TLS: the host's name cannot be sent";
    }
    if (!client_.options_.insecure_accept_any_host_name) {
      X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
      const int ok = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str())
                           : X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
      if (ok != 1) {
        return "TLS: the host's name cannot be verified";
      }
    }
    return std::nullopt;
  }

  bool proceeds(error_code error, const char* step) {
    if (error) {
      fail(step + describe(error));
    }
    return !done_;
  }

  void connect(const tcp::resolver::results_type& found) {
    beast::get_lowest_layer(websocket_)
        .async_connect(found, [self = shared_from_this()](error_code error, const tcp::endpoint&) {
          if (self->proceeds(error, "")) {
            self->shake_hands();
          }
        });
  }

  void shake_hands() {
    error_code ignored;
    beast::get_lowest_layer(websocket_).socket().set_option(tcp::no_delay(true), ignored);
    websocket_.next_layer().async_handshake(
        asio::ssl::stream_base::client, [self = shared_from_this()](error_code error) {
          if (error && !self->done_) {
            SSL* ssl = self->websocket_.next_layer().native_handle();
            if (const long result = SSL_get_verify_result(ssl); result != X509_V_OK) {
              self->fail(verification_problem(ssl, result, self->client_.options_));
              return;
            }
          }
          if (self->proceeds(error, "TLS handshake: ")) {
            self->upgrade();
          }
        });
  }

  void upgrade() {
    websocket_.async_handshake(response_, host_and_port(client_.options_), client_.options_.path,
                               [self = shared_from_this()](error_code error) {
                                 if (error == websocket::error::upgrade_declined && !self->done_) {
                                   self->fail(self->declined());
                                 } else if (self->proceeds(error, "WebSocket handshake: ")) {
                                   self->done_ = true;
                                   self->deadline_.cancel();
                                   self->client_.opened(std::move(self->websocket_),
                                                        self->counters_);
                                 }
                               });
  }

  std::string declined() const {
    std::string text = "the server answers HTTP " + std::to_string(response_.result_int());
    std::string body = response_.body().substr(0, 200);
    while (!body.empty() && body.back() == '\n') {
      body.pop_back();
    }
    return body.empty() ? text : text + ": " + body;
  }

  Impl& client_;
  const std::shared_ptr<SocketCounters> counters_;
  tcp::resolver resolver_;
  asio::steady_timer deadline_;
  WebSocket websocket_;
  websocket::response_type response_;
  bool done_ = false;
};

WebSocketClient::Impl::Impl(WebSocketClientOptions options, WebSocketClientCallbacks callbacks)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      connect_timeout_(to_timeout(options_.connect_timeout_seconds, "connect_timeout_seconds")),
      idle_timeout_(to_timeout(options_.idle_timeout_seconds, "idle_timeout_seconds")),
      close_timeout_(to_timeout(options_.close_timeout_seconds, "close_timeout_seconds")) {
  if (options_.host.empty()) {
    throw Error(ErrorCode::invalid_argument, "host is empty (a name or an IP address is needed)");
  }
  if (options_.port == 0) {
    throw Error(ErrorCode::invalid_argument, "port is 0 (1 to 65535 allowed)");
  }
  if (options_.path.empty() || options_.path[0] != '/') {
    throw Error(ErrorCode::invalid_argument,
                "path is \"" + options_.path + "\" (it must begin with '/')");
  }
  if (options_.max_message_bytes < 1 || options_.max_message_bytes > max_encoded_message_bytes) {
    throw Error(ErrorCode::invalid_argument,
                "max_message_bytes is " + std::to_string(options_.max_message_bytes) + " (1 to " +
                    std::to_string(max_encoded_message_bytes) + " allowed)");
  }
  prepare_tls();
}

void WebSocketClient::Impl::prepare_tls() {
  harden(tls_);
  tls_.set_verify_mode(asio::ssl::verify_peer);
  // A certificate in ca_file is trusted itself, whoever signed it.
  X509_STORE_set_flags(SSL_CTX_get_cert_store(tls_.native_handle()), X509_V_FLAG_PARTIAL_CHAIN);
  if (options_.ca_file.empty()) {
    error_code error;
    tls_.set_default_verify_paths(error);
    if (error) {
      throw Error(ErrorCode::unavailable, "the system's certificates: " + describe(error));
    }
    return;
  }
  X509_STORE* store = SSL_CTX_get_cert_store(tls_.native_handle());
  for (const CertificatePtr& certificate : read_certificates(options_.ca_file)) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) {
      throw Error(ErrorCode::unavailable,
                  "OpenSSL does not take a certificate of " + options_.ca_file.string());
    }
  }
}

void WebSocketClient::Impl::shut_down() {
  stopping_ = true;
  if (const auto attempt = attempt_) {
    attempt->fail("the client stops");
  } else if (const auto open = channel()) {
    open->close(websocket::close_code::going_away, "the client stops");
    stop_timer_.expires_after(close_timeout_ + std::chrono::milliseconds(100));
    stop_timer_.async_wait([open](error_code error) {
      if (!error) {
        open->cut("the client stops");
      }
    });
  } else {
    thread_.end();
  }
}

void WebSocketClient::Impl::connect() {
  post([this] {
    if (stopping_ || attempt_ || open_) {
      return;
    }
    attempt_ = std::make_shared<Attempt>(*this);
    attempt_->begin();
  });
}

void WebSocketClient::Impl::opened(WebSocket websocket, std::shared_ptr<SocketCounters> counters) {
  attempt_.reset();
  open_ = true;
  Channel::Options options;
  options.max_message_bytes = options_.max_message_bytes;
  options.max_queue_bytes = options_.max_queue_bytes;
  options.idle_timeout = idle_timeout_;
  options.close_timeout = close_timeout_;
  options.peer_closes_after_bye = true;
  const auto channel =
      std::make_shared<Channel>(std::move(websocket), std::move(counters), options);
  {
    const std::lock_guard lock(channel_mutex_);
    channel_ = channel;
  }
  if (callbacks_.on_connected) {
    callbacks_.on_connected();
  }
  Channel::Handlers handlers;
  handlers.on_message = [this](const Bytes& bytes) {
    ServerMessage message = decode_server_message(bytes);
    if (callbacks_.on_message) {
      callbacks_.on_message(std::move(message));
    }
  };
  handlers.farewell = [](const Error& error) {
    return encode_message(DeviceMessage(Bye{error.what()}));
  };
  handlers.on_closed = [this](const std::string& reason) { ended(reason); };
  channel->start(std::move(handlers));
}

void WebSocketClient::Impl::ended(const std::string& reason) {
  attempt_.reset();
  open_ = false;
  {
    const std::lock_guard lock(channel_mutex_);
    channel_.reset();
  }
  stop_timer_.cancel();
  if (callbacks_.on_disconnected) {
    callbacks_.on_disconnected(reason);
  }
  if (stopping_) {
    thread_.end();
  }
}

std::shared_ptr<Channel> WebSocketClient::Impl::channel() const {
  const std::lock_guard lock(channel_mutex_);
  return channel_;
}

bool WebSocketClient::Impl::send(const DeviceMessage& message) {
  Bytes bytes = encode_message(message);
  const auto open = channel();
  return open && open->send(kind_of(message), std::move(bytes));
}

void WebSocketClient::Impl::close(std::string reason) {
  post([this, reason = std::move(reason)] {
    if (const auto attempt = attempt_) {
      attempt->fail(reason);
    } else if (const auto open = channel()) {
      open->close(websocket::close_code::normal, reason);
    }
  });
}

// ---- the public face ----

WebSocketClient::WebSocketClient(WebSocketClientOptions options, WebSocketClientCallbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(callbacks))) {}

WebSocketClient::~WebSocketClient() {
  stop();
}

void WebSocketClient::start() {
  impl_->start();
}
void WebSocketClient::run() {
  impl_->run();
}
void WebSocketClient::stop() {
  impl_->stop();
}
void WebSocketClient::connect() {
  impl_->connect();
}
bool WebSocketClient::send(const DeviceMessage& message) {
  return impl_->send(message);
}
void WebSocketClient::close(std::string reason) {
  impl_->close(std::move(reason));
}
bool WebSocketClient::connected() const noexcept {
  return impl_->channel() != nullptr;
}

std::size_t WebSocketClient::queued_bytes() const noexcept {
  const auto channel = impl_->channel();
  return channel ? channel->queued_bytes() : 0;
}

LinkCounters WebSocketClient::counters() const noexcept {
  return impl_->counters();
}
void WebSocketClient::post(std::function<void()> function) {
  impl_->post(std::move(function));
}

void WebSocketClient::post_after(double delay_seconds, std::function<void()> function) {
  impl_->post_after(delay_seconds, std::move(function));
}

}  // namespace ams
