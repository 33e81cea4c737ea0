// The driver that docs/sessions.md shows, line by line, with a server that it can lose.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/frame.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/edge_client.hpp"
#include "session/toy.hpp"

namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

constexpr int frames = 400;
double now_seconds = 0;

/// A frame a second, as fast as it is asked for.
struct Video {
  int frame = 0;
  ams::FramePtr next() {
    if (frame == frames) return nullptr;
    now_seconds = frame;
    return std::make_shared<const ams::Frame>(ams::Frame{1, 1, {0, 0, 0}, double(frame++)});
  }
};

/// Answers every batch with an update; is cut at 150 s, and refuses connections for a while.
struct Link {
  ams::ModelState server = toy::initial_state();
  std::deque<ams::ServerMessage> answers;
  bool opened = false, cut = false;
  int connections = 0, batches = 0, confirmed = 0;

  bool open() {
    opened = now_seconds < 150 || now_seconds > 200;
    connections += opened;
    return opened;
  }
  bool is_open() {
    if (!cut && now_seconds >= 150) {
      cut = true;
      opened = false;
      answers.clear();
    }
    return opened;
  }
  void close() { opened = false; }
  void send(const ams::DeviceMessage& message) {
    if (std::holds_alternative<ams::Hello>(message)) answers.emplace_back(ams::Welcome{});
    if (std::holds_alternative<ams::Ack>(message)) ++confirmed;
    if (!std::holds_alternative<ams::FrameBatch>(message)) return;
    const std::vector<float> trained(toy::dimension, float(++batches));
    answers.emplace_back(ams::Update{ams::encode_update(
        server, trained, ams::CoordinateSet::from_sorted(toy::dimension, {0, 2}))});
  }
  std::optional<ams::ServerMessage> poll() {
    if (!is_open() || answers.empty()) return std::nullopt;
    ams::ServerMessage message = std::move(answers.front());
    answers.pop_front();
    return message;
  }
};

struct Encoder {
  std::vector<std::byte> encode(const ams::EncodeBuffer& buffer) const {
    return std::vector<std::byte>(buffer.frames.size());
  }
};

struct Model {
  float first = 0;
  int swaps = 0;
  float predict(const ams::Frame&) const { return first; }
  void load_and_swap(std::span<const float> values) {
    first = values[0];
    ++swaps;
  }
};

}  // namespace

TEST_CASE("the driver of the document streams, loses its server and comes back") {
  now_seconds = 0;
  ams::EdgeClient client(toy::initial_state(), {.device_id = "camera-7", .first_batch_seconds = 5});
  Link link;
  Video video;
  const Encoder encoder;
  Model model;
  int shown = 0, saved = 0;
  const auto clock = [] { return now_seconds; };
  const auto show = [&](float) { ++shown; };
  const auto write_file = [&](const std::string&, const std::vector<std::byte>&) { ++saved; };

  // client, link, video, encoder, model, show and clock() are there.
  std::deque<ams::EdgeAction> todo;
  const auto push = [&](ams::EdgeActions actions) {
    std::ranges::move(actions, std::back_inserter(todo));
  };
  const auto act = Overloaded{
      [&](const ams::ConnectToServer&) {
        push(link.open() ? client.on_connected(clock())
                         : client.on_disconnected("refused", clock()));
      },
      [&](const ams::SendToServer& send) { link.send(send.message); },
      [&](const ams::EncodeBuffer& buffer) {
        push(client.on_encoded(buffer.batch_id, encoder.encode(buffer), clock()));
      },
      [&](const ams::Publish& publish) {
        model.load_and_swap(client.held().values());
        push(client.on_published(publish.version, clock()));
      },
      [&](const ams::Persist&) { write_file("state", ams::encode_snapshot(client.held())); },
      [&](const ams::DisconnectServer& end) {
        link.close();
        push(client.on_disconnected(end.reason, clock()));
      }};
  // One event, and all that it leads to before the next one.
  const auto tell = [&](ams::EdgeActions actions) {
    for (push(std::move(actions)); !todo.empty(); todo.pop_front()) std::visit(act, todo.front());
  };
  tell(client.on_start(clock()));
  while (const ams::FramePtr frame = video.next()) {
    show(model.predict(*frame));
    tell(client.on_frame(frame->capture_seconds, frame, clock()));
    while (const auto message = link.poll()) tell(client.on_message(*message, clock()));
    if (!link.is_open()) tell(client.on_disconnected("lost", clock()));
    if (const auto wake = client.next_wake_seconds(); wake && *wake <= clock()) {
      tell(client.on_time(clock()));
    }
  }

  CHECK(shown == frames);
  CHECK(link.connections == 2);
  CHECK(link.batches >= 25);
  CHECK(model.swaps >= 25);
  CHECK(saved == model.swaps);
  CHECK(link.confirmed == model.swaps);
  CHECK(client.held().version() == link.server.version());
  CHECK(model.first == link.server.values()[0]);
}
