#include "ams/net/server.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "ams/core/random.hpp"
#include "ams/net/chunking.hpp"
#include "ams/net/wire.hpp"
#include "fixtures.hpp"
#include "raw_peer.hpp"

namespace {

using namespace ams;
using fixtures::RecordingClient;
using fixtures::RecordingServer;
using fixtures::ServerEvents;

/// As bytes that can be changed.
template <class Message>
std::vector<std::byte> encoded(const Message& message) {
  return encode_message(message).to_vector();
}

raw::Bytes hello_bytes(const Hello& hello = fixtures::make_hello()) {
  return encoded(DeviceMessage(hello));
}

/// What the server says last: its Fault, if the next frame is one.
std::optional<Fault> read_fault(raw::WebSocket& socket) {
  const auto bytes = socket.read_message();
  if (!bytes) {
    return std::nullopt;
  }
  const ServerMessage message = decode_server_message(*bytes);
  const auto* fault = std::get_if<Fault>(&message);
  return fault == nullptr ? std::nullopt : std::optional<Fault>(*fault);
}

std::string get(std::uint16_t port, const std::string& request_line) {
  raw::Tls tls(raw::Socket::connect(port));
  REQUIRE(tls.shaken());
  REQUIRE(tls.write(request_line + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  return tls.read_to_the_end();
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// A well-behaved device still gets through.
void check_alive(RecordingServer& server) {
  const std::size_t before = server.events().get().connected.size();
  raw::WebSocket device(server->port());
  REQUIRE(device.open());
  REQUIRE(device.send_message(hello_bytes()));
  CHECK(server.connection(before) != 0);
}

TEST_CASE("a device is let in after its Hello, and heard") {
  RecordingServer server;
  raw::WebSocket device(server->port());
  REQUIRE(device.open());
  CHECK(device.tls().version() == "TLSv1.3");
  CHECK(server->connection_count() == 0);
  REQUIRE(device.send_message(hello_bytes()));
  const ConnectionId id = server.connection();
  REQUIRE(id != 0);
  REQUIRE(device.send_message(encoded(DeviceMessage(Ack{{3, 4}}))));
  REQUIRE(server.wait_messages(2));
  const ServerEvents events = server.events().get();
  CHECK(starts_with(events.connected[0].second, "127.0.0.1:"));
  CHECK(std::get<Hello>(events.messages[0].second).device_id == "camera");
  CHECK(std::get<Ack>(events.messages[1].second).held == ModelVersion{3, 4});
  CHECK(server->connection_count() == 1);

  CHECK(server->send(id, Control{0.5, 20}));
  const auto bytes = device.read_message();
  REQUIRE(bytes);
  CHECK(std::get<Control>(decode_server_message(*bytes)).sampling_rate_fps == 0.5);
}

TEST_CASE("TLS 1.2 is spoken too, older versions are not") {
  RecordingServer server;
  raw::Tls tls12(raw::Socket::connect(server->port()), TLS1_2_VERSION);
  CHECK(tls12.shaken());
  CHECK(tls12.version() == "TLSv1.2");
  raw::Tls tls11(raw::Socket::connect(server->port()), TLS1_1_VERSION);
  CHECK(!tls11.shaken());
}

TEST_CASE("tokens") {
  WebSocketServerCallbacks callbacks;
  callbacks.authorize = accept_tokens({"secret"});
  WebSocketServerOptions options = fixtures::server_options();
  options.close_timeout_seconds = 0.2;
  RecordingServer server(options, callbacks);
  for (const char* wrong : {"", "secret2", "Secret"}) {
    raw::WebSocket device(server->port());
    REQUIRE(device.send_message(hello_bytes(fixtures::make_hello(wrong))));
    const auto fault = read_fault(device);
    REQUIRE(fault);
    CHECK(fault->code == ErrorCode::unauthorized);
    const auto closing = device.read();
    REQUIRE(closing);
    CHECK(closing->opcode == 8);
    CHECK(closing->payload.substr(0, 2) == "\x03\xf0");  // 1008
  }
  CHECK(server.wait_refused(2).find("token") != std::string::npos);
  CHECK(server.events().get().connected.empty());
  CHECK(server.events().get().messages.empty());
  raw::WebSocket device(server->port());
  REQUIRE(device.send_message(hello_bytes(fixtures::make_hello("secret"))));
  CHECK(server.connection() != 0);
}

TEST_CASE("a version that is not spoken") {
  WebSocketServerCallbacks callbacks;
  callbacks.authorize = [](const Hello&) -> std::optional<Fault> {
    FAIL_CHECK("asked about a version that is not spoken");
    return std::nullopt;
  };
  RecordingServer server(fixtures::server_options(), callbacks);
  Hello hello = fixtures::make_hello();
  hello.version = protocol_version + 1;
  raw::WebSocket device(server->port());
  REQUIRE(device.send_message(hello_bytes(hello)));
  const auto fault = read_fault(device);
  REQUIRE(fault);
  CHECK(fault->code == ErrorCode::unsupported_version);
}

TEST_CASE("what a device must not say") {
  struct Case {
    const char* name;
    bool after_hello;
    std::vector<std::string> frames;  // payloads of binary frames
    unsigned opcode = 2;
    ErrorCode code = ErrorCode::malformed_data;
  };
  const auto chunk = [](const raw::Bytes& message) {
    return std::string(1, '\0').append(reinterpret_cast<const char*>(message.data()),
                                       message.size());
  };
  const std::string first = std::string("\x42", 1) + std::string("\x20\0\0\0\0\0\0\0", 8) + "part";
  const std::vector<Case> cases = {
      {"another message than Hello first",
       false,
       {chunk(encoded(DeviceMessage(Ack{})))},
       2,
       ErrorCode::protocol_violation},
      {"a second Hello", true, {chunk(hello_bytes())}, 2, ErrorCode::protocol_violation},
      {"a text frame", false, {"hello"}, 1, ErrorCode::protocol_violation},
      {"a text frame later", true, {"hello"}, 1, ErrorCode::protocol_violation},
      {"an empty frame", true, {""}},
      {"a chunk without content", true, {std::string(1, '\0')}},
      {"an unknown chunk header",
       true,
       {"\x3f"
        "abc"}},
      {"an unknown message",
       true,
       {std::string("\0\x63"
                    "abc",
                    5)}},
      {"a message of the server", true, {chunk(encoded(ServerMessage(Control{})))}},
      {"a broken table", true, {std::string("\0\x02 and then nonsense", 20)}},
      {"a part of nothing",
       true,
       {"\x82"
        "abc"}},
      {"two beginnings on a lane", true, {first, first}},
      {"a last part that is too short",
       true,
       {first,
        "\xc2"
        "abc"}},
      {"an announced size beyond the limit",
       true,
       {std::string("\x42\0\0\0\0\0\0\0\x01"
                    "abc",
                    12)},
       2,
       ErrorCode::limit_exceeded},
      {"an announced size beyond a Hello's",
       false,
       {std::string("\x42\0\x10\0\0\0\0\0\0"
                    "abc",
                    12)},
       2,
       ErrorCode::limit_exceeded},
  };
  WebSocketServerOptions options = fixtures::server_options();
  options.close_timeout_seconds = 0.2;  // their peers do not answer the closing handshake
  RecordingServer server(options);
  std::size_t let_in = 0;
  for (const Case& wrong : cases) {
    CAPTURE(wrong.name);
    raw::WebSocket device(server->port());
    REQUIRE(device.open());
    if (wrong.after_hello) {
      REQUIRE(device.send_message(hello_bytes()));
      ++let_in;
    }
    for (const std::string& frame : wrong.frames) {
      device.send(wrong.opcode, frame);
    }
    const auto fault = read_fault(device);
    REQUIRE(fault);
    CHECK(fault->code == wrong.code);
    const auto closing = device.read();
    REQUIRE(closing);
    CHECK(closing->opcode == 8);
    if (wrong.after_hello) {
      CHECK(server.wait_disconnected(let_in - 1) == fault->message);
    }
  }
  check_alive(server);
  CHECK(server.events().get().refused.size() == cases.size() - let_in);
}

TEST_CASE("frames that break WebSocket's own rules end the connection") {
  WebSocketServerOptions options = fixtures::server_options();
  options.close_timeout_seconds = 0.2;
  RecordingServer server(options);
  const std::string whole = std::string(1, '\0') + "x";
  const std::vector<std::string> wrong = {
      raw::make_frame(2, whole, false),                   // not masked
      raw::make_frame(2, whole, true, true, 1ULL << 62),  // an absurd length
      raw::make_frame(2, std::string(3000, 'x'), true),   // longer than any Hello
      raw::make_frame(3, whole, true),                    // a reserved opcode
      raw::make_frame(0, whole, true),                    // a continuation of nothing
      raw::make_frame(9, std::string(126, 'x'), true),    // a ping that is too long
      raw::make_frame(1, "\xff\xfe\xff", true),           // text that is not UTF-8
      raw::make_frame(8, "\x03", true),                   // a close frame of one byte
      std::string(20, '\xff'),                            // reserved bits
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    CAPTURE(i);
    raw::WebSocket device(server->port());
    REQUIRE(device.open());
    REQUIRE(device.tls().write(wrong[i]));
    while (device.read()) {
    }
    const std::string reason = server.wait_refused(i);
    CAPTURE(reason);
    CHECK((reason.find("the peer broke a rule of WebSocket") == 0 ||
           reason == "the peer sent a WebSocket message that is too long"));
  }
  // After Hello frames may be as long as a chunk, and not longer.
  raw::WebSocket device(server->port());
  REQUIRE(device.send_message(hello_bytes()));
  REQUIRE(server.connection() != 0);
  device.send(2, std::string(1, '\0') + std::string(max_chunk_bytes, 'x'));
  CHECK(server.wait_disconnected() == "the peer sent a WebSocket message that is too long");
  check_alive(server);
}

TEST_CASE("random bytes at every layer") {
  WebSocketServerOptions options = fixtures::server_options();
  options.handshake_timeout_seconds = 2;
  options.hello_timeout_seconds = 2;
  options.close_timeout_seconds = 0.2;
  RecordingServer server(options);
  Random random(1);
  const auto noise = [&random](std::size_t size) {
    std::string text(size, ' ');
    for (char& c : text) {
      c = static_cast<char>(random.below(256));
    }
    return text;
  };
  for (int i = 0; i < 20; ++i) {
    const raw::Socket socket = raw::Socket::connect(server->port());
    socket.write(noise(1 + random.below(2000)));
    CHECK(socket.ends());

    raw::Tls tls(raw::Socket::connect(server->port()));
    REQUIRE(tls.shaken());
    tls.write(noise(1 + random.below(2000)));
    tls.read_to_the_end();

    raw::WebSocket device(server->port());
    REQUIRE(device.open());
    if (i % 2 == 0) {
      device.send_message(hello_bytes());
    }
    for (int n = 0; n < 5; ++n) {
      device.send(2, noise(1 + random.below(500)));
    }
    device.tls().write(noise(1 + random.below(500)));
    while (device.read()) {
    }
  }
  check_alive(server);
}

TEST_CASE("those who stop half-way are cut off") {
  WebSocketServerOptions options = fixtures::server_options();
  options.handshake_timeout_seconds = 1;
  options.hello_timeout_seconds = 1;
  options.close_timeout_seconds = 0.3;
  RecordingServer server(options);
  SUBCASE("silent after TCP") {
    const raw::Socket socket = raw::Socket::connect(server->port());
    CHECK(socket.ends());
    CHECK(server.wait_refused() == "TLS handshake: timed out");
  }
  SUBCASE("half a TLS handshake") {
    const raw::Socket socket = raw::Socket::connect(server->port());
    socket.write(std::string("\x16\x03\x01\x02\x00\x01\x00", 7));
    CHECK(socket.ends());
    CHECK(server.wait_refused() == "TLS handshake: timed out");
  }
  SUBCASE("silent after TLS") {
    raw::Tls tls(raw::Socket::connect(server->port()));
    REQUIRE(tls.shaken());
    CHECK(tls.read_to_the_end() == "");
    CHECK(server.wait_refused() == "HTTP request: timed out");
  }
  SUBCASE("a request that trickles in") {
    raw::Tls tls(raw::Socket::connect(server->port()));
    REQUIRE(tls.write("GET /ams HTTP/1.1\r\n"));
    for (int i = 0; i < 1000 && tls.write("X: y\r\n"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(server.wait_refused() == "HTTP request: timed out");
  }
  SUBCASE("no Hello") {
    raw::WebSocket device(server->port());
    const auto fault = read_fault(device);
    REQUIRE(fault);
    CHECK(fault->code == ErrorCode::protocol_violation);
    // The closing handshake is not answered either.
    CHECK(server.wait_refused().find("no Hello") == 0);
  }
  SUBCASE("pings do not stand for a Hello") {
    raw::WebSocket device(server->port());
    for (int i = 0; i < 1000 && device.send(9, "ping"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(server.wait_refused().find("no Hello") == 0);
  }
  SUBCASE("half a frame") {
    raw::WebSocket device(server->port());
    const std::string frame = raw::make_frame(2, std::string(500, 'x'), true);
    REQUIRE(device.tls().write(frame.substr(0, 100)));
    CHECK(server.wait_refused().find("no Hello") == 0);
  }
  check_alive(server);
}

TEST_CASE("a device that falls silent is pinged, then cut off") {
  WebSocketServerOptions options = fixtures::server_options();
  options.idle_timeout_seconds = 1;
  RecordingServer server(options);
  raw::WebSocket device(server->port());
  REQUIRE(device.send_message(hello_bytes()));
  REQUIRE(server.connection() != 0);
  // Answering pings keeps the connection.
  for (int i = 0; i < 3; ++i) {
    const auto ping = device.read();
    REQUIRE(ping);
    CHECK(ping->opcode == 9);
    REQUIRE(device.send(10, ping->payload));
  }
  CHECK(server->connection_count() == 1);
  CHECK(server.wait_disconnected() == "the peer was silent for too long");
}

TEST_CASE("connections over the limit are turned away and the others stay") {
  WebSocketServerOptions options = fixtures::server_options();
  options.max_connections = 3;
  RecordingServer server(options);
  std::vector<std::unique_ptr<raw::WebSocket>> devices;
  for (std::size_t i = 0; i < 3; ++i) {
    devices.push_back(std::make_unique<raw::WebSocket>(server->port()));
    REQUIRE(devices.back()->open());
    REQUIRE(devices.back()->send_message(hello_bytes()));
    REQUIRE(server.connection(i) != 0);
  }
  for (int i = 0; i < 50; ++i) {
    raw::WebSocket another(server->port());
    CHECK(!another.open());
    CHECK(another.head().find(" 503 ") != std::string::npos);
  }
  CHECK(starts_with(get(server->port(), "GET /healthz"), "HTTP/1.1 200"));

  // Sockets that never speak take up no device's place, and there is an end to them too.
  std::vector<raw::Socket> sockets;
  for (int i = 0; i < 50; ++i) {
    sockets.push_back(raw::Socket::connect(server->port()));
  }
  CHECK(server.events().wait([](const ServerEvents& e) {
    return std::any_of(e.refused.begin(), e.refused.end(), [](const std::string& reason) {
      return starts_with(reason, "too many connections");
    });
  }));
  for (std::size_t i = 0; i < devices.size(); ++i) {
    REQUIRE(devices[i]->send_message(encoded(DeviceMessage(Ack{}))));
  }
  CHECK(server.wait_messages(6));
  sockets.clear();

  // A place that becomes free can be taken.
  devices.pop_back();
  CHECK(server.wait_disconnected() != "");
  check_alive(server);
}

TEST_CASE("those who never say Hello keep no device out") {
  WebSocketServerOptions options = fixtures::server_options();
  options.max_connections = 20;
  RecordingServer server(options);
  std::vector<raw::Socket> silent;
  for (int i = 0; i < 165; ++i) silent.push_back(raw::Socket::connect(server->port()));
  std::vector<std::unique_ptr<raw::WebSocket>> waiting;
  for (int i = 0; i < 40; ++i) {
    waiting.push_back(std::make_unique<raw::WebSocket>(server->port()));
  }
  std::vector<std::unique_ptr<raw::WebSocket>> devices;
  for (std::size_t i = 0; i < 15; ++i) {
    CAPTURE(i);
    devices.push_back(std::make_unique<raw::WebSocket>(server->port()));
    REQUIRE(devices.back()->open());
    REQUIRE(devices.back()->send_message(hello_bytes()));
    REQUIRE(server.connection(i) != 0);
  }
  CHECK(server->connection_count() == 15);
  for (std::size_t i = 0; i < devices.size(); ++i) {
    REQUIRE(devices[i]->send_message(encoded(DeviceMessage(Ack{}))));
  }
  CHECK(server.wait_messages(30));
}

TEST_CASE("a TCP reset is a disconnection, once") {
  RecordingServer server;
  {
    raw::WebSocket device(server->port());
    REQUIRE(device.send_message(hello_bytes()));
    REQUIRE(server.connection() != 0);
    // In the middle of a frame, too.
    REQUIRE(device.tls().write(raw::make_frame(2, std::string(500, 'x'), true).substr(0, 50)));
    device.tls().socket().reset();
  }
  CHECK(server.wait_disconnected().find("connection lost") == 0);
  CHECK(!server->send(server.connection(), Control{}));
  CHECK(fixtures::eventually(
      [&] { return server->counters(server.connection()).uplink_bytes == 0; }));
  check_alive(server);
  server->stop();
  CHECK(server.events().get().disconnected.size() == 2);
}

TEST_CASE("a device that does not read is cut off when its queue is full") {
  WebSocketServerOptions options = fixtures::server_options();
  options.max_queue_bytes = 4 << 20;
  options.close_timeout_seconds = 0.3;
  RecordingServer server(options);
  raw::WebSocket device(server->port(), "/ams", 8192);
  REQUIRE(device.send_message(hello_bytes()));
  const ConnectionId id = server.connection();
  REQUIRE(id != 0);
  const Update update{raw::Bytes(1 << 20)};
  bool sent = true;
  for (int i = 0; i < 1000 && sent; ++i) {
    sent = server->send(id, update);
    CHECK(server->queued_bytes(id) <= options.max_queue_bytes);
  }
  CHECK(!sent);
  CHECK(server.wait_disconnected().find("reads too slowly") != std::string::npos);
  check_alive(server);
}

TEST_CASE("what is sent arrives, urgent messages first") {
  RecordingServer server;
  RecordingClient client(fixtures::client_options(server->port()));
  REQUIRE(client.connect());
  const ConnectionId id = server.connection();
  REQUIRE(id != 0);
  Random random(7);
  raw::Bytes big(5 << 20);
  for (std::byte& byte : big) {
    byte = static_cast<std::byte>(random.below(256));
  }
  server->post([&] {
    server->send(id, Snapshot{big});
    server->send(id, Update{raw::Bytes(10, std::byte{1})});
    server->send(id, Control{2, 3});
  });
  REQUIRE(client.wait_messages(3));
  CHECK(std::get<Control>(client.message(0)).sampling_rate_fps == 2);
  CHECK(std::get<Snapshot>(client.message(1)).bytes == big);
  CHECK(std::get<Update>(client.message(2)).bytes.size() == 10);
  CHECK(fixtures::eventually([&] { return server->queued_bytes(id) == 0; }));
}

TEST_CASE("Bye goes after everything and closes; a Fault goes at once and closes") {
  RecordingServer server;
  RecordingClient client(fixtures::client_options(server->port()));
  SUBCASE("Bye") {
    REQUIRE(client.connect());
    const ConnectionId id = server.connection();
    server->post([&, id] {
      server->send(id, Update{raw::Bytes(3 << 20)});
      server->send(id, Bye{"enough"});
      CHECK(!server->send(id, Control{}));
    });
    REQUIRE(client.wait_messages(2));
    CHECK(std::holds_alternative<Update>(client.message(0)));
    CHECK(std::get<Bye>(client.message(1)).reason == "enough");
    CHECK(client.wait_disconnected() == "the peer closed the connection: said Bye");
    CHECK(server.wait_disconnected() == "said Bye");
  }
  SUBCASE("Fault") {
    REQUIRE(client.connect());
    const ConnectionId id = server.connection();
    server->post([&, id] {
      server->send(id, Update{raw::Bytes(3 << 20)});
      server->send(id, Fault{ErrorCode::manifest_mismatch, "other model"});
    });
    REQUIRE(client.wait_messages(1));
    CHECK(std::get<Fault>(client.message(0)).code == ErrorCode::manifest_mismatch);
    CHECK(client.wait_disconnected().find("the peer closed the connection") == 0);
    CHECK(client.events().get().messages.size() == 1);
  }
  SUBCASE("close") {
    REQUIRE(client.connect());
    const ConnectionId id = server.connection();
    server->send(id, Update{raw::Bytes(3 << 20)});
    server->close(id, "moved on");
    REQUIRE(client.wait_messages(1));
    CHECK(client.wait_disconnected() == "the peer closed the connection: moved on");
    CHECK(server.wait_disconnected() == "moved on");
  }
}

TEST_CASE("what a callback throws ends that connection only") {
  WebSocketServerCallbacks callbacks;
  callbacks.on_message = [](ConnectionId, const DeviceMessage& message) {
    if (const auto* ack = std::get_if<Ack>(&message)) {
      if (ack->held.number == 1) {
        throw Error(ErrorCode::base_version_mismatch, "no such version");
      }
      throw std::runtime_error("a mistake");
    }
  };
  RecordingServer server(fixtures::server_options(), callbacks);
  for (const std::uint32_t number : {1U, 2U}) {
    raw::WebSocket device(server->port());
    REQUIRE(device.send_message(hello_bytes()));
    REQUIRE(device.send_message(encoded(DeviceMessage(Ack{{number, 0}}))));
    const auto fault = read_fault(device);
    REQUIRE(fault);
    CHECK(fault->code == (number == 1 ? ErrorCode::base_version_mismatch : ErrorCode::unavailable));
  }
  check_alive(server);
}

TEST_CASE("what a function on the io thread throws costs nothing but itself") {
  RecordingServer server;
  server->post([] { throw std::runtime_error("a mistake"); });
  server->post_after(0, [] { throw 5; });
  check_alive(server);
  CHECK(server.wait_refused(0) == "internal error: a mistake");
  CHECK(server.wait_refused(1) == "internal error: an unknown exception");
}

TEST_CASE("metrics that cannot be computed are a failed request, and no more") {
  WebSocketServerCallbacks callbacks;
  callbacks.metrics = []() -> std::string { throw std::runtime_error("a mistake"); };
  RecordingServer server(fixtures::server_options(), callbacks);
  const std::string answer = get(server->port(), "GET /metrics");
  CHECK(starts_with(answer, "HTTP/1.1 500"));
  CHECK(answer.find("a mistake") == std::string::npos);  // that is the server's own affair
  CHECK(server.wait_refused(0) == "HTTP 500: a mistake");
  check_alive(server);
}

TEST_CASE("metrics name devices to those who know the token") {
  WebSocketServerCallbacks callbacks;
  callbacks.authorize = accept_tokens({"red"});
  callbacks.metrics = [] { return std::string("ams_tests_total 7\n"); };
  RecordingServer server(fixtures::server_options(), callbacks);
  const auto ask = [&](const std::string& authorization) {
    const std::string header = authorization.empty() ? "" : "\r\nAuthorization: " + authorization;
    raw::Tls tls(raw::Socket::connect(server->port()));
    REQUIRE(tls.shaken());
    REQUIRE(tls.write("GET /metrics HTTP/1.1\r\nHost: localhost" + header + "\r\n\r\n"));
    return tls.read_to_the_end();
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(has(ask("Bearer red"), "\nams_tests_total 7\n"));
  const std::string for_strangers = ask("");
  CHECK(starts_with(for_strangers, "HTTP/1.1 200"));
  CHECK(has(for_strangers, "\nams_connections 0\n"));
  CHECK(!has(for_strangers, "ams_tests_total"));
  for (const char* wrong : {"Bearer blue", "Bearer ", "Basic red", "red"}) {
    const std::string answer = ask(wrong);
    CHECK(starts_with(answer, "HTTP/1.1 401"));
    CHECK(!has(answer, "ams_"));
  }
}

TEST_CASE("a certificate is exchanged while devices stay") {
  const fixtures::TemporaryDirectory directory;
  WebSocketServerOptions options = fixtures::server_options();
  options.certificate_file = directory / "a.crt";
  options.private_key_file = directory / "a.key";
  const auto renew = [&](const char* trusted) {
    std::filesystem::remove(options.certificate_file);
    std::filesystem::remove(options.private_key_file);
    write_self_signed_certificate(options.certificate_file, options.private_key_file, {"127.0.0.1"},
                                  1);
    std::filesystem::copy_file(options.certificate_file, directory / trusted);
  };
  renew("first.crt");
  RecordingServer server(options);
  const auto client_of = [&](const char* trusted) {
    WebSocketClientOptions trusting = fixtures::client_options(server->port());
    trusting.ca_file = directory / trusted;
    return trusting;
  };
  RecordingClient stays(client_of("first.crt"));
  REQUIRE(stays.connect());
  renew("second.crt");
  server->reload_certificate();
  RecordingClient comes(client_of("second.crt"));
  CHECK(comes.connect());
  RecordingClient fails(client_of("first.crt"));
  fails->connect();
  CHECK(fails.wait_disconnected().find("certificate") != std::string::npos);

  std::ofstream(options.private_key_file) << "";  // a bad file changes nothing
  CHECK_THROWS_AS(server->reload_certificate(), Error);
  RecordingClient comes_later(client_of("second.crt"));
  CHECK(comes_later.connect());
  REQUIRE(server.wait_messages(3));
  CHECK(stays->send(Ack{}));
  CHECK(server.wait_messages(4));
  CHECK(server.events().get().disconnected.empty());
}

TEST_CASE("operators get a page and ask below /api/, and nobody else does") {
  WebSocketServerCallbacks callbacks;
  callbacks.authorize = accept_tokens({"red"});
  callbacks.on_request = [](const HttpRequest& request, const HttpReply& reply) {
    const HttpAnswer answer{409, "application/json",
                            request.method + " " + request.path + " " + request.body};
    reply(answer);
    reply(answer);  // the first one counts
  };
  WebSocketServerOptions options = fixtures::server_options();
  options.page = "<!doctype html><style>a {}</style><script>1</script>";
  RecordingServer server(options, callbacks);
  const auto ask = [&](const std::string& line, const std::string& headers,
                       const std::string& body = "") {
    raw::Tls tls(raw::Socket::connect(server->port()));
    REQUIRE(tls.shaken());
    REQUIRE(tls.write(line + " HTTP/1.1\r\nHost: localhost:1\r\n" + headers +
                      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
    return tls.read_to_the_end();
  };
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  const std::string token = "Authorization: Bearer red\r\n";
  const std::string json = "Content-Type: application/json\r\n";

  const std::string page = ask("GET /?x", "");
  CHECK(starts_with(page, "HTTP/1.1 200"));
  CHECK(has(page, "<script>1</script>"));
  // As `printf 1 | openssl sha256 -binary | base64` says.
  CHECK(has(page, "script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"));
  CHECK(has(page, "default-src 'none'"));

  CHECK(has(ask("GET /api/a%20b?c", token), "GET /api/a%20b "));
  CHECK(has(ask("POST /api/a", token + json, "{}"), "POST /api/a {}"));
  CHECK(starts_with(ask("POST /api/a", token + json, "{}"), "HTTP/1.1 409"));
  CHECK(has(ask("POST /api/a", token + json + "Origin: https://localhost:1\r\n"), "POST /api/a"));

  CHECK(starts_with(ask("GET /api/a", ""), "HTTP/1.1 401"));
  CHECK(starts_with(ask("GET /api/a", "Authorization: Bearer blue\r\n"), "HTTP/1.1 401"));
  CHECK(starts_with(ask("POST /api/a", token), "HTTP/1.1 415"));
  CHECK(
      starts_with(ask("POST /api/a", token + json + "Origin: https://evil:1\r\n"), "HTTP/1.1 403"));
  CHECK(starts_with(ask("GET /api/a", token + "Origin: null\r\n"), "HTTP/1.1 403"));
  CHECK(starts_with(ask("POST /", json), "HTTP/1.1 405"));
  CHECK(!has(ask("POST /api/a", token + json, std::string(20000, 'x')), "409"));

  const std::string metrics = ask("GET /metrics", "");
  CHECK(has(metrics, "ams_connections_refused_total{reason=\"unauthorized\"} 2\n"));
  CHECK(has(metrics, "ams_certificate_expires_timestamp_seconds "));
}

TEST_CASE("plain HTTP requests") {
  WebSocketServerCallbacks callbacks;
  callbacks.metrics = [] { return std::string("ams_tests_total 7\n"); };
  RecordingServer server(fixtures::server_options(), callbacks);
  const std::string health = get(server->port(), "GET /healthz");
  CHECK(starts_with(health, "HTTP/1.1 200"));
  CHECK(health.find("\r\n\r\nok\n") != std::string::npos);
  const std::string metrics = get(server->port(), "GET /metrics");
  CHECK(starts_with(metrics, "HTTP/1.1 200"));
  CHECK(metrics.find("\nams_connections 0\n") != std::string::npos);
  CHECK(metrics.find("\nams_uplink_bytes_total ") != std::string::npos);
  CHECK(metrics.find("\nams_tests_total 7\n") != std::string::npos);
  CHECK(server.events().get().refused.empty());
  CHECK(starts_with(get(server->port(), "GET /secret"), "HTTP/1.1 404"));
  CHECK(starts_with(get(server->port(), "POST /metrics"), "HTTP/1.1 405"));
  CHECK(starts_with(get(server->port(), "GET /ams"), "HTTP/1.1 426"));
  CHECK(server.wait_refused(2) == "HTTP 426");
  CHECK(get(server->port(), "GET /" + std::string(20000, 'x')).find("200") == std::string::npos);
  // Without TLS there is nothing to see.
  const raw::Socket plain = raw::Socket::connect(server->port());
  plain.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(plain.ends());
}

TEST_CASE("stop says goodbye, in bounded time") {
  WebSocketServerOptions options = fixtures::server_options();
  options.close_timeout_seconds = 0.3;
  RecordingServer server(options);
  RecordingClient client(fixtures::client_options(server->port()));
  REQUIRE(client.connect());
  REQUIRE(server.connection(0) != 0);
  raw::WebSocket deaf(server->port());  // does not answer the closing handshake
  REQUIRE(deaf.send_message(hello_bytes()));
  REQUIRE(server.connection(1) != 0);
  const raw::Socket silent = raw::Socket::connect(server->port());
  raw::WebSocket nameless(server->port());
  REQUIRE(nameless.open());
  server->stop();
  CHECK(client.wait_disconnected() == "the peer closed the connection: the server stops");
  const ServerEvents events = server.events().get();
  REQUIRE(events.disconnected.size() == 2);
  CHECK(events.disconnected[0].second == "the server stops");
  CHECK(events.disconnected[1].second == "the server stops");
  CHECK(silent.ends());
  server->stop();  // again
  CHECK(!server->send(server.connection(0), Control{}));
}

TEST_CASE("run serves on the caller's thread until a callback stops it") {
  std::vector<int> order;
  WebSocketServer server(fixtures::server_options(), {});
  server.post([&order] { order.push_back(1); });
  server.post_after(0.05, [&] {
    order.push_back(3);
    server.stop();
  });
  server.post_after(-1, [&order] { order.push_back(2); });
  server.run();
  CHECK(order == std::vector<int>{1, 2, 3});
  CHECK_THROWS_AS(server.start(), Error);
  CHECK_THROWS_AS(server.run(), Error);
}

TEST_CASE("a server that never ran can be destroyed, and one that was stopped does not run") {
  { const WebSocketServer server(fixtures::server_options(), {}); }
  WebSocketServer server(fixtures::server_options(), {});
  server.stop();
  server.run();
  CHECK_THROWS_AS(server.post_after(std::numeric_limits<double>::quiet_NaN(), [] {}), Error);
}

TEST_CASE("many threads send at once") {
  RecordingServer server;
  constexpr std::size_t devices = 4;
  constexpr std::size_t threads = 4;
  constexpr std::uint32_t messages = 50;
  std::vector<std::unique_ptr<RecordingClient>> clients;
  for (std::size_t i = 0; i < devices; ++i) {
    clients.push_back(std::make_unique<RecordingClient>(fixtures::client_options(server->port())));
    REQUIRE(clients.back()->connect());
    REQUIRE(server.connection(i) != 0);
  }
  std::vector<std::thread> senders;
  for (std::size_t t = 0; t < threads; ++t) {
    senders.emplace_back([&, t] {
      for (std::uint32_t m = 0; m < messages; ++m) {
        for (std::size_t d = 0; d < devices; ++d) {
          raw::Bytes bytes(1 + (m * 977) % 40000, static_cast<std::byte>(t));
          server->send(server.connection(d), Update{std::move(bytes)});
          (*clients[d])->send(Ack{{m, t}});
          server->counters(server.connection(d));
          server->queued_bytes(server.connection(d));
        }
      }
    });
  }
  for (std::thread& sender : senders) {
    sender.join();
  }
  for (const auto& client : clients) {
    REQUIRE(client->wait_messages(threads * messages));
    // What one thread sends stays in order.
    std::vector<std::uint32_t> next(threads, 0);
    for (const ServerMessage& message : client->events().get().messages) {
      const auto& bytes = std::get<Update>(message).bytes;
      const auto sender = std::to_integer<std::size_t>(bytes[0]);
      CHECK(bytes.size() == 1 + (next[sender]++ * 977) % 40000);
    }
  }
  REQUIRE(server.wait_messages(devices * (1 + threads * messages)));
}

TEST_CASE("options that make no sense") {
  const auto code = [](auto change) {
    WebSocketServerOptions options = fixtures::server_options();
    change(options);
    try {
      const WebSocketServer server(options, {});
    } catch (const Error& error) {
      return error.code();
    }
    FAIL("no Error was thrown");
    return ErrorCode::unavailable;
  };
  using enum ErrorCode;
  CHECK(code([](auto& o) { o.address = "localhost"; }) == invalid_argument);
  CHECK(code([](auto& o) { o.address = "203.0.113.1"; }) == io_error);
  CHECK(code([](auto& o) { o.path = "ams"; }) == invalid_argument);
  CHECK(code([](auto& o) { o.path = "/metrics"; }) == invalid_argument);
  CHECK(code([](auto& o) { o.max_connections = 0; }) == invalid_argument);
  CHECK(code([](auto& o) { o.max_message_bytes = 100; }) == invalid_argument);
  CHECK(code([](auto& o) { o.idle_timeout_seconds = 0; }) == invalid_argument);
  CHECK(code([](auto& o) { o.hello_timeout_seconds = -1; }) == invalid_argument);
  CHECK(code([](auto& o) { o.close_timeout_seconds = 1e300; }) == invalid_argument);
  CHECK(code([](auto& o) { o.certificate_file = "/none"; }) == io_error);
  CHECK(code([](auto& o) { o.private_key_file = "/none"; }) == io_error);
  CHECK(code([](auto& o) { o.certificate_file = o.private_key_file; }) == malformed_data);
  CHECK(code([](auto& o) { o.private_key_file = o.certificate_file; }) == malformed_data);

  const fixtures::TemporaryDirectory directory;
  write_self_signed_certificate(directory / "b.crt", directory / "b.key", {"localhost"}, 1);
  CHECK(code([&](auto& o) { o.private_key_file = directory / "b.key"; }) == malformed_data);

  const RecordingServer server;
  RecordingServer taken;
  const std::uint16_t port = taken->port();
  CHECK(code([&](auto& o) { o.port = port; }) == io_error);
}

}  // namespace
