#include "ams/net/client.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "ams/core/random.hpp"
#include "ams/net/wire.hpp"
#include "fixtures.hpp"
#include "odd_certificates.hpp"
#include "raw_peer.hpp"

namespace {

using namespace ams;
using fixtures::ClientEvents;
using fixtures::RecordingClient;
using fixtures::RecordingServer;
using fixtures::ServerEvents;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Why a connection with these options does not come about.
std::string failure(const WebSocketClientOptions& options) {
  RecordingClient client(options);
  client->connect();
  const std::string reason = client.wait_disconnected();
  CHECK(client.events().get().connected == 0);
  return reason;
}

/// A server by hand for one client.
class HandMadeServer {
 public:
  template <typename Serve>
  explicit HandMadeServer(
      Serve serve,
      const std::filesystem::path& certificate = fixtures::Credentials::get().certificate,
      const std::filesystem::path& key = fixtures::Credentials::get().key)
      : thread_([this, serve, certificate, key] {
          if (auto socket = listener_.accept()) {
            raw::WebSocket websocket(std::move(*socket), certificate, key);
            serve(websocket);
          }
        }) {}
  HandMadeServer(const HandMadeServer&) = delete;
  HandMadeServer& operator=(const HandMadeServer&) = delete;
  ~HandMadeServer() { thread_.join(); }
  std::uint16_t port() const { return listener_.port(); }

 private:
  raw::Listener listener_;
  std::thread thread_;
};

TEST_CASE("every message comes through, both ways") {
  RecordingServer server;
  RecordingClient client(fixtures::client_options(server->port()));
  CHECK(!client->connected());
  CHECK(!client->send(Ack{}));
  REQUIRE(client.connect());
  CHECK(client->connected());
  const ConnectionId id = server.connection();
  REQUIRE(id != 0);

  FrameBatch batch;
  batch.batch_id = 1;
  Random random(3);
  for (int i = 0; i < 100; ++i) {
    batch.capture_seconds.push_back(i);
  }
  std::vector<std::byte> bitstream(300000);
  for (std::byte& byte : bitstream) {
    byte = static_cast<std::byte>(random.below(256));
  }
  batch.bitstream = std::move(bitstream);
  CHECK(client->send(batch));
  REQUIRE(server.wait_messages(2));
  CHECK(client->send(Ack{{1, 2}}));
  REQUIRE(server.wait_messages(3));
  CHECK(client->send(Refusal{{1, 2}, ErrorCode::digest_mismatch, "no"}));
  REQUIRE(server.wait_messages(4));
  const auto up = server.events().get().messages;
  CHECK(std::get<FrameBatch>(up[1].second).bitstream == batch.bitstream);
  CHECK(std::get<FrameBatch>(up[1].second).capture_seconds == batch.capture_seconds);
  CHECK(std::get<Ack>(up[2].second).held == ModelVersion{1, 2});
  CHECK(std::get<Refusal>(up[3].second).message == "no");

  CHECK(server->send(id, Welcome{1, 9, Resume::snapshot, 0.5, 20, 4}));
  REQUIRE(client.wait_messages(1));
  CHECK(server->send(id, Control{0.25, 30}));
  REQUIRE(client.wait_messages(2));
  CHECK(server->send(id, Update{batch.bitstream}));
  REQUIRE(client.wait_messages(3));
  CHECK(server->send(id, Snapshot{batch.bitstream}));
  REQUIRE(client.wait_messages(4));
  CHECK(std::get<Welcome>(client.message(0)).session_id == 9);
  CHECK(std::get<Control>(client.message(1)).update_interval_seconds == 30);
  CHECK(std::get<Update>(client.message(2)).bytes == batch.bitstream);
  CHECK(std::get<Snapshot>(client.message(3)).bytes == batch.bitstream);

  CHECK(client->send(Bye{"done"}));
  CHECK(!client->send(Ack{}));
  REQUIRE(server.wait_messages(5));
  CHECK(std::get<Bye>(server.events().get().messages[4].second).reason == "done");
  CHECK(server.wait_disconnected() == "the device said Bye");
  CHECK(client.wait_disconnected() == "the peer closed the connection: the device said Bye");
  CHECK(!client->connected());
}

TEST_CASE("both ends count every byte that crosses the socket") {
  RecordingServer server;
  raw::CountingProxy proxy(server->port());
  RecordingClient client(fixtures::client_options(proxy.port()));
  for (std::size_t round = 1; round <= 3; ++round) {
    REQUIRE(client.connect(round));
    const ConnectionId id = server.connection(round - 1);
    REQUIRE(id != 0);
    for (std::size_t size : {1U, 1000U, 100000U}) {
      server->send(id, Update{raw::Bytes(size * round)});
      client->send(FrameBatch{1, {0}, raw::Bytes(size * round)});
    }
    REQUIRE(client.wait_messages(3 * round));
    REQUIRE(server.wait_messages(4 * round));
    client->send(Bye{});
    REQUIRE(client.wait_disconnected(round - 1) != "");
    REQUIRE(server.wait_disconnected(round - 1) != "");
  }
  CHECK(fixtures::eventually([&] {
    const LinkCounters device = client->counters();
    return device.uplink_bytes == proxy.uplink_bytes() &&
           device.downlink_bytes == proxy.downlink_bytes();
  }));
  const LinkCounters device = client->counters();
  CHECK(device.uplink_bytes > 6 * 101001);
  CHECK(server->total_counters().uplink_bytes == proxy.uplink_bytes());
  CHECK(server->total_counters().downlink_bytes == proxy.downlink_bytes());
  LinkCounters sum;
  for (const LinkCounters& counters : server.events().get().last_counters) {
    sum.uplink_bytes += counters.uplink_bytes;
    sum.downlink_bytes += counters.downlink_bytes;
  }
  CHECK(sum.uplink_bytes == proxy.uplink_bytes());
  CHECK(sum.downlink_bytes == proxy.downlink_bytes());
}

// TLS 1.3 record: 5 header, 1 type, 16 tag. WebSocket: 2 or 4, and a mask of 4 from the client.
// Chunk: 1. Kind: 1.
TEST_CASE("a small update costs 28 bytes beyond its own, and its Ack 42") {
  RecordingServer server;
  RecordingClient client(fixtures::client_options(server->port()));
  REQUIRE(client.connect());
  const ConnectionId id = server.connection();
  REQUIRE(id != 0);
  // Once its answer is there, Hello is counted.
  server->send(id, Control{});
  REQUIRE(client.wait_messages(1));
  const LinkCounters before = client->counters();
  server->send(id, Update{raw::Bytes(1000)});
  REQUIRE(client.wait_messages(2));
  client->send(Ack{{1, 2}});
  REQUIRE(server.wait_messages(2));
  // The socket's own report of what it has sent may come after the server has it.
  CHECK(fixtures::eventually(
      [&] { return client->counters().uplink_bytes - before.uplink_bytes == 42; }));
  const LinkCounters after = client->counters();
  CHECK(after.downlink_bytes - before.downlink_bytes == 1000 + 28);

  // Bulk: one record for each chunk of 16 KiB.
  server->send(id, Update{raw::Bytes(1000000)});
  REQUIRE(client.wait_messages(3));
  const LinkCounters bulk = client->counters();
  CHECK(bulk.downlink_bytes - after.downlink_bytes < 1000000 + 62 * 40);
}

TEST_CASE("a connection costs little to set up") {
  RecordingServer server;
  RecordingClient client(fixtures::client_options(server->port()));
  REQUIRE(client.connect());
  REQUIRE(server.connection() != 0);
  const LinkCounters counters = server->counters(server.connection());
  MESSAGE("set-up: " << counters.uplink_bytes << " bytes up, " << counters.downlink_bytes
                     << " bytes down");
  CHECK(counters.uplink_bytes < 2000);
  CHECK(counters.downlink_bytes < 2000);
}

TEST_CASE("connecting again after the connection or the server was lost") {
  auto server = std::make_unique<RecordingServer>();
  const std::uint16_t port = (*server)->port();
  RecordingClient client(fixtures::client_options(port));
  REQUIRE(client.connect(1));
  REQUIRE(server->connection(0) != 0);
  client->connect();  // there already
  client->close("for now");
  CHECK(client.wait_disconnected(0) == "for now");
  CHECK(server->wait_disconnected(0) == "the peer closed the connection: for now");
  REQUIRE(client.connect(2));
  REQUIRE(server->connection(1) != 0);
  server.reset();
  CHECK(client.wait_disconnected(1) == "the peer closed the connection: the server stops");
  client->connect();
  CHECK(contains(client.wait_disconnected(2), "connection refused"));
  WebSocketServerOptions options = fixtures::server_options();
  options.port = port;
  server = std::make_unique<RecordingServer>(options);
  REQUIRE(client.connect(3));
  REQUIRE(server->connection(0) != 0);
  CHECK(client.events().get().connected == 3);
}

TEST_CASE("a certificate that has expired is named with its dates") {
  const fixtures::TemporaryDirectory directory;
  const auto key = fixtures::ec_key();
  const auto made =
      fixtures::make_certificate(key.get(), {.name = "old", .begin_days = -9, .end_days = -2});
  const auto certificate = fixtures::write_certificates(directory / "a.crt", {made.get()});
  const auto key_file = fixtures::write_key(directory / "a.key", key.get());
  HandMadeServer server([](raw::WebSocket&) {}, certificate, key_file);
  WebSocketClientOptions options = fixtures::client_options(server.port());
  options.ca_file = certificate;
  const std::string reason = failure(options);
  CHECK(contains(reason, "certificate has expired"));
  CHECK(contains(reason, " UTC to 20"));
  CHECK(contains(reason, "clock"));
}

TEST_CASE("a file of the old and the new certificate lets in both servers") {
  // How a certificate is renewed: devices first, then the server (docs/deployment.md).
  const fixtures::TemporaryDirectory directory;
  std::string both;
  for (const std::string name : {"old", "new"}) {
    write_self_signed_certificate(directory / (name + ".crt"), directory / (name + ".key"),
                                  {"127.0.0.1"}, 1);
    std::ostringstream text;
    text << std::ifstream(directory / (name + ".crt")).rdbuf();
    both += text.str();
  }
  std::ofstream(directory / "both.crt") << both;
  for (const std::string name : {"old", "new"}) {
    CAPTURE(name);
    WebSocketServerOptions served = fixtures::server_options();
    served.certificate_file = directory / (name + ".crt");
    served.private_key_file = directory / (name + ".key");
    RecordingServer server(served);
    WebSocketClientOptions options = fixtures::client_options(server->port());
    options.ca_file = directory / "both.crt";
    RecordingClient client(options);
    CHECK(client.connect());
    CHECK(server.connection() != 0);
  }
}

TEST_CASE("connect may be called from on_disconnected") {
  RecordingServer server;
  fixtures::Watched<int> connected;
  std::unique_ptr<WebSocketClient> client;
  WebSocketClientCallbacks callbacks;
  callbacks.on_connected = [&] {
    client->send(fixtures::make_hello());
    client->close("once more");
    connected.change([](int& n) { ++n; });
  };
  callbacks.on_disconnected = [&](const std::string&) { client->connect(); };
  client = std::make_unique<WebSocketClient>(fixtures::client_options(server->port()), callbacks);
  client->start();
  client->connect();
  CHECK(connected.wait([](int n) { return n >= 3; }));
  client->stop();
}

TEST_CASE("certificates that are not to be trusted") {
  RecordingServer server;
  const fixtures::TemporaryDirectory directory;
  WebSocketClientOptions options = fixtures::client_options(server->port());
  SUBCASE("signed by itself, and unknown") {
    options.ca_file.clear();
    CHECK(
        failure(options) ==
        "127.0.0.1:" + std::to_string(options.port) +
            ": TLS: certificate verify failed (self-signed certificate): give its file with --ca");
    CHECK(contains(server.wait_refused(), "TLS handshake"));
  }
  SUBCASE("not the one that is known") {
    write_self_signed_certificate(directory / "b.crt", directory / "b.key", {"127.0.0.1"}, 1);
    options.ca_file = directory / "b.crt";
    CHECK(contains(failure(options), "certificate verify failed"));
  }
  SUBCASE("made out to another") {
    options.host = "127.0.0.2";  // the loopback, too
    RecordingServer other([] {
      WebSocketServerOptions any = fixtures::server_options();
      any.address = "127.0.0.2";
      return any;
    }());
    options.port = other->port();
    CHECK(contains(failure(options), "IP address mismatch"));
    CHECK(contains(failure(options), "not made out to 127.0.0.2 but to localhost, 127.0.0.1"));
    options.insecure_accept_any_host_name = true;
    RecordingClient client(options);
    CHECK(client.connect());
    CHECK(other.connection() != 0);
  }
  SUBCASE("found by name") {
    options.host = "localhost";
    RecordingClient client(options);
    CHECK(client.connect());
    CHECK(server.connection() != 0);
  }
}

TEST_CASE("servers that are not there, or not what they should be") {
  const raw::Listener listener;
  WebSocketClientOptions options = fixtures::client_options(listener.port());
  options.connect_timeout_seconds = 0.3;
  SUBCASE("silent") {
    CHECK(contains(failure(options), "no connection within 0.3"));
  }
  SUBCASE("not there") {
    const raw::Listener deaf(false);
    options.port = deaf.port();
    options.connect_timeout_seconds = 10;
    CHECK(contains(failure(options), "connection refused"));
  }
  SUBCASE("no such name") {
    options.host = "no-such-host.invalid";
    options.connect_timeout_seconds = 5;
    CHECK(contains(failure(options), "no-such-host.invalid"));
  }
  SUBCASE("hangs up") {
    options.connect_timeout_seconds = 10;
    std::thread peer([&] { listener.accept(); });
    CHECK(contains(failure(options), "TLS handshake"));
    peer.join();
  }
  SUBCASE("speaks no TLS") {
    options.connect_timeout_seconds = 10;
    std::thread peer([&] {
      if (const auto socket = listener.accept()) {
        socket->write("HTTP/1.1 400 Bad Request\r\n\r\n");
        socket->ends();
      }
    });
    CHECK(contains(failure(options), "TLS"));
    peer.join();
  }
  SUBCASE("has another path") {
    RecordingServer server;
    options = fixtures::client_options(server->port());
    options.path = "/other";
    CHECK(contains(failure(options), "the server answers HTTP 404"));
  }
  SUBCASE("is full") {
    WebSocketServerOptions few = fixtures::server_options();
    few.max_connections = 1;
    RecordingServer server(few);
    RecordingClient first(fixtures::client_options(server->port()));
    REQUIRE(first.connect());
    REQUIRE(server.connection() != 0);
    CHECK(contains(failure(fixtures::client_options(server->port())),
                   "HTTP 503: the server has all the devices that it takes"));
  }
}

TEST_CASE("a hostile server") {
  const auto result = [](const std::string& payload, unsigned opcode) {
    std::string farewell;
    HandMadeServer server([&](raw::WebSocket& websocket) {
      if (websocket.open()) {
        websocket.send(opcode, payload);
        while (const auto frame = websocket.read()) {
          farewell += frame->opcode == 2 ? frame->payload : "";
        }
      }
    });
    WebSocketClientOptions options = fixtures::client_options(server.port());
    options.max_message_bytes = 1000;
    options.close_timeout_seconds = 0.2;
    RecordingClient client(options);
    client->connect();
    const std::string reason = client.wait_disconnected();
    CHECK(client.events().get().connected == 1);
    CHECK(client.events().get().messages.empty());
    return reason;
  };
  CHECK(result("hello", 1) == "a text frame (only binary frames are allowed)");
  CHECK(contains(result(std::string(1, '\0') + "\x63"
                                               "abc",
                        2),
                 "message kind 99"));
  CHECK(
      contains(result(std::string(1, '\0') + "\x03" + std::string(12, ' '), 2), "message kind 3"));
  CHECK(contains(result("\xc2"
                        "abc",
                        2),
                 "none has begun"));
  CHECK(contains(result(std::string(1, '\0') + std::string(1002, '\x12'), 2), "1000 allowed"));
  CHECK(contains(result(std::string(1, '\0') + std::string(1020, '\x12'), 2), "too long"));
  CHECK(contains(result(std::string("\x42\xff\xff\xff\xff\xff\xff\xff\x7f"
                                    "a",
                                    10),
                        2),
                 "1000 allowed"));
  CHECK(contains(result("x", 5), "a rule of WebSocket"));
}

TEST_CASE("a server that falls silent is left") {
  HandMadeServer server([](raw::WebSocket& websocket) {
    // Reads pings without an answer until the client has gone.
    while (websocket.tls().read_some()) {
    }
  });
  WebSocketClientOptions options = fixtures::client_options(server.port());
  options.idle_timeout_seconds = 0.3;
  RecordingClient client(options);
  client->connect();
  CHECK(client.wait_disconnected() == "the peer was silent for too long");
}

TEST_CASE("a server that does not read is left when the queue is full") {
  fixtures::Watched<bool> done;
  HandMadeServer server([&done](raw::WebSocket& websocket) {
    CHECK(websocket.open());
    done.wait([](bool is_done) { return is_done; });
  });
  WebSocketClientOptions options = fixtures::client_options(server.port());
  options.max_queue_bytes = 1 << 20;
  options.close_timeout_seconds = 0.2;
  RecordingClient client(options);
  client->connect();
  REQUIRE(client.events().wait([](const ClientEvents& e) { return e.connected == 1; }));
  bool sent = true;
  for (int i = 0; i < 1000 && sent; ++i) {
    sent = client->send(FrameBatch{1, {0}, raw::Bytes(100000)});
    CHECK(client->queued_bytes() <= options.max_queue_bytes);
  }
  CHECK(!sent);
  CHECK(contains(client.wait_disconnected(), "reads too slowly"));
  done.change([](bool& is_done) { is_done = true; });
}

TEST_CASE("what a callback throws ends the connection") {
  RecordingServer server;
  fixtures::Watched<std::string> ended;
  WebSocketClientCallbacks callbacks;
  callbacks.on_message = [](const ServerMessage&) {
    throw Error(ErrorCode::digest_mismatch, "not that");
  };
  callbacks.on_disconnected = [&](const std::string& reason) {
    ended.change([&](std::string& text) { text = reason; });
  };
  WebSocketClient* self = nullptr;
  callbacks.on_connected = [&] { self->send(fixtures::make_hello()); };
  WebSocketClient client(fixtures::client_options(server->port()), callbacks);
  self = &client;
  client.start();
  client.connect();
  REQUIRE(server.connection() != 0);
  server->send(server.connection(), Control{});
  CHECK(ended.wait([](const std::string& text) { return text == "not that"; }));
  REQUIRE(server.wait_messages(2));
  CHECK(std::get<Bye>(server.events().get().messages[1].second).reason == "not that");
}

TEST_CASE("stop at every stage") {
  SUBCASE("before connecting") {
    WebSocketClient client(fixtures::client_options(1), {});
    client.start();
    client.stop();
    client.connect();
    CHECK(!client.connected());
  }
  SUBCASE("never started") {
    const WebSocketClient client(fixtures::client_options(1), {});
  }
  SUBCASE("while connecting") {
    const raw::Listener silent;
    RecordingClient client(fixtures::client_options(silent.port()));
    client->connect();
    const auto held_open = silent.accept();
    REQUIRE(held_open);
    client->stop();
    CHECK(contains(client.wait_disconnected(), "the client stops"));
  }
  SUBCASE("while connected") {
    RecordingServer server;
    RecordingClient client(fixtures::client_options(server->port()));
    REQUIRE(client.connect());
    REQUIRE(server.connection() != 0);
    client->stop();
    CHECK(client.wait_disconnected() == "the client stops");
    CHECK(server.wait_disconnected() == "the peer closed the connection: the client stops");
  }
  SUBCASE("while the server does not answer") {
    fixtures::Watched<bool> done;
    HandMadeServer server(
        [&done](raw::WebSocket&) { done.wait([](bool is_done) { return is_done; }); });
    WebSocketClientOptions options = fixtures::client_options(server.port());
    options.close_timeout_seconds = 0.2;
    RecordingClient client(options);
    client->connect();
    REQUIRE(client.events().wait([](const ClientEvents& e) { return e.connected == 1; }));
    client->send(FrameBatch{1, {0}, raw::Bytes(20 << 20)});
    client->stop();
    CHECK(client.wait_disconnected() == "the client stops");
    done.change([](bool& is_done) { is_done = true; });
  }
  SUBCASE("from run's own thread") {
    WebSocketClient client(fixtures::client_options(1), {});
    client.post_after(0.02, [&client] { client.stop(); });
    client.run();
    CHECK_THROWS_AS(client.start(), Error);
  }
}

TEST_CASE("options that make no sense") {
  const auto code = [](auto change) {
    WebSocketClientOptions options = fixtures::client_options(1);
    change(options);
    try {
      const WebSocketClient client(options, {});
    } catch (const Error& error) {
      return error.code();
    }
    FAIL("no Error was thrown");
    return ErrorCode::unavailable;
  };
  using enum ErrorCode;
  CHECK(code([](auto& o) { o.host = ""; }) == invalid_argument);
  CHECK(code([](auto& o) { o.port = 0; }) == invalid_argument);
  CHECK(code([](auto& o) { o.path = ""; }) == invalid_argument);
  CHECK(code([](auto& o) { o.max_message_bytes = 0; }) == invalid_argument);
  CHECK(code([](auto& o) { o.connect_timeout_seconds = 0; }) == invalid_argument);
  CHECK(code([](auto& o) { o.ca_file = "/none"; }) == io_error);
  CHECK(code([](auto& o) { o.ca_file = fixtures::Credentials::get().key; }) == malformed_data);
  CHECK(code([](auto& o) { o.ca_file = "/"; }) == io_error);
  CHECK(code([](auto& o) { o.ca_file = "/dev/null"; }) == malformed_data);
}

}  // namespace
