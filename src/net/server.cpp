#include "ams/net/server.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <atomic>
#include <boost/beast/http.hpp>
#include <iomanip>
#include <map>
#include <mutex>
#include <sstream>
#include <utility>
#include <variant>

#include "ams/net/certificate.hpp"
#include "ams/net/wire.hpp"
#include "ams/session/text.hpp"
#include "channel.hpp"
#include "credentials.hpp"
#include "io_thread.hpp"

namespace ams {

using namespace detail;
namespace http = boost::beast::http;

namespace {

// Strangers: sockets that have said no good Hello. Beyond these numbers the oldest one makes room
// for the newest, so that those who never speak keep nobody out.
constexpr std::size_t max_strangers = 64;
constexpr std::size_t max_strangers_of_address = 24;
constexpr std::size_t max_http_header_bytes = 8192;
constexpr std::size_t max_http_body_bytes = 16384;
constexpr std::chrono::seconds longest_answer{30};  // to a request for /api/

std::string to_string(const tcp::endpoint& endpoint) {
  std::ostringstream text;
  text << endpoint;
  return text.str();
}

/// What a page may do: run its own script and style, and ask its own server.
std::string content_security_policy(std::string_view page) {
  const auto hash_of = [&](std::string_view tag) {
    const std::string opening = "<" + std::string(tag) + ">", closing = "</" + std::string(tag);
    const auto begin = page.find(opening);
    const auto end = page.find(closing, begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) return std::string();
    const std::string_view text = page.substr(begin + opening.size(), end - begin - opening.size());
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
    unsigned char base64[64];
    EVP_EncodeBlock(base64, digest, sizeof digest);
    return std::string(tag) + "-src 'sha256-" + reinterpret_cast<const char*>(base64) + "'; ";
  };
  return "default-src 'none'; " + hash_of("script") + hash_of("style") +
         "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'";
}

using TlsContext = asio::ssl::context;

/// With the certificate and the key of the files as they are now.
std::shared_ptr<TlsContext> make_tls(const WebSocketServerOptions& options) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  harden(*context);
  use_credentials(context->native_handle(),
                  read_credentials(options.certificate_file, options.private_key_file),
                  options.certificate_file);
  return context;
}

LinkCounters to_link(const SocketCounters& counters) {
  return {counters.read_bytes, counters.written_bytes};
}

}  // namespace

class WebSocketServer::Impl {
 public:
  Impl(WebSocketServerOptions options, WebSocketServerCallbacks callbacks);

  void run() {
    thread_.run([this] { accept(); });
  }
  void start() {
    thread_.start([this] { accept(); });
  }
  void stop() {
    thread_.stop([this] { shut_down(); });
  }

  bool send(ConnectionId id, const ServerMessage& message);
  void close(ConnectionId id, std::string reason);
  std::shared_ptr<Channel> channel(ConnectionId id) const;
  std::size_t connection_count() const;

  void reload_certificate() {
    auto context = make_tls(options_);
    const std::lock_guard lock(tls_mutex_);
    tls_ = std::move(context);
    read_expiry();
  }

  std::uint16_t port() const noexcept { return port_; }
  LinkCounters total_counters() const { return to_link(*total_); }
  void post(std::function<void()> function) { thread_.post(std::move(function)); }
  void post_after(double delay_seconds, std::function<void()> function) {
    thread_.post_after(delay_seconds, std::move(function));
  }

 private:
  class Connection;

  void listen();
  void accept();
  void take(tcp::socket socket);
  void make_room(const asio::ip::address& address);
  void forget(ConnectionId id);
  void shut_down();
  void refused(const std::string& peer, const std::string& reason) const;
  void read_expiry() {
    certificate_expires_ = check_certificate(options_.certificate_file, options_.private_key_file)
                               .valid_until_unix_seconds;
  }
  std::string metrics(bool of_devices) const;
  bool is_full() const { return connection_count() >= options_.max_connections; }
  std::shared_ptr<TlsContext> tls() const {
    const std::lock_guard lock(tls_mutex_);
    return tls_;
  }

  const WebSocketServerOptions options_;
  const WebSocketServerCallbacks callbacks_;
  const Duration handshake_timeout_;
  const Duration hello_timeout_;
  const Duration idle_timeout_;
  const Duration close_timeout_;

  IoThread thread_{"server"};
  asio::io_context& io_ = thread_.context();
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_timer_{io_};
  asio::steady_timer stop_timer_{io_};
  std::uint16_t port_ = 0;
  const std::shared_ptr<SocketCounters> total_ = std::make_shared<SocketCounters>();

  // Used on the io thread.
  ConnectionId next_id_ = 1;
  std::map<ConnectionId, std::shared_ptr<Connection>> connections_;
  std::map<ConnectionId, asio::ip::address> strangers_;  // of these, those not let in yet
  bool stopping_ = false;
  // Connections that were not let in, by why.
  std::map<std::string_view, std::uint64_t> refusals_{
      {"tls", 0}, {"http", 0}, {"hello", 0}, {"unauthorized", 0}, {"full", 0}, {"flood", 0}};

  const std::string page_policy_ = content_security_policy(options_.page);
  std::atomic<double> certificate_expires_ = 0;

  mutable std::mutex tls_mutex_;
  std::shared_ptr<TlsContext> tls_;  // of the connections to come

  // Those that are let in, for every thread.
  mutable std::mutex channels_mutex_;
  std::map<ConnectionId, std::shared_ptr<Channel>> channels_;
};

// One socket: TLS, one HTTP request, then either its answer or a WebSocket, which must say Hello.
class WebSocketServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl& server, ConnectionId id, tcp::socket socket, std::string peer)
      : server_(server),
        id_(id),
        peer_(std::move(peer)),
        hello_timer_(server.io_),
        counters_(std::make_shared<SocketCounters>()) {
    TcpStream stream(CountingPolicy(counters_, server.total_), std::move(socket));
    tls_.emplace(std::move(stream), *server.tls());  // a connection keeps what it began with
  }

  void begin() {
    beast::get_lowest_layer(*tls_).expires_after(server_.handshake_timeout_);
    tls_->async_handshake(
        asio::ssl::stream_base::server, [self = shared_from_this()](error_code error) {
          self->guard([&] {
            error ? self->refuse("TLS handshake: " + describe(error)) : self->read_request();
          });
        });
  }

  void shut_down() {
    if (channel_) {
      channel_->close(websocket::close_code::going_away, "the server stops");
    } else {
      refuse("the server stops");
    }
  }

  void cut(const std::string& reason) {
    kind_ = "flood";
    if (channel_) {
      channel_->cut(reason);
    } else {
      refuse(reason);
    }
  }

 private:
  void read_request() {
    kind_ = "http";
    request_.header_limit(max_http_header_bytes);
    request_.body_limit(max_http_body_bytes);
    http::async_read(*tls_, buffer_, request_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       self->guard([&] {
                         error ? self->refuse("HTTP request: " + describe(error)) : self->answer();
                       });
                     });
  }

  void answer() {
    const auto& request = request_.get();
    std::string target(request.target().data(), request.target().size());
    target = target.substr(0, target.find('?'));
    if (target.starts_with("/api/") && server_.callbacks_.on_request) {
      pass_on(target);
    } else if (request.method() != http::verb::get) {
      respond(http::status::method_not_allowed, "only GET is answered\n");
    } else if (target == server_.options_.path) {
      if (!websocket::is_upgrade(request)) {
        respond(http::status::upgrade_required, "this path is for WebSockets\n");
      } else if (server_.stopping_ || server_.is_full()) {
        kind_ = "full";
        respond(http::status::service_unavailable,
                server_.stopping_ ? "the server stops\n"
                                  : "the server has all the devices that it takes\n");
      } else if (buffer_.size() > 0) {
        refuse("bytes after the upgrade request, before its answer");
      } else {
        upgrade();
      }
    } else if (target == "/healthz") {
      respond(http::status::ok, "ok\n");
    } else if (target == "/metrics") {
      respond_with_metrics();
    } else if (target == "/" && !server_.options_.page.empty()) {
      write({200, "text/html; charset=utf-8", server_.options_.page}, true);
    } else {
      respond(http::status::not_found, "not found\n");
    }
  }

  /// Who asks: an operator, by a token or because nobody needs one; a stranger, who shows none; or
  /// somebody with another token.
  enum class Asker { operator_, stranger, impostor };

  Asker asker() const {
    if (!server_.callbacks_.authorize) return Asker::operator_;
    const auto& request = request_.get();
    const auto field = request.find(http::field::authorization);
    if (field == request.end()) return Asker::stranger;
    const std::string_view value(field->value().data(), field->value().size());
    constexpr std::string_view scheme = "Bearer ";
    Hello asking;
    if (value.starts_with(scheme)) asking.token = value.substr(scheme.size());
    return server_.callbacks_.authorize(asking) ? Asker::impostor : Asker::operator_;
  }

  /// An operator sees everything, and strangers what names no device.
  void respond_with_metrics() {
    std::string text;
    try {
      const Asker who = asker();
      if (who == Asker::impostor) {
        kind_ = "unauthorized";
        respond(http::status::unauthorized, "the server does not know this token\n");
        return;
      }
      text = server_.metrics(who == Asker::operator_);
    } catch (const std::exception& error) {  // a stranger's question must not end the server
      respond(http::status::internal_server_error, "the metrics could not be computed\n",
              error.what());
      return;
    }
    respond(http::status::ok, std::move(text));
  }

  std::string_view header(http::field name) const {
    const auto found = request_.get().find(name);
    if (found == request_.get().end()) return {};
    return {found->value().data(), found->value().size()};
  }

  /// Whether the request may come from the page of another site, which a browser sends along with
  /// what the operator may do.
  bool is_of_another_site() const {
    const std::string_view origin = header(http::field::origin);
    const auto host = origin.find("://");
    return !origin.empty() &&
           (host == std::string_view::npos || origin.substr(host + 3) != header(http::field::host));
  }

  void pass_on(const std::string& path) {
    const auto refuse_request = [this](unsigned status, const std::string& error) {
      write({status, "application/json", "{\"error\": \"" + error + "\"}\n"}, false, error);
    };
    Asker who = Asker::stranger;
    try {
      who = asker();
    } catch (const std::exception&) {
      return refuse_request(500, "the token could not be checked");
    }
    if (who != Asker::operator_) {
      kind_ = "unauthorized";
      return refuse_request(401, who == Asker::stranger
                                     ? "a token is needed: Authorization: Bearer <token>"
                                     : "the server does not know this token");
    }
    const auto& request = request_.get();
    if (is_of_another_site()) return refuse_request(403, "the request is of another site");
    if (request.method() != http::verb::get &&
        !header(http::field::content_type).starts_with("application/json")) {
      return refuse_request(415, "the content type must be application/json");
    }
    hello_timer_.expires_after(longest_answer);
    hello_timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->answer_once({503, "application/json", "{\"error\": \"no answer\"}\n"});
    });
    server_.callbacks_.on_request(
        {std::string(request.method_string()), path, request.body(), peer_},
        [weak = weak_from_this(), &server = server_](HttpAnswer answer) {
          server.post([weak, answer = std::move(answer)]() mutable {
            if (const auto self = weak.lock()) self->answer_once(std::move(answer));
          });
        });
  }

  void answer_once(HttpAnswer answer) {
    if (std::exchange(is_answered_, true) || ended_) return;
    hello_timer_.cancel();
    write(std::move(answer), true);
  }

  void respond(http::status status, std::string text, const std::string& why = {}) {
    write({static_cast<unsigned>(status), "text/plain; version=0.0.4; charset=utf-8",
           std::move(text)},
          status == http::status::ok, why);
  }

  /// is_known: the answer to it is nobody's concern.
  void write(HttpAnswer answer, bool is_known, const std::string& why = {}) {
    auto response = std::make_shared<http::response<http::string_body>>(
        static_cast<http::status>(answer.status), request_.get().version());
    response->set(http::field::content_type, answer.content_type);
    response->set(http::field::cache_control, "no-store");
    response->set("X-Content-Type-Options", "nosniff");
    response->set("Referrer-Policy", "no-referrer");
    if (answer.content_type.starts_with("text/html")) {
      response->set("Content-Security-Policy", server_.page_policy_);
    }
    response->keep_alive(false);
    response->body() = std::move(answer.body);
    response->prepare_payload();
    const std::string reason =
        "HTTP " + std::to_string(answer.status) + (why.empty() ? "" : ": " + why);
    beast::get_lowest_layer(*tls_).expires_after(server_.handshake_timeout_);
    http::async_write(
        *tls_, *response,
        [self = shared_from_this(), response, is_known, reason](error_code error, std::size_t) {
          self->quiet_ = is_known && !error;
          self->tls_->async_shutdown([self, reason](error_code) { self->refuse(reason); });
        });
  }

  void upgrade() {
    WebSocket socket(std::move(*tls_));
    tls_.reset();
    Channel::Options options;
    options.max_message_bytes = max_encoded_hello_bytes;
    options.max_queue_bytes = server_.options_.max_queue_bytes;
    options.idle_timeout = server_.idle_timeout_;
    options.close_timeout = server_.close_timeout_;
    // The socket's own deadline, set before the TLS handshake, still runs.
    auto accepting = std::make_shared<WebSocket>(std::move(socket));
    auto* raw = accepting.get();
    raw->async_accept(request_.get(), [self = shared_from_this(), accepting,
                                       options](error_code error) {
      self->guard([&] {
        if (error || self->ended_) {
          self->refuse("WebSocket handshake: " + describe(error));
          return;
        }
        self->channel_ = std::make_shared<Channel>(std::move(*accepting), self->counters_, options);
        self->open();
      });
    });
  }

  void open() {
    kind_ = "hello";
    hello_timer_.expires_after(server_.hello_timeout_);
    hello_timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error && !self->let_in_) {
        self->channel_->fail(
            Error(ErrorCode::protocol_violation,
                  "no Hello within " +
                      std::to_string(self->server_.options_.hello_timeout_seconds) + " s"));
      }
    });
    Channel::Handlers handlers;
    handlers.on_message = [self = shared_from_this()](const Bytes& bytes) {
      self->on_message(bytes);
    };
    handlers.farewell = [](const Error& error) {
      return encode_message(ServerMessage(Fault{error.code(), error.what()}));
    };
    handlers.on_closed = [self = shared_from_this()](const std::string& reason) {
      self->on_closed(reason);
    };
    channel_->start(std::move(handlers));
    if (server_.stopping_) {
      shut_down();
    }
  }

  void on_message(const Bytes& bytes) {
    DeviceMessage message = decode_device_message(bytes);
    const auto* hello = std::get_if<Hello>(&message);
    if (!let_in_) {
      if (hello == nullptr) {
        throw Error(ErrorCode::protocol_violation, std::string("the first message is ") +
                                                       ams::to_string(kind_of(message)) +
                                                       " (it must be Hello)");
      }
      device_id_ = hello->device_id;
      admit(*hello);
    } else if (hello != nullptr) {
      throw Error(ErrorCode::protocol_violation, "a second Hello");
    }
    const bool leaving = std::holds_alternative<Bye>(message);
    if (server_.callbacks_.on_message) {
      server_.callbacks_.on_message(id_, std::move(message));
    }
    if (leaving) {
      // Posted, so that an answer which the callback has sent goes first.
      server_.post([channel = channel_] {
        channel->close(websocket::close_code::normal, "the device said Bye");
      });
    }
  }

  // Throws the Fault when the device must stay outside.
  void admit(const Hello& hello) {
    if (hello.version != protocol_version) {
      throw Error(ErrorCode::unsupported_version,
                  "protocol version " + std::to_string(hello.version) + " is not spoken here (" +
                      std::to_string(protocol_version) + " is)");
    }
    if (server_.callbacks_.authorize) {
      if (const auto fault = server_.callbacks_.authorize(hello)) {
        kind_ = "unauthorized";
        throw Error(fault->code, fault->message);
      }
    }
    if (server_.is_full()) {
      kind_ = "full";
      throw Error(ErrorCode::limit_exceeded, "the server has all the devices that it takes");
    }
    hello_timer_.cancel();
    server_.strangers_.erase(id_);
    channel_->set_max_message_bytes(server_.options_.max_message_bytes);
    {
      const std::lock_guard lock(server_.channels_mutex_);
      server_.channels_.emplace(id_, channel_);
    }
    let_in_ = true;
    if (server_.callbacks_.on_connected) {
      server_.callbacks_.on_connected(id_, peer_);
    }
  }

  /// What a step throws ends this connection.
  template <class Step>
  void guard(Step&& step) {
    try {
      step();
    } catch (const std::exception& error) {
      cut(std::string("internal error: ") + error.what());
    }
  }

  void on_closed(const std::string& reason) {
    hello_timer_.cancel();
    if (!let_in_) {
      refuse(reason);
      return;
    }
    try {
      if (server_.callbacks_.on_disconnected) {
        server_.callbacks_.on_disconnected(id_, reason);
      }
    } catch (const std::exception& error) {
      server_.refused(peer_, std::string("internal error: ") + error.what());
    }
    {
      const std::lock_guard lock(server_.channels_mutex_);
      server_.channels_.erase(id_);
    }
    end();
  }

  void refuse(const std::string& reason) {
    if (ended_) {
      return;
    }
    if (!quiet_) {
      ++server_.refusals_[kind_];
      server_.refused(peer_, device_id_.empty() ? reason : reason + " (" + device_id_ + ")");
    }
    end();
  }

  void end() {
    ended_ = true;
    if (tls_) {
      beast::get_lowest_layer(*tls_).close();
    }
    server_.forget(id_);
  }

  Impl& server_;
  const ConnectionId id_;
  const std::string peer_;
  std::string device_id_;  // of its Hello
  asio::steady_timer hello_timer_;
  const std::shared_ptr<SocketCounters> counters_;

  std::optional<TlsStream> tls_;
  beast::flat_buffer buffer_{max_http_header_bytes};
  http::request_parser<http::string_body> request_;
  const char* kind_ = "tls";  // of refusals: how far it has come
  std::shared_ptr<Channel> channel_;

  bool let_in_ = false;
  bool is_answered_ = false;  // a request for /api/
  bool quiet_ = false;        // a plain request that was answered is nobody's concern
  bool ended_ = false;
};

WebSocketServer::Impl::Impl(WebSocketServerOptions options, WebSocketServerCallbacks callbacks)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      handshake_timeout_(
          to_timeout(options_.handshake_timeout_seconds, "handshake_timeout_seconds")),
      hello_timeout_(to_timeout(options_.hello_timeout_seconds, "hello_timeout_seconds")),
      idle_timeout_(to_timeout(options_.idle_timeout_seconds, "idle_timeout_seconds")),
      close_timeout_(to_timeout(options_.close_timeout_seconds, "close_timeout_seconds")) {
  thread_.on_exception = [this](const std::string& message) {
    refused("unknown", "internal error: " + message);
  };
  if (options_.path.empty() || options_.path[0] != '/') {
    throw Error(ErrorCode::invalid_argument,
                "path is \"" + options_.path + "\" (it must begin with '/')");
  }
  if (options_.path == "/healthz" || options_.path == "/metrics" ||
      options_.path.starts_with("/api/") || (options_.path == "/" && !options_.page.empty())) {
    throw Error(ErrorCode::invalid_argument, "path is " + options_.path + ", which is taken");
  }
  if (options_.max_connections < 1) {
    throw Error(ErrorCode::invalid_argument, "max_connections is 0 (at least 1 needed)");
  }
  if (options_.max_message_bytes < max_encoded_hello_bytes ||
      options_.max_message_bytes > max_encoded_message_bytes) {
    throw Error(ErrorCode::invalid_argument,
                "max_message_bytes is " + std::to_string(options_.max_message_bytes) + " (" +
                    std::to_string(max_encoded_hello_bytes) + " to " +
                    std::to_string(max_encoded_message_bytes) + " allowed)");
  }
  tls_ = make_tls(options_);
  read_expiry();
  listen();
}

void WebSocketServer::Impl::listen() {
  error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) {
    throw Error(ErrorCode::invalid_argument,
                "address is \"" + options_.address + "\" (an IPv4 or IPv6 address is needed)");
  }
  const tcp::endpoint endpoint(address, options_.port);
  const auto check = [&](error_code result) {
    if (result) {
      throw Error(ErrorCode::io_error,
                  "cannot listen on " + to_string(endpoint) + ": " + describe(result));
    }
  };
  acceptor_.open(endpoint.protocol(), error);
  check(error);
  acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  check(error);
  acceptor_.bind(endpoint, error);
  check(error);
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  check(error);
  const auto local = acceptor_.local_endpoint(error);
  check(error);
  port_ = local.port();
}

void WebSocketServer::Impl::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (stopping_ || error == asio::error::operation_aborted) {
      return;
    }
    if (!error) {
      try {
        take(std::move(socket));
      } catch (const std::exception& exception) {  // others are still let in
        refused("unknown", std::string("internal error: ") + exception.what());
      }
      accept();
      return;
    }
    // Out of file descriptors, most likely: some will come back.
    accept_timer_.expires_after(std::chrono::milliseconds(100));
    accept_timer_.async_wait([this](error_code waited) {
      if (!waited && !stopping_) {
        accept();
      }
    });
  });
}

void WebSocketServer::Impl::take(tcp::socket socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) {
    return;  // gone already
  }
  const std::string peer = to_string(endpoint);
  make_room(endpoint.address());
  socket.set_option(tcp::no_delay(true), error);
  const ConnectionId id = next_id_++;
  const auto connection = std::make_shared<Connection>(*this, id, std::move(socket), peer);
  connections_.emplace(id, connection);
  strangers_.emplace(id, endpoint.address());
  connection->begin();
}

/// For one more stranger.
void WebSocketServer::Impl::make_room(const asio::ip::address& address) {
  const auto is_same = [&](const auto& stranger) { return stranger.second == address; };
  const auto of_address = std::count_if(strangers_.begin(), strangers_.end(), is_same);
  auto oldest = strangers_.end();
  if (static_cast<std::size_t>(of_address) >= max_strangers_of_address) {
    oldest = std::find_if(strangers_.begin(), strangers_.end(), is_same);
  } else if (strangers_.size() >= max_strangers) {
    oldest = strangers_.begin();
  }
  if (oldest == strangers_.end()) return;
  const auto connection = connections_.at(oldest->first);
  strangers_.erase(oldest);  // also when its end takes a moment
  connection->cut("too many connections without a Hello; the oldest makes room");
}

void WebSocketServer::Impl::forget(ConnectionId id) {
  connections_.erase(id);
  strangers_.erase(id);
  if (stopping_ && connections_.empty()) {
    thread_.end();
  }
}

void WebSocketServer::Impl::refused(const std::string& peer, const std::string& reason) const {
  if (!callbacks_.on_refused) return;
  try {
    callbacks_.on_refused(peer, printable(reason));
  } catch (const std::exception&) {  // whom else to tell
    return;
  }
}

std::string WebSocketServer::Impl::metrics(bool of_devices) const {
  const LinkCounters total = total_counters();
  std::ostringstream text;
  text << "# HELP ams_connections Devices that are connected.\n"
          "# TYPE ams_connections gauge\n"
          "ams_connections "
       << connection_count()
       << "\n# HELP ams_uplink_bytes_total Bytes from devices, TLS included.\n"
          "# TYPE ams_uplink_bytes_total counter\n"
          "ams_uplink_bytes_total "
       << total.uplink_bytes
       << "\n# HELP ams_downlink_bytes_total Bytes to devices, TLS included.\n"
          "# TYPE ams_downlink_bytes_total counter\n"
          "ams_downlink_bytes_total "
       << total.downlink_bytes
       << "\n# HELP ams_certificate_expires_timestamp_seconds When the certificate ends.\n"
          "# TYPE ams_certificate_expires_timestamp_seconds gauge\n"
          "ams_certificate_expires_timestamp_seconds "
       << std::fixed << std::setprecision(0) << certificate_expires_
       << "\n# HELP ams_connections_refused_total Connections that were not let in, by why.\n"
          "# TYPE ams_connections_refused_total counter\n";
  for (const auto& [reason, count] : refusals_) {
    text << "ams_connections_refused_total{reason=\"" << reason << "\"} " << count << "\n";
  }
  if (of_devices && callbacks_.metrics) {
    text << callbacks_.metrics();
  }
  return text.str();
}

void WebSocketServer::Impl::shut_down() {
  stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  const auto all = connections_;  // they leave the map as they end
  for (const auto& [id, connection] : all) {
    connection->shut_down();
  }
  if (connections_.empty()) {
    thread_.end();
    return;
  }
  stop_timer_.expires_after(close_timeout_ + std::chrono::milliseconds(100));
  stop_timer_.async_wait([this](error_code error) {
    if (!error) {
      const auto left = connections_;
      for (const auto& [id, connection] : left) {
        connection->cut("the server stops");
      }
      thread_.end();
    }
  });
}

std::shared_ptr<Channel> WebSocketServer::Impl::channel(ConnectionId id) const {
  const std::lock_guard lock(channels_mutex_);
  const auto found = channels_.find(id);
  return found == channels_.end() ? nullptr : found->second;
}

std::size_t WebSocketServer::Impl::connection_count() const {
  const std::lock_guard lock(channels_mutex_);
  return channels_.size();
}

bool WebSocketServer::Impl::send(ConnectionId id, const ServerMessage& message) {
  Bytes bytes = encode_message(message);
  const auto found = channel(id);
  return found && found->send(kind_of(message), std::move(bytes));
}

void WebSocketServer::Impl::close(ConnectionId id, std::string reason) {
  if (auto found = channel(id)) {
    post([found = std::move(found), reason = std::move(reason)]() mutable {
      found->close(websocket::close_code::normal, std::move(reason));
    });
  }
}

// ---- the public face ----

WebSocketServer::WebSocketServer(WebSocketServerOptions options, WebSocketServerCallbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(callbacks))) {}

WebSocketServer::~WebSocketServer() {
  stop();
}

std::uint16_t WebSocketServer::port() const noexcept {
  return impl_->port();
}
void WebSocketServer::start() {
  impl_->start();
}
void WebSocketServer::run() {
  impl_->run();
}
void WebSocketServer::stop() {
  impl_->stop();
}

void WebSocketServer::reload_certificate() {
  impl_->reload_certificate();
}

bool WebSocketServer::send(ConnectionId connection, const ServerMessage& message) {
  return impl_->send(connection, message);
}

void WebSocketServer::close(ConnectionId connection, std::string reason) {
  impl_->close(connection, std::move(reason));
}

std::size_t WebSocketServer::queued_bytes(ConnectionId connection) const {
  const auto channel = impl_->channel(connection);
  return channel ? channel->queued_bytes() : 0;
}

LinkCounters WebSocketServer::counters(ConnectionId connection) const {
  const auto channel = impl_->channel(connection);
  return channel ? to_link(channel->counters()) : LinkCounters{};
}

LinkCounters WebSocketServer::total_counters() const {
  return impl_->total_counters();
}
std::size_t WebSocketServer::connection_count() const {
  return impl_->connection_count();
}
void WebSocketServer::post(std::function<void()> function) {
  impl_->post(std::move(function));
}

void WebSocketServer::post_after(double delay_seconds, std::function<void()> function) {
  impl_->post_after(delay_seconds, std::move(function));
}

}  // namespace ams
