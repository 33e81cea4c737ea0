#include "ams/net/websocket_transport.hpp"

#include <map>
#include <mutex>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

class WebSocketServerTransport::Impl {
 public:
  Impl(WebSocketServerOptions options, std::function<std::optional<Fault>(const Hello&)> authorize,
       Executor& executor, LogSink* log)
      : executor_(executor),
        log_(log != nullptr ? *log : no_log_),
        server(std::move(options), callbacks(std::move(authorize))) {}

  void start(ServerHost& host) {
    host_ = &host;  // the socket thread begins after that
    server.start();
  }

  LinkCounters counters(ConnectionId connection) const {
    const std::lock_guard lock(ended_mutex_);
    const auto found = ended_.find(connection);
    return found == ended_.end() ? server.counters(connection) : found->second;
  }

 private:
  WebSocketServerCallbacks callbacks(std::function<std::optional<Fault>(const Hello&)> authorize) {
    WebSocketServerCallbacks callbacks;
    callbacks.authorize = std::move(authorize);
    callbacks.on_connected = [this](ConnectionId id, const std::string& peer) {
      executor_.post([host = host_, id, peer] { host->on_connected(id, peer); });
    };
    callbacks.on_message = [this](ConnectionId id, DeviceMessage message) {
      executor_.post([host = host_, id, message = std::move(message)]() mutable {
        host->on_message(id, std::move(message));
      });
    };
    callbacks.on_disconnected = [this](ConnectionId id, const std::string& reason) {
      {
        const std::lock_guard lock(ended_mutex_);
        ended_[id] = server.counters(id);
      }
      executor_.post([this, id, reason] {
        host_->on_disconnected(id, reason);
        const std::lock_guard lock(ended_mutex_);
        ended_.erase(id);
      });
    };
    callbacks.on_refused = [this](const std::string& peer, const std::string& reason) {
      log_.warning("refused", {{"peer", peer}, {"reason", reason}});
    };
    callbacks.metrics = [this] { return host_->metrics(); };
    callbacks.on_request = [this](HttpRequest request, HttpReply reply) {
      if (!on_request) {
        reply({404, "application/json", "{\"error\": \"not found\"}\n"});
        return;
      }
      executor_.post([this, request = std::move(request), reply = std::move(reply)]() mutable {
        on_request(std::move(request), std::move(reply));
      });
    };
    return callbacks;
  }

  Executor& executor_;
  NoLog no_log_;
  LogSink& log_;
  ServerHost* host_ = nullptr;

  mutable std::mutex ended_mutex_;
  std::map<ConnectionId, LinkCounters> ended_;  // of connections whose end the host is to hear

 public:
  std::function<void(HttpRequest, HttpReply)> on_request;
  WebSocketServer server;  // the last one: its thread uses all of the above
};

WebSocketServerTransport::WebSocketServerTransport(
    WebSocketServerOptions options, std::function<std::optional<Fault>(const Hello&)> authorize,
    Executor& executor, LogSink* log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(authorize), executor, log)) {}

WebSocketServerTransport::~WebSocketServerTransport() = default;

void WebSocketServerTransport::start(ServerHost& host) {
  impl_->start(host);
}
void WebSocketServerTransport::set_on_request(
    std::function<void(HttpRequest, HttpReply)> on_request) {
  impl_->on_request = std::move(on_request);
}
void WebSocketServerTransport::stop() {
  impl_->server.stop();
}
void WebSocketServerTransport::reload_certificate() {
  impl_->server.reload_certificate();
}
std::uint16_t WebSocketServerTransport::port() const noexcept {
  return impl_->server.port();
}
LinkCounters WebSocketServerTransport::total_counters() const {
  return impl_->server.total_counters();
}
void WebSocketServerTransport::send(ConnectionId connection, ServerMessage message) {
  impl_->server.send(connection, message);
}
void WebSocketServerTransport::close(ConnectionId connection, const std::string& reason) {
  impl_->server.close(connection, reason);
}
LinkCounters WebSocketServerTransport::counters(ConnectionId connection) const {
  return impl_->counters(connection);
}

class WebSocketDeviceTransport::Impl {
 public:
  Impl(WebSocketClientOptions options, Executor& executor)
      : executor_(executor), client(std::move(options), callbacks()) {}

  void start(DeviceHost& host) {
    host_ = &host;  // the socket thread begins after that
    client.start();
  }

  void connect() {
    if (host_ == nullptr) {
      throw Error(ErrorCode::invalid_argument,
                  "call WebSocketDeviceTransport::start(host) before DeviceHost::start()");
    }
    client.connect();
  }

 private:
  WebSocketClientCallbacks callbacks() {
    WebSocketClientCallbacks callbacks;
    callbacks.on_connected = [this] { executor_.post([host = host_] { host->on_connected(); }); };
    callbacks.on_message = [this](ServerMessage message) {
      executor_.post([host = host_, message = std::move(message)] { host->on_message(message); });
    };
    callbacks.on_disconnected = [this](const std::string& reason) {
      executor_.post([host = host_, reason] { host->on_disconnected(reason); });
    };
    return callbacks;
  }

  Executor& executor_;
  DeviceHost* host_ = nullptr;

 public:
  WebSocketClient client;  // the last one: its thread uses all of the above
};

WebSocketDeviceTransport::WebSocketDeviceTransport(WebSocketClientOptions options,
                                                   Executor& executor)
    : impl_(std::make_unique<Impl>(std::move(options), executor)) {}

WebSocketDeviceTransport::~WebSocketDeviceTransport() = default;

void WebSocketDeviceTransport::start(DeviceHost& host) {
  impl_->start(host);
}
void WebSocketDeviceTransport::stop() {
  impl_->client.stop();
}
void WebSocketDeviceTransport::connect() {
  impl_->connect();
}
void WebSocketDeviceTransport::send(DeviceMessage message) {
  impl_->client.send(message);
}
void WebSocketDeviceTransport::close(const std::string& reason) {
  impl_->client.close(reason);
}
LinkCounters WebSocketDeviceTransport::counters() const {
  return impl_->client.counters();
}

}  // namespace ams
