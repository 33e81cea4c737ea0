#pragma once

// Servers and clients on the loopback that write down what happens to them.

#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "ams/net/certificate.hpp"
#include "ams/net/client.hpp"
#include "ams/net/server.hpp"
#include "ams/net/token.hpp"

namespace fixtures {

using Bytes = std::vector<std::byte>;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "ams-net-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("mkdtemp");
    }
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// One certificate for all tests of a program.
struct Credentials {
  TemporaryDirectory directory;
  std::filesystem::path certificate = directory / "server.crt";
  std::filesystem::path key = directory / "server.key";

  Credentials() {
    ams::write_self_signed_certificate(certificate, key, {"localhost", "127.0.0.1"}, 2);
  }
  static const Credentials& get() {
    static const Credentials credentials;
    return credentials;
  }
};

/// Whether it becomes true within 20 s: for what no callback tells.
template <typename Condition>
bool eventually(Condition&& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// What a program's callbacks saw, for one thread to write and another to wait for.
template <typename State>
class Watched {
 public:
  template <typename Change>
  void change(Change&& change) {
    {
      const std::lock_guard lock(mutex_);
      change(state_);
    }
    changed_.notify_all();
  }

  /// Whether it becomes true within 20 s: long, so that only what hangs fails.
  template <typename Condition>
  bool wait(Condition&& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return condition(state_); });
  }

  State get() {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_{};
};

struct ServerEvents {
  std::vector<std::pair<ams::ConnectionId, std::string>> connected;     // with peer
  std::vector<std::pair<ams::ConnectionId, std::string>> disconnected;  // with reason
  std::vector<std::string> refused;                                     // reasons
  std::vector<std::pair<ams::ConnectionId, ams::DeviceMessage>> messages;
  std::vector<ams::LinkCounters> last_counters;
};

inline ams::WebSocketServerOptions server_options() {
  ams::WebSocketServerOptions options;
  options.address = "127.0.0.1";
  options.port = 0;
  options.certificate_file = Credentials::get().certificate;
  options.private_key_file = Credentials::get().key;
  options.close_timeout_seconds = 2;
  return options;
}

class RecordingServer {
 public:
  explicit RecordingServer(ams::WebSocketServerOptions options = server_options(),
                           ams::WebSocketServerCallbacks callbacks = {})
      : on_message_(std::move(callbacks.on_message)),
        server_(std::move(options), with_recorders(std::move(callbacks))) {
    server_.start();
  }

  ams::WebSocketServer& operator*() { return server_; }
  ams::WebSocketServer* operator->() { return &server_; }
  Watched<ServerEvents>& events() { return events_; }

  /// The id of the nth device that was let in; 0 when it does not come.
  ams::ConnectionId connection(std::size_t n = 0) {
    const bool there = events_.wait([n](const ServerEvents& e) { return e.connected.size() > n; });
    return there ? events_.get().connected[n].first : 0;
  }
  bool wait_messages(std::size_t count) {
    return events_.wait([count](const ServerEvents& e) { return e.messages.size() >= count; });
  }
  /// The reason; empty when it does not come.
  std::string wait_disconnected(std::size_t n = 0) {
    const bool there =
        events_.wait([n](const ServerEvents& e) { return e.disconnected.size() > n; });
    return there ? events_.get().disconnected[n].second : "";
  }
  std::string wait_refused(std::size_t n = 0) {
    const bool there = events_.wait([n](const ServerEvents& e) { return e.refused.size() > n; });
    return there ? events_.get().refused[n] : "";
  }

 private:
  ams::WebSocketServerCallbacks with_recorders(ams::WebSocketServerCallbacks callbacks) {
    callbacks.on_connected = [this](ams::ConnectionId id, const std::string& peer) {
      events_.change([&](ServerEvents& e) { e.connected.emplace_back(id, peer); });
    };
    callbacks.on_message = [this](ams::ConnectionId id, ams::DeviceMessage message) {
      events_.change([&](ServerEvents& e) { e.messages.emplace_back(id, message); });
      if (on_message_) {
        on_message_(id, std::move(message));
      }
    };
    callbacks.on_disconnected = [this](ams::ConnectionId id, const std::string& reason) {
      const ams::LinkCounters counters = server_.counters(id);
      events_.change([&](ServerEvents& e) {
        e.disconnected.emplace_back(id, reason);
        e.last_counters.push_back(counters);
      });
    };
    callbacks.on_refused = [this](const std::string&, const std::string& reason) {
      events_.change([&](ServerEvents& e) { e.refused.push_back(reason); });
    };
    return callbacks;
  }

  Watched<ServerEvents> events_;
  std::function<void(ams::ConnectionId, ams::DeviceMessage)> on_message_;
  ams::WebSocketServer server_;
};

struct ClientEvents {
  std::size_t connected = 0;
  std::vector<std::string> disconnected;  // reasons
  std::vector<ams::ServerMessage> messages;
};

inline ams::WebSocketClientOptions client_options(std::uint16_t port) {
  ams::WebSocketClientOptions options;
  options.host = "127.0.0.1";
  options.port = port;
  options.ca_file = Credentials::get().certificate;
  options.close_timeout_seconds = 2;
  return options;
}

inline ams::Hello make_hello(const std::string& token = "") {
  ams::Hello hello;
  hello.device_id = "camera";
  hello.token = token;
  return hello;
}

class RecordingClient {
 public:
  explicit RecordingClient(ams::WebSocketClientOptions options)
      : client_(std::move(options), recorders()) {
    client_.start();
  }

  ams::WebSocketClient& operator*() { return client_; }
  ams::WebSocketClient* operator->() { return &client_; }
  Watched<ClientEvents>& events() { return events_; }

  /// Connects for the nth time and says Hello.
  bool connect(std::size_t n = 1, const std::string& token = "") {
    client_.connect();
    return events_.wait([n](const ClientEvents& e) { return e.connected >= n; }) &&
           client_.send(make_hello(token));
  }
  bool wait_messages(std::size_t count) {
    return events_.wait([count](const ClientEvents& e) { return e.messages.size() >= count; });
  }
  /// The reason; empty when it does not come.
  std::string wait_disconnected(std::size_t n = 0) {
    const bool there =
        events_.wait([n](const ClientEvents& e) { return e.disconnected.size() > n; });
    return there ? events_.get().disconnected[n] : "";
  }
  ams::ServerMessage message(std::size_t n) { return events_.get().messages.at(n); }

 private:
  ams::WebSocketClientCallbacks recorders() {
    ams::WebSocketClientCallbacks callbacks;
    callbacks.on_connected = [this] { events_.change([](ClientEvents& e) { ++e.connected; }); };
    callbacks.on_message = [this](ams::ServerMessage message) {
      events_.change([&](ClientEvents& e) { e.messages.push_back(std::move(message)); });
    };
    callbacks.on_disconnected = [this](const std::string& reason) {
      events_.change([&](ClientEvents& e) { e.disconnected.push_back(reason); });
    };
    return callbacks;
  }

  Watched<ClientEvents> events_;
  ams::WebSocketClient client_;
};

}  // namespace fixtures
