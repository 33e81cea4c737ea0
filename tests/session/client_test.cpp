#include "ams/session/edge_client.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/model_feed.hpp"
#include "damage.hpp"
#include "toy.hpp"

using namespace ams;
using Client = EdgeClient;
using Actions = EdgeActions;

static_assert(std::is_move_constructible_v<Client> && std::is_move_assignable_v<Client>);

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// The first batch leaves after 5 s, so that it has several frames.
ClientOptions five_seconds() {
  ClientOptions options;
  options.first_batch_seconds = 5;
  return options;
}

/// The paper's T_update.
Welcome ten_seconds() {
  Welcome welcome;
  welcome.update_interval_seconds = 10;
  return welcome;
}

Client make_client(ClientOptions options = five_seconds()) {
  return Client(toy::initial_state(), options);
}

template <class T>
const T* find_action(const Actions& actions) {
  for (const auto& action : actions) {
    if (const auto* found = std::get_if<T>(&action)) return found;
  }
  return nullptr;
}

template <class T>
std::vector<T> find_messages(const Actions& actions) {
  std::vector<T> found;
  for (const auto& action : actions) {
    const auto* send = std::get_if<SendToServer>(&action);
    if (send == nullptr) continue;
    if (const auto* message = std::get_if<T>(&send->message)) found.push_back(*message);
  }
  return found;
}

void connect(Client& client, double now = 0, Welcome welcome = ten_seconds()) {
  if (find_action<ConnectToServer>(client.on_start(now)) == nullptr) {
    client.on_time(now);  // it was waiting for its next attempt
  }
  client.on_connected(now);
  client.on_message(welcome, now);
  REQUIRE(client.streaming());
}

Actions frame(Client& client, double capture_seconds, double now) {
  return client.on_frame(capture_seconds, Handle::make(capture_seconds), now);
}

std::vector<std::byte> bitstream() {
  return std::vector<std::byte>(7);
}

/// An update from what the server thinks that the device holds.
Update update_from(ModelState& held, float value) {
  const std::vector<float> trained(toy::dimension, value);
  return {encode_update(held, trained, CoordinateSet::from_sorted(toy::dimension, {0, 2}))};
}

}  // namespace

TEST_CASE("options and state are checked") {
  ClientOptions options = five_seconds();
  CHECK_THROWS_AS(Client(ModelState(), options), Error);
  options.device_id.clear();
  CHECK_THROWS_AS(Client(toy::initial_state(), options), Error);
}

TEST_CASE("it connects, says Hello and takes the server's rates") {
  ClientOptions options = five_seconds();
  options.device_id = "camera";
  options.token = "secret";
  options.student_fingerprint = 7;
  Client client = make_client(options);
  CHECK_FALSE(client.next_wake_seconds());
  REQUIRE(find_action<ConnectToServer>(client.on_start(0)) != nullptr);
  CHECK(client.on_start(0).empty());
  const auto hellos = find_messages<Hello>(client.on_connected(1));
  REQUIRE(hellos.size() == 1);
  CHECK(hellos[0].version == protocol_version);
  CHECK(hellos[0].device_id == "camera");
  CHECK(hellos[0].token == "secret");
  CHECK(hellos[0].manifest_digest == toy::manifest()->digest());
  CHECK(hellos[0].student_fingerprint == 7);
  CHECK(hellos[0].held == toy::initial_state().version());
  CHECK_FALSE(client.streaming());
  CHECK_THROWS_AS(client.on_connected(1), Error);
  CHECK(client.on_message(ten_seconds(), 2).empty());
  CHECK(client.streaming());
  CHECK_THROWS_AS(client.on_connected(2), Error);
}

TEST_CASE("the first batch leaves early, the next ones every T_update, on a grid") {
  ClientOptions options = five_seconds();
  options.first_batch_seconds = 5;
  Client client = make_client(options);
  connect(client, 0);
  std::vector<double> sent;
  std::vector<double> captured;
  for (int i = 0; i <= 1000; ++i) {
    const double t = 0.1 * i;
    Actions actions = frame(client, t, t);
    const auto more = client.on_time(t + 0.05);
    CHECK(more.empty());
    const auto* encode = find_action<EncodeBuffer>(actions);
    if (encode == nullptr) continue;
    sent.push_back(t);
    CHECK(encode->batch_id == sent.size());
    CHECK(encode->frames.size() == encode->capture_seconds.size());
    CHECK(encode->period_seconds == doctest::Approx(static_cast<double>(encode->frames.size())));
    captured.insert(captured.end(), encode->capture_seconds.begin(), encode->capture_seconds.end());
    const Actions encoded = client.on_encoded(encode->batch_id, bitstream(), t + 0.06);
    const auto batches = find_messages<FrameBatch>(encoded);
    REQUIRE(batches.size() == 1);
    CHECK(batches[0].batch_id == encode->batch_id);
    CHECK(batches[0].capture_seconds == encode->capture_seconds);
    CHECK(batches[0].bitstream == bitstream());
  }
  REQUIRE(sent.size() == 10);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    CHECK(sent[i] == doctest::Approx(5 + 10 * static_cast<double>(i)).epsilon(0.03));
  }
  for (std::size_t i = 0; i < captured.size(); ++i) {
    CHECK(captured[i] == doctest::Approx(static_cast<double>(i)).epsilon(0.2));
  }
  CHECK(captured.size() >= 95);
}

TEST_CASE("a buffer that is full leaves before T_update has passed") {
  Client client = make_client();
  Welcome welcome = ten_seconds();
  welcome.update_interval_seconds = 300;
  connect(client, 0, welcome);
  std::size_t batches = 0, frames = 0;
  for (int second = 0; second < 600; ++second) {
    const Actions actions = frame(client, second, second);
    const auto* encode = find_action<EncodeBuffer>(actions);
    if (encode == nullptr) continue;
    ++batches;
    frames += encode->frames.size();
    CHECK(encode->frames.size() <= client.options().max_frames_per_batch);
    client.on_encoded(encode->batch_id, bitstream(), second);
  }
  CHECK(client.counters().frames_sampled == 600);
  CHECK(client.counters().frames_dropped == 0);
  CHECK(frames + client.buffered_frames() == 600);
  CHECK(batches <= 600 / 64 + 3);
}

TEST_CASE("a flush that is due wakes the client without a frame") {
  Client client = make_client();
  connect(client, 0);
  CHECK_FALSE(client.next_wake_seconds());  // nothing to send
  frame(client, 0, 0);
  CHECK(client.next_wake_seconds() == 5);
  CHECK(client.on_time(4.9).empty());
  const Actions actions = client.on_time(5);
  REQUIRE(find_action<EncodeBuffer>(actions) != nullptr);
  CHECK_FALSE(client.next_wake_seconds());
  frame(client, 6, 6);
  CHECK_FALSE(client.next_wake_seconds());  // the encoder is busy
  client.on_encoded(1, bitstream(), 7);
  CHECK(client.next_wake_seconds() == 15);
}

TEST_CASE("one buffer is encoded at a time, and a late encoder loses nothing") {
  ClientOptions options = five_seconds();
  options.max_frames_per_batch = 4;
  Client client = make_client(options);
  connect(client, 0);
  for (int t = 0; t <= 30; ++t) {
    const Actions actions = frame(client, t, t);
    CHECK((find_action<EncodeBuffer>(actions) != nullptr) == (t == 5));
  }
  std::uint64_t id = 1;
  std::size_t frames = 4;
  for (;;) {
    const Actions actions = client.on_encoded(id, bitstream(), 31);
    const auto* next = find_action<EncodeBuffer>(actions);
    if (next == nullptr) break;
    id = next->batch_id;
    CHECK(next->frames.size() <= 4);
    CHECK(next->frames.front().as<double>() == static_cast<double>(frames));
    frames += next->frames.size();
  }
  CHECK(frames == 31);
  CHECK(client.counters().frames_dropped == 0);
  CHECK(client.counters().batches == 8);
}

TEST_CASE("a batch that cannot be encoded is given up, and the next one comes") {
  Client client = make_client();
  connect(client, 0);
  for (int t = 0; t < 6; ++t) frame(client, t, t);
  CHECK_THROWS_AS(client.on_encoded(2, bitstream(), 6), Error);
  CHECK_THROWS_AS(client.on_encode_failed(0, 6), Error);
  CHECK(find_messages<FrameBatch>(client.on_encode_failed(1, 6)).empty());
  CHECK_THROWS_AS(client.on_encoded(1, bitstream(), 6), Error);
  CHECK(client.counters().batches_failed == 1);
  for (int t = 6; t < 16; ++t) frame(client, t, t);
  CHECK(find_messages<FrameBatch>(client.on_encoded(2, {}, 16))
            .empty());  // no bitstream is a failure
  CHECK(client.counters().batches_failed == 2);
  CHECK(client.streaming());
}

TEST_CASE("odd capture times are ignored, a timeline that jumps back begins a new batch") {
  Client client = make_client();
  connect(client, 0);
  // The last: microseconds since 1970, which no server takes.
  for (const double odd : {not_a_number, infinity, -infinity, -0.5, 1.7e15}) {
    CHECK_FALSE(client.wants_frame(odd));
    CHECK(frame(client, odd, 0).empty());
  }
  CHECK(client.counters().frames_invalid == 5);
  CHECK(client.buffered_frames() == 0);
  for (int t = 100; t < 103; ++t) frame(client, t, 0);
  for (int t = 0; t < 3; ++t) {
    CHECK(client.wants_frame(t));
    frame(client, t, 1);
  }
  const Actions first = client.on_time(5);
  REQUIRE(find_action<EncodeBuffer>(first) != nullptr);
  CHECK(find_action<EncodeBuffer>(first)->capture_seconds == std::vector<double>{100, 101, 102});
  const Actions second = client.on_encoded(1, bitstream(), 5);
  REQUIRE(find_action<EncodeBuffer>(second) != nullptr);
  CHECK(find_action<EncodeBuffer>(second)->capture_seconds == std::vector<double>{0, 1, 2});
}

TEST_CASE("a batch spans no more than servers take, however long the camera was away") {
  Client client = make_client();
  connect(client, 0);
  for (const double t : {0.0, 1.0, 86400.0, 86401.0, 90000.0}) frame(client, t, 0);
  const Actions first = client.on_time(5);
  REQUIRE(find_action<EncodeBuffer>(first) != nullptr);
  CHECK(find_action<EncodeBuffer>(first)->capture_seconds == std::vector<double>{0, 1, 86400});
  const Actions second = client.on_encoded(1, bitstream(), 5);
  REQUIRE(find_action<EncodeBuffer>(second) != nullptr);
  CHECK(find_action<EncodeBuffer>(second)->capture_seconds == std::vector<double>{86401, 90000});
}

TEST_CASE("Welcome and Control set the rates; rates beyond reason end the connection") {
  Client client = make_client();
  Welcome welcome = ten_seconds();
  welcome.sampling_rate_fps = 0.5;
  welcome.update_interval_seconds = 20;
  connect(client, 0, welcome);
  CHECK(client.sampling_rate_fps() == 0.5);
  CHECK(client.update_interval_seconds() == 20);
  frame(client, 0, 0);
  client.on_message(Control{0.25, 15}, 1);
  CHECK(client.sampling_rate_fps() == 0.25);
  CHECK(client.update_interval_seconds() == 15);
  CHECK(client.next_wake_seconds() == 5);  // the first batch's delay stays
  CHECK_FALSE(client.wants_frame(3.9));
  CHECK(client.wants_frame(4));
  const auto encoded_at = client.on_time(5);
  REQUIRE(find_action<EncodeBuffer>(encoded_at) != nullptr);
  client.on_encoded(1, bitstream(), 5);
  frame(client, 4, 5);
  CHECK(client.next_wake_seconds() == 20);
  client.on_message(Control{0.25, 30}, 6);
  CHECK(client.next_wake_seconds() == 35);

  const std::vector<Control> unreasonable = {
      {0, 10}, {-1, 10}, {not_a_number, 10}, {infinity, 10}, {61, 10}, {1e-4, 10}, {1e-310, 10},
      {1, 0},  {1, -5},  {1, not_a_number},  {1, infinity},  {1, 1e6}};
  for (const Control& control : unreasonable) {
    Client other = make_client();
    connect(other, 0);
    CHECK(find_action<DisconnectServer>(other.on_message(control, 1)) != nullptr);
    CHECK_FALSE(other.streaming());
    CHECK(other.sampling_rate_fps() == 1);
    CHECK(other.update_interval_seconds() == 10);
  }
}

TEST_CASE("an update is applied, published, saved and acknowledged, in this order") {
  for (const AckPolicy policy : {AckPolicy::published, AckPolicy::applied}) {
    ClientOptions options = five_seconds();
    options.ack_policy = policy;
    Client client = make_client(options);
    connect(client, 0);
    ModelState server = toy::initial_state();
    const Actions actions = client.on_message(update_from(server, 3), 1);
    CHECK(client.held().version() == server.version());
    CHECK(client.held().values()[2] == 3);
    REQUIRE(actions.size() >= 2);
    REQUIRE(std::holds_alternative<Publish>(actions[0]));
    CHECK(std::get<Publish>(actions[0]).version == server.version());
    REQUIRE(std::holds_alternative<Persist>(actions[1]));
    CHECK(std::get<Persist>(actions[1]).version == server.version());
    const bool at_once = policy == AckPolicy::applied;
    CHECK(find_messages<Ack>(actions).size() == (at_once ? 1 : 0));
    const auto acks = find_messages<Ack>(client.on_published(server.version(), 2));
    CHECK(acks.size() == (at_once ? 0 : 1));
    if (!acks.empty()) CHECK(acks[0].held == server.version());
  }
}

TEST_CASE("only what is held is acknowledged") {
  Client client = make_client();
  connect(client, 0);
  ModelState server = toy::initial_state();
  client.on_message(update_from(server, 1), 1);
  const ModelVersion first = server.version();
  client.on_message(update_from(server, 2), 1);
  CHECK(client.on_published(first, 2).empty());  // the newer one will say it
  CHECK(client.on_published({99, 99}, 2).empty());
  CHECK(find_messages<Ack>(client.on_published(server.version(), 3)).size() == 1);
  client.on_disconnected("gone", 4);
  CHECK(client.on_published(server.version(), 4.01).empty());  // nobody is there to hear it
}

TEST_CASE("what does not check out is refused, and the model stays") {
  ModelState server = toy::initial_state();
  const Update good = update_from(server, 3);
  ModelState stranger(toy::manifest(), std::vector<float>(toy::dimension, -8));
  std::vector<std::pair<ServerMessage, ErrorCode>> bad;
  Update flipped = good;
  damage(flipped.bytes, flipped.bytes.size() - 1);
  bad.emplace_back(flipped, ErrorCode::digest_mismatch);
  bad.emplace_back(Update{}, ErrorCode::malformed_data);
  bad.emplace_back(Snapshot{}, ErrorCode::malformed_data);
  bad.emplace_back(update_from(stranger, 1), ErrorCode::base_version_mismatch);
  for (const auto& [message, code] : bad) {
    Client client = make_client();
    connect(client, 0);
    const Actions actions = client.on_message(message, 1);
    const auto refusals = find_messages<Refusal>(actions);
    REQUIRE(refusals.size() == 1);
    CHECK(refusals[0].held == toy::initial_state().version());
    CHECK(refusals[0].message.size() <= max_text_bytes);
    CHECK_FALSE(refusals[0].message.empty());
    // Which check a flipped bit fails first is the format's affair.
    if (code != ErrorCode::digest_mismatch) CHECK(refusals[0].code == code);
    CHECK(actions.size() == 1);
    CHECK(client.held().version() == toy::initial_state().version());
    CHECK(client.streaming());
    const Actions healed = client.on_message(Snapshot{encode_snapshot(server)}, 2);
    CHECK(find_action<Publish>(healed) != nullptr);
    CHECK(client.held().version() == server.version());
    CHECK(client.counters().snapshots == 1);
  }
}

TEST_CASE("a server that sends nothing usable is left") {
  ClientOptions options = five_seconds();
  options.max_consecutive_refusals = 3;
  Client client = make_client(options);
  connect(client, 0);
  CHECK(find_action<DisconnectServer>(client.on_message(Update{}, 1)) == nullptr);
  CHECK(find_action<DisconnectServer>(client.on_message(Update{}, 1)) == nullptr);
  CHECK(find_action<DisconnectServer>(client.on_message(Update{}, 1)) != nullptr);
  CHECK(client.on_message(Update{}, 1).empty());  // over
  CHECK(client.counters().refusals == 3);
}

TEST_CASE("a server that breaks the protocol is left, and tried again") {
  const std::vector<ServerMessage> not_first = {Control{}, Update{}, Snapshot{}, Bye{},
                                                Fault{ErrorCode::limit_exceeded, "full"}};
  for (const ServerMessage& message : not_first) {
    Client client = make_client();
    client.on_start(0);
    client.on_connected(0);
    CHECK(find_action<DisconnectServer>(client.on_message(message, 1)) != nullptr);
    CHECK_FALSE(client.streaming());
    client.on_disconnected("closed", 1);
    REQUIRE(client.next_wake_seconds());
    CHECK(find_action<ConnectToServer>(client.on_time(*client.next_wake_seconds())) != nullptr);
  }
  Client client = make_client();
  connect(client, 0);
  CHECK(find_action<DisconnectServer>(client.on_message(ten_seconds(), 1)) != nullptr);

  Welcome greedy;
  greedy.last_batch_id = std::numeric_limits<std::uint64_t>::max();
  Client other = make_client();
  other.on_start(0);
  other.on_connected(0);
  CHECK(find_action<DisconnectServer>(other.on_message(greedy, 1)) != nullptr);
}

TEST_CASE("no Welcome in time ends the connection") {
  Client client = make_client();
  client.on_start(0);
  client.on_connected(2);
  CHECK(client.next_wake_seconds() == 32);
  CHECK(client.on_time(31).empty());
  CHECK(find_action<DisconnectServer>(client.on_time(32)) != nullptr);
  CHECK(client.on_time(40).empty());
}

TEST_CASE("faults that time does not cure are retried at the slowest pace") {
  for (const ErrorCode code :
       {ErrorCode::unauthorized, ErrorCode::unsupported_version, ErrorCode::manifest_mismatch}) {
    Client client = make_client();
    client.on_start(0);
    client.on_connected(0);
    client.on_message(Fault{code, "go away"}, 0);
    client.on_disconnected("closed", 0);
    CHECK(*client.next_wake_seconds() >= 15);
    CHECK(client.last_error() == std::string("the server: ") + to_string(code) + ": go away");
  }
  Client client = make_client();
  client.on_start(0);
  client.on_connected(0);
  Welcome future;
  future.version = 2;
  CHECK(find_action<DisconnectServer>(client.on_message(future, 0)) != nullptr);
  client.on_disconnected("closed", 0);
  CHECK(*client.next_wake_seconds() >= 15);
}

TEST_CASE("a connection that lasted makes the next delay short again") {
  Client client = make_client();
  client.on_start(0);
  double now = 0;
  for (int i = 0; i < 12; ++i) {
    client.on_disconnected("unreachable", now);
    now = *client.next_wake_seconds();
    CHECK(find_action<ConnectToServer>(client.on_time(now)) != nullptr);
  }
  client.on_connected(now);
  client.on_message(ten_seconds(), now);
  client.on_disconnected("at once", now);  // not a success
  CHECK(*client.next_wake_seconds() - now >= 15);
  now = *client.next_wake_seconds();
  client.on_time(now);
  client.on_connected(now);
  client.on_message(ten_seconds(), now);
  now += 60;
  client.on_disconnected("after a minute", now);
  CHECK(*client.next_wake_seconds() - now < 0.5);
  CHECK(client.counters().disconnections == 14);
  CHECK(client.counters().connections == 2);
}

TEST_CASE("sent batches are kept until the server has them") {
  ClientOptions options = five_seconds();
  options.max_kept_batches = 2;
  Client client = make_client(options);
  connect(client, 0);
  double t = 0;
  const auto one_batch = [&](std::uint64_t id) {
    for (int i = 0; i < 11; ++i, ++t) frame(client, t, t);
    client.on_encoded(id, bitstream(), t);
  };
  for (std::uint64_t id = 1; id <= 4; ++id) one_batch(id);
  const auto resumed = [&](std::uint64_t last_batch_id) {
    client.on_disconnected("cut", t);
    t = *client.next_wake_seconds();
    client.on_time(t);
    client.on_connected(t);
    Welcome welcome = ten_seconds();
    welcome.last_batch_id = last_batch_id;
    std::vector<std::uint64_t> ids;
    for (const FrameBatch& batch : find_messages<FrameBatch>(client.on_message(welcome, t))) {
      ids.push_back(batch.batch_id);
    }
    return ids;
  };
  CHECK(resumed(0) == std::vector<std::uint64_t>{3, 4});  // a server that knows nothing
  CHECK(resumed(3) == std::vector<std::uint64_t>{4});
  CHECK(resumed(4).empty());
  CHECK(resumed(0).empty());  // known to have arrived, so forgotten
  CHECK(client.counters().batches == 4);
  CHECK(client.counters().batches_sent_again == 3);
}

TEST_CASE("a batch that the server faults is not sent again") {
  const auto sent_again_after = [](const ServerMessage& last_words, bool instead_of_welcome) {
    Client client = make_client();
    connect(client, 0);
    double t = 0;
    for (; t < 6; ++t) frame(client, t, t);
    REQUIRE(find_messages<FrameBatch>(client.on_encoded(1, bitstream(), t)).size() == 1);
    if (instead_of_welcome) {
      client.on_disconnected("cut", t);
      t = *client.next_wake_seconds();
      client.on_time(t);
      client.on_connected(t);
    }
    client.on_message(last_words, t);
    client.on_disconnected("closed", t);
    t = *client.next_wake_seconds();
    client.on_time(t);
    client.on_connected(t);
    const auto again = find_messages<FrameBatch>(client.on_message(ten_seconds(), t));
    CHECK(client.counters().batches_refused + again.size() == 1);
    return again.size();
  };
  CHECK(sent_again_after(Fault{ErrorCode::limit_exceeded, "too many frames"}, false) == 0);
  CHECK(sent_again_after(Fault{ErrorCode::malformed_data, "no H.264"}, false) == 0);
  CHECK(sent_again_after(Fault{ErrorCode::unavailable, "shutting down"}, false) == 1);
  CHECK(sent_again_after(Bye{"restarting"}, false) == 1);
  // In answer to Hello it is about the device (the server is full), not about a batch.
  CHECK(sent_again_after(Fault{ErrorCode::limit_exceeded, "too many devices"}, true) == 1);
}

TEST_CASE("a batch that no server has seen outlives a fault") {
  Client client = make_client();
  connect(client, 0);
  for (int t = 0; t < 6; ++t) frame(client, t, t);
  client.on_message(Fault{ErrorCode::malformed_data, "an Ack of nonsense"}, 6);
  client.on_encoded(1, bitstream(), 6);
  client.on_disconnected("closed", 6);
  const double t = *client.next_wake_seconds();
  client.on_time(t);
  client.on_connected(t);
  CHECK(find_messages<FrameBatch>(client.on_message(ten_seconds(), t)).size() == 1);
  CHECK(client.counters().batches_refused == 0);
}

TEST_CASE("a restarted device counts its batches on from the server's") {
  Client client = make_client();
  Welcome welcome = ten_seconds();
  welcome.last_batch_id = 41;
  connect(client, 0, welcome);
  for (int t = 0; t < 5; ++t) frame(client, t, t);
  const Actions actions = client.on_time(5);
  REQUIRE(find_action<EncodeBuffer>(actions) != nullptr);
  CHECK(find_action<EncodeBuffer>(actions)->batch_id == 42);
  // Behind the last id there is none, and every server would refuse it.
  Client last = make_client();
  last.on_start(0);
  last.on_connected(0);
  welcome.last_batch_id = max_batch_id;
  CHECK(find_action<DisconnectServer>(last.on_message(welcome, 0)) != nullptr);
  Client before = make_client();
  welcome.last_batch_id = max_batch_id - 1;
  connect(before, 0, welcome);
  CHECK(before.streaming());
}

TEST_CASE("a batch that was being encoded when the link broke is sent on return") {
  Client client = make_client();
  connect(client, 0);
  for (int t = 0; t < 6; ++t) frame(client, t, t);
  client.on_disconnected("cut", 6);
  CHECK(find_messages<FrameBatch>(client.on_encoded(1, bitstream(), 6.1)).empty());
  CHECK(client.counters().batches == 0);
  const double t = *client.next_wake_seconds();
  client.on_time(t);
  client.on_connected(t);
  CHECK(find_messages<FrameBatch>(client.on_message(ten_seconds(), t)).size() == 1);
  CHECK(client.counters().batches == 1);
}

TEST_CASE("stopping says Bye and stays away; starting comes back") {
  Client client = make_client();
  CHECK(client.on_stop("early", 0).empty());
  connect(client, 1);
  for (int t = 0; t < 6; ++t) frame(client, t, 1 + t);
  const Actions actions = client.on_stop("enough", 8);
  const auto byes = find_messages<Bye>(actions);
  REQUIRE(byes.size() == 1);
  CHECK(byes[0].reason == "enough");
  CHECK(find_action<DisconnectServer>(actions) == nullptr);  // the server closes
  CHECK(client.buffered_frames() == 0);
  CHECK(client.on_stop("again", 8).empty());
  CHECK_FALSE(client.stopped());
  CHECK(client.on_message(Control{0.5, 10}, 8).empty());
  CHECK(client.on_message(Bye{}, 8).empty());
  CHECK(client.on_disconnected("closed", 9).empty());
  CHECK(client.stopped());
  CHECK_FALSE(client.next_wake_seconds());
  CHECK_FALSE(client.wants_frame(100));
  CHECK(frame(client, 100, 10).empty());
  CHECK(client.buffered_frames() == 0);
  CHECK(client.on_time(1000).empty());
  CHECK(find_messages<FrameBatch>(client.on_encoded(1, bitstream(), 1000)).empty());
  connect(client, 1001);

  // What was on its way when it left is still taken over, or else left out.
  ModelState server = toy::initial_state();
  Client leaving = make_client();
  connect(leaving, 0);
  leaving.on_stop("", 1);
  const Actions taken = leaving.on_message(update_from(server, 4), 2);
  CHECK(find_action<Publish>(taken) != nullptr);
  CHECK(find_action<Persist>(taken) != nullptr);
  CHECK(leaving.held().version() == server.version());
  CHECK(leaving.on_published(server.version(), 2).empty());
  CHECK(leaving.on_message(Update{}, 3).empty());
  CHECK(leaving.counters().refusals == 1);

  // A server that does not close is left.
  CHECK(leaving.next_wake_seconds() == 6);
  CHECK(find_action<DisconnectServer>(leaving.on_time(6)) != nullptr);
  CHECK_FALSE(leaving.stopped());  // the driver still is to close it
  CHECK(leaving.on_start(6).empty());
  CHECK(leaving.on_disconnected("closed", 7).empty());
  CHECK(leaving.stopped());

  // A connection that opens after it was stopped is closed again.
  Client late = make_client();
  late.on_start(0);
  late.on_stop("no", 0);
  CHECK(find_action<DisconnectServer>(late.on_connected(1)) != nullptr);
  CHECK_FALSE(late.streaming());
  CHECK_FALSE(late.stopped());
  CHECK(late.on_disconnected("closed", 1).empty());
  CHECK(late.stopped());
}

TEST_CASE(
    "a client that was stopped has ended when its connection has, and begins anew from there") {
  const auto begins_anew = [](Client& client, double now) {
    CHECK_FALSE(client.stopped());
    CHECK_FALSE(client.wants_frame(1000));
    CHECK_FALSE(client.next_wake_seconds());
    CHECK(client.on_start(now).empty());  // not yet
    CHECK(client.on_stop("again", now).empty());
    CHECK(client.on_disconnected("as told", now).empty());
    REQUIRE(client.stopped());
    // What answers the old connection is not taken for an answer to the new one.
    connect(client, now);
    CHECK(client.streaming());
  };
  Client connecting = make_client();
  connecting.on_start(0);
  CHECK(find_action<DisconnectServer>(connecting.on_stop("no", 0)) != nullptr);
  begins_anew(connecting, 1);
  CHECK(connecting.counters().disconnections == 1);

  Client closing = make_client();
  closing.on_start(0);
  closing.on_connected(0);
  CHECK(find_action<DisconnectServer>(closing.on_message(Control{}, 0)) != nullptr);
  CHECK(closing.on_stop("enough", 0).empty());  // it is being closed already
  CHECK(closing.last_error().find("not Welcome") != std::string::npos);
  begins_anew(closing, 1);

  Client waiting = make_client();
  waiting.on_start(0);
  waiting.on_disconnected("refused", 0);
  CHECK(waiting.on_stop("enough", 0).empty());
  CHECK(waiting.stopped());
}

TEST_CASE("time that is no number is the driver's mistake; time that steps back stands still") {
  Client client = make_client();
  CHECK_THROWS_AS(client.on_start(not_a_number), Error);
  CHECK_FALSE(client.next_wake_seconds());
  connect(client, 100);
  CHECK_THROWS_AS(client.on_time(infinity), Error);
  CHECK_THROWS_AS(frame(client, 0, not_a_number), Error);
  CHECK(client.buffered_frames() == 0);
  frame(client, 0, 50);
  CHECK(client.next_wake_seconds() == 105);
}

TEST_CASE("no sequence of events breaks a client") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    ClientOptions options = five_seconds();
    options.max_buffered_frames = 1 + random.below(8);
    options.max_frames_per_batch = 1 + random.below(4);
    options.max_kept_batches = random.below(3);
    options.max_consecutive_refusals = 3;
    options.seed = seed;
    Client client = make_client(options);
    ModelState server = toy::initial_state();
    bool connecting = false;
    std::optional<std::uint64_t> encoding;
    double now = 0;
    for (int step = 0; step < 400; ++step) {
      now += random.uniform();
      const ModelVersion held = client.held().version();
      Actions actions;
      bool may_move = false;
      switch (random.below(14)) {
        case 0:
          actions = client.on_start(now);
          break;
        case 1:
          if (connecting) actions = client.on_connected(now);
          connecting = false;
          break;
        case 2:
          if (random.below(3) != 0) break;
          actions = client.on_disconnected("cut", now);
          connecting = false;
          break;
        case 3: {
          Welcome welcome = ten_seconds();
          welcome.sampling_rate_fps = random.below(9) == 0 ? 1e9 * random.uniform() : 1;
          welcome.last_batch_id = random.below(20) == 0 ? random.next() : random.below(5);
          actions = client.on_message(welcome, now);
          break;
        }
        case 4: {
          may_move = true;
          if (!(server.version() == client.held().version())) server = client.held();
          Update update = update_from(server, static_cast<float>(random.uniform()));
          if (random.below(3) == 0) {
            damage(update.bytes, random.below(update.bytes.size()), std::byte{16});
          }
          actions = client.on_message(update, now);
          break;
        }
        case 5: {
          may_move = true;
          Snapshot snapshot{encode_snapshot(server)};
          if (random.below(2) == 0) resize(snapshot.bytes, random.below(snapshot.bytes.size()));
          actions = client.on_message(snapshot, now);
          break;
        }
        case 6:
          actions = client.on_message(Control{2 * random.uniform(), 12 * random.uniform()}, now);
          break;
        case 7:
          if (random.below(4) != 0) break;
          actions = client.on_message(Fault{ErrorCode::unauthorized, "x"}, now);
          break;
        case 8:
          if (!encoding) break;
          actions = random.below(3) == 0 ? client.on_encode_failed(*encoding, now)
                                         : client.on_encoded(*encoding, bitstream(), now);
          encoding.reset();
          break;
        case 9:
          actions = client.on_published(server.version(), now);
          break;
        case 10:
          if (random.below(9) != 0) break;
          actions = client.on_stop("x", now);  // the connection may open all the same
          break;
        case 11:
          actions = client.on_time(now);
          break;
        default:
          actions = frame(client, random.below(9) == 0 ? 1e6 * random.uniform() - 1e5 : now, now);
          break;
      }
      for (const auto& action : actions) {
        if (std::holds_alternative<ConnectToServer>(action)) connecting = true;
        if (const auto* encode = std::get_if<EncodeBuffer>(&action)) {
          REQUIRE_FALSE(encoding);
          REQUIRE(!encode->frames.empty());
          REQUIRE(encode->frames.size() <= options.max_frames_per_batch);
          for (std::size_t i = 1; i < encode->capture_seconds.size(); ++i) {
            REQUIRE(encode->capture_seconds[i] > encode->capture_seconds[i - 1]);
          }
          encoding = encode->batch_id;
        }
      }
      if (!may_move) REQUIRE(client.held().version() == held);
      REQUIRE(client.held().version().digest == parameter_digest(client.held().values()));
      REQUIRE(client.buffered_frames() <= options.max_buffered_frames);
    }
  }
}

TEST_CASE("after a scene change the next frame leaves at once, and more are sampled for a while") {
  ClientOptions options;
  options.scene_change_fps = 4;
  options.scene_change_seconds = 2;
  Client client = make_client(options);
  Welcome welcome;
  welcome.sampling_rate_fps = 0.5;
  welcome.update_interval_seconds = 20;
  client.on_scene_change(0);  // nobody is there to see it
  connect(client, 0, welcome);
  CHECK(client.counters().scene_changes == 0);
  const Actions begun = frame(client, 0, 0);
  REQUIRE(find_action<EncodeBuffer>(begun) != nullptr);
  client.on_encoded(find_action<EncodeBuffer>(begun)->batch_id, bitstream(), 0);
  for (double t = 0.25; t < 5; t += 0.25) {
    CHECK(find_action<EncodeBuffer>(frame(client, t, t)) == nullptr);
  }
  CHECK(client.buffered_frames() == 2);  // of 2 s and 4 s

  CHECK(client.on_scene_change(5.1).empty());
  const Actions actions = frame(client, 5.25, 5.25);
  const auto* urgent = find_action<EncodeBuffer>(actions);
  REQUIRE(urgent != nullptr);
  CHECK(urgent->capture_seconds == std::vector<double>{2, 4, 5.25});
  client.on_encoded(urgent->batch_id, bitstream(), 5.3);
  CHECK(client.sampling_rate_fps() == 0.5);  // as the server told
  client.on_scene_change(5.5);               // the same one
  CHECK(client.counters().scene_changes == 1);
  for (double t = 5.5; t < 12; t += 0.25) frame(client, t, t);
  // Four a second until 7.1 s, then again one every two seconds.
  CHECK(client.counters().frames_sampled == 3 + 8 + 2);
  // The next buffer waits for its T_update.
  CHECK(client.next_wake_seconds() == 25.25);

  options.scene_change_seconds = 0;
  Client deaf = make_client(options);
  connect(deaf, 0, welcome);
  deaf.on_scene_change(1);
  CHECK(deaf.counters().scene_changes == 0);
}

namespace {

/// A model whose snapshot has many parts.
ModelState large_state(bool is_trained) {
  constexpr std::size_t dimension = 60000;
  static const auto manifest =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{"weight", {dimension}}});
  Random random(1);
  std::vector<float> values(dimension);
  for (float& value : values) value = is_trained ? static_cast<float>(random.uniform()) : 0.5F;
  return ModelState(manifest, values);
}

/// Says Hello to a feed; what the feed sends.
ModelFeed::Resumption greet(Client& client, ModelFeed& feed, double now) {
  if (find_action<ConnectToServer>(client.on_start(now)) == nullptr) client.on_time(now);
  const Hello hello = find_messages<Hello>(client.on_connected(now)).at(0);
  REQUIRE(hello.snapshot);
  ModelFeed::Resumption resumption = feed.connect(hello.held, now, hello.snapshot);
  Welcome welcome = ten_seconds();
  welcome.resume = resumption.resume;
  client.on_message(welcome, now);
  REQUIRE(client.streaming());
  return resumption;
}

}  // namespace

TEST_CASE("a snapshot arrives over a link that breaks off before the end of it") {
  constexpr std::size_t carried_bytes = 70000;
  ModelFeed feed(large_state(true));
  Client client(large_state(false), five_seconds());
  std::size_t connections = 0, parts_bytes = 0;
  double now = 0;
  while (client.held().version() != feed.held().version()) {
    REQUIRE(++connections < 10);
    now += 100;
    std::size_t carried = 0;
    for (const ServerMessage& message : greet(client, feed, now).messages) {
      if (const auto* part = std::get_if<SnapshotPart>(&message)) {
        if ((carried += part->bytes.size()) > carried_bytes) break;
        parts_bytes += part->bytes.size();
      }
      client.on_message(message, now);
    }
    client.on_disconnected("lost", now);
    feed.disconnect();
    if (connections == 2) {  // the server goes on meanwhile
      std::vector<float> trained(feed.held().values().begin(), feed.held().values().end());
      trained[7] += 1;
      feed.publish(trained, CoordinateSet::from_sorted(trained.size(), {7}), now);
    }
  }
  CHECK(connections >= 3);
  CHECK(client.counters().snapshots == 1);
  CHECK(client.counters().updates == 1);
  CHECK(client.counters().snapshot_bytes == parts_bytes);  // nothing came twice
  CHECK(greet(client, feed, now + 100).resume == Resume::in_step);
}

TEST_CASE("a snapshot that the server has no more begins anew") {
  Client client(large_state(false), five_seconds());
  ModelFeed first(large_state(true)), second(large_state(true), {.snapshot_zstd_level = 19});
  std::vector<float> trained(second.held().values().begin(), second.held().values().end());
  trained[7] += 1;
  second.publish(trained, CoordinateSet::from_sorted(trained.size(), {7}), 0);
  client.on_message(greet(client, first, 0).messages.at(0), 0);
  client.on_disconnected("lost", 0);
  const auto resumption = greet(client, second, 100);
  CHECK(std::get<SnapshotPart>(resumption.messages.at(0)).offset_bytes == 0);
  for (const ServerMessage& message : resumption.messages) client.on_message(message, 100);
  CHECK(client.held().version() == second.held().version());
}

TEST_CASE("parts that are no snapshot end the connection or are refused, and take no memory") {
  const ModelState initial = large_state(false);
  const Bytes whole(encode_snapshot(large_state(true)));
  const auto part = [&](std::size_t offset, std::size_t count) {
    return SnapshotPart{byte_digest(whole.span()), whole.size(), offset, whole.slice(offset, count)};
  };
  std::vector<SnapshotPart> bad{part(5, 10), part(100, 10), part(0, 10)};
  bad[0].size_bytes = std::uint64_t{1} << 60;
  bad[2].size_bytes = 5;
  for (const SnapshotPart& message : bad) {
    Client client(initial, five_seconds());
    connect(client);
    CHECK(find_action<DisconnectServer>(client.on_message(message, 1)) != nullptr);
    CHECK(client.held().version() == initial.version());
  }
  Client client(initial, five_seconds());
  connect(client);
  const std::size_t half = whole.size() / 2;
  CHECK(client.on_message(part(0, half), 1).empty());
  SnapshotPart rest = part(half, whole.size() - half);
  rest.bytes = std::vector<std::byte>(rest.bytes.size());
  CHECK(find_messages<Refusal>(client.on_message(rest, 1)).size() == 1);
  CHECK(client.held().version() == initial.version());
}

TEST_CASE("a busy server is left alone for as long as it says") {
  Client client = make_client();
  client.on_start(0);
  client.on_connected(0);
  client.on_message(Fault{ErrorCode::limit_exceeded, "full", 40}, 0);
  client.on_disconnected("closed", 0);
  REQUIRE(client.next_wake_seconds());
  CHECK(*client.next_wake_seconds() > 40);
  CHECK(*client.next_wake_seconds() < 42);
  client.on_time(50);
  client.on_connected(50);
  client.on_message(Fault{ErrorCode::unavailable, "no", 0}, 50);
  client.on_disconnected("closed", 50);
  CHECK(*client.next_wake_seconds() < 55);
}
