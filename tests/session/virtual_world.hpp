#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/edge/client.hpp"
#include "ams/server/session.hpp"
#include "toy.hpp"

/// One server and one device in virtual time, over a link with delay that can be cut, with
/// processes that can be killed and started again. Checks after every event what must always hold.
class VirtualWorld {
 public:
  using Session = ams::ServerSession<toy::Sample>;
  using Client = ams::EdgeClient<std::size_t>;

  struct Setup {
    ams::SessionOptions session;
    ams::ClientOptions client;
    double delay_seconds = 0.05;
    double encode_seconds = 0.4;
    double label_seconds = 0.6;
    double phase_seconds = 1.5;
    double publish_seconds = 0.02;
    double frame_rate_fps = 10;
    std::size_t scene_frames = 600;
    bool follow_statistics = true;
  };

  explicit VirtualWorld(Setup setup) : setup_(std::move(setup)), stored_(toy::initial_state()) {
    trainer_.follow_statistics = setup_.follow_statistics;
    start_server();
    start_edge();
    at(0, [this] { next_frame(); });
  }

  // ---- what happens from outside ----

  void at(double seconds, std::function<void()> event) {
    queue_.push({seconds, ++sequence_, std::move(event)});
  }

  void run_until(double seconds) {
    for (;;) {
      double next = seconds;
      int who = 0;
      const auto earlier = [&](std::optional<double> time, int candidate) {
        if (time && *time < next) {
          next = *time;
          who = candidate;
        }
      };
      if (!queue_.empty()) earlier(queue_.top().seconds, 1);
      if (session) earlier(session->next_wake_seconds(), 2);
      if (client) earlier(client->next_wake_seconds(), 3);
      now = std::max(now, next);
      if (who == 0) return;
      if (who == 1) {
        const auto event = queue_.top().event;
        queue_.pop();
        event();
      } else if (who == 2) {
        perform(session->on_time(now));
        REQUIRE(session->next_wake_seconds().value_or(now + 1) > now);  // or it would wake forever
      } else {
        perform(client->on_time(now));
        REQUIRE(client->next_wake_seconds().value_or(now + 1) > now);
      }
      check_invariants();
    }
  }

  void start_server() {
    ++server_life_;
    session.emplace(toy::initial_state(), setup_.session, toy::phi);
    session->on_time(now);
  }

  void kill_server() {
    session.reset();
    ++server_life_;
    cut();
  }

  /// From what Persist saved.
  void start_edge() {
    ++edge_life_;
    client.emplace(stored_, setup_.client);
    perform(client->on_start(now));
  }

  /// The device's program ends in good order.
  void stop_edge() { perform(client->on_stop("the end", now)); }

  void restart_client() { perform(client->on_start(now)); }

  void kill_edge() {
    client.reset();
    ++edge_life_;
    cut();
  }

  /// Everything on its way is lost; both ends notice at once.
  void cut() {
    if (connection_ == 0) return;
    connection_ = 0;
    if (client) perform(client->on_disconnected("cut", now));
    if (session) perform(session->on_disconnect(now));
  }

  // ---- what is looked at ----

  double now = 0;
  std::optional<Session> session;
  std::optional<Client> client;
  bool link_up = true;

  /// May change or swallow (false) what passes.
  std::function<bool(ams::ServerMessage&)> downlink = [](ams::ServerMessage&) { return true; };
  std::function<bool(ams::DeviceMessage&)> uplink = [](ams::DeviceMessage&) { return true; };

  std::vector<double> phase_begins;
  std::vector<double> published;
  std::vector<std::size_t> trained_frames_oldest;  // of each phase
  std::vector<ams::Resume> resumes;
  std::vector<std::size_t> labelled;  // frames, in order
  std::vector<ams::Fault> faults;
  std::vector<std::string> reasons;  // of disconnections by either side
  std::vector<ams::Control> controls;
  ams::Digest trace = 0;  // over all that was sent

  /// Mean squared error of the device's running model over the frames of the last ten seconds.
  double device_error() const {
    const auto frame = static_cast<std::size_t>(now * setup_.frame_rate_fps);
    const std::size_t count = std::min<std::size_t>(frame, 100);
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const toy::Sample sample = toy::observe(frame - i - 1, setup_.scene_frames);
      const double error = toy::predict(running_, sample) - sample.y;
      sum += error * error / static_cast<double>(count);
    }
    return sum;
  }

  bool in_step() const {
    return session->held().version() == client->held().version() &&
           std::ranges::equal(session->held().values(), client->held().values(), same_bits);
  }

 private:
  struct Event {
    double seconds;
    std::uint64_t sequence;
    std::function<void()> event;
    bool operator<(const Event& other) const {  // the queue's top is the largest
      return seconds != other.seconds ? seconds > other.seconds : sequence > other.sequence;
    }
  };

  static bool same_bits(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  }

  void later(double seconds, std::function<void()> event) { at(now + seconds, std::move(event)); }

  /// As `later`, unless that process has ended by then.
  void later_on_server(double seconds, std::function<void()> event) {
    later(seconds, [this, life = server_life_, event = std::move(event)] {
      if (session && life == server_life_) event();
    });
  }
  void later_on_edge(double seconds, std::function<void()> event) {
    later(seconds, [this, life = edge_life_, event = std::move(event)] {
      if (client && life == edge_life_) event();
    });
  }

  /// As those, unless the connection has ended by then.
  void later_on_link(std::function<void()> event) {
    later(setup_.delay_seconds, [this, id = connection_, event = std::move(event)] {
      if (connection_ != 0 && connection_ == id) event();
    });
  }

  void next_frame() {
    const std::size_t frame = frame_++;
    const double capture_seconds = static_cast<double>(frame) / setup_.frame_rate_fps;
    if (client) perform(client->on_frame(capture_seconds, frame, now));
    at(static_cast<double>(frame + 1) / setup_.frame_rate_fps, [this] { next_frame(); });
  }

  void perform(const ams::EdgeActions<std::size_t>& actions) {
    for (const auto& action : actions) std::visit([this](const auto& a) { act(a); }, action);
  }
  void perform(const ams::ServerActions& actions) {
    for (const auto& action : actions) std::visit([this](const auto& a) { act(a); }, action);
  }

  // ---- the device's driver ----

  void act(const ams::ConnectToServer&) {
    later_on_edge(setup_.delay_seconds, [this, attempt = ++attempt_] {
      if (attempt != attempt_) return;  // given up
      if (!link_up || !session) return perform(client->on_disconnected("unreachable", now));
      connection_ = ++connections_;
      perform(client->on_connected(now));
    });
  }
  void act(const ams::SendToServer& send) {
    ams::DeviceMessage message = send.message;
    note(message);
    if (!uplink(message)) return;
    later_on_link([this, message] { perform(session->on_message(message, now)); });
  }
  void act(const ams::EncodeBuffer<std::size_t>& buffer) {
    REQUIRE(!buffer.frames.empty());
    REQUIRE(buffer.frames.size() == buffer.capture_seconds.size());
    CHECK(buffer.period_seconds > 0);
    // A bitstream of the toy codec: the frames' numbers.
    std::vector<std::byte> bitstream(buffer.frames.size() * sizeof(std::size_t));
    std::memcpy(bitstream.data(), buffer.frames.data(), bitstream.size());
    later_on_edge(setup_.encode_seconds, [this, id = buffer.batch_id, bitstream] {
      perform(client->on_encoded(id, bitstream, now));
    });
  }
  void act(const ams::Publish& publish) {
    CHECK(publish.version == client->held().version());
    const std::vector<float> values(client->held().values().begin(), client->held().values().end());
    later_on_edge(setup_.publish_seconds, [this, values, version = publish.version] {
      running_ = values;
      published.push_back(now);
      perform(client->on_published(version, now));
    });
  }
  void act(const ams::Persist& persist) {
    CHECK(persist.version == client->held().version());
    stored_ = ams::decode_snapshot(ams::encode_snapshot(client->held()), toy::manifest());
  }
  void act(const ams::DisconnectServer& disconnect) {
    reasons.push_back(disconnect.reason);
    if (connection_ != 0) {
      later_on_link([this] { cut(); });
    } else {
      ++attempt_;
      later_on_edge(0, [this] { perform(client->on_disconnected("closed", now)); });
    }
  }

  // ---- the server's driver ----

  void act(const ams::SendToDevice& send) {
    ams::ServerMessage message = send.message;
    note(message);
    if (!downlink(message)) return;
    later_on_link([this, message] {
      if (const auto* welcome = std::get_if<ams::Welcome>(&message))
        resumes.push_back(welcome->resume);
      if (const auto* control = std::get_if<ams::Control>(&message)) controls.push_back(*control);
      if (const auto* fault = std::get_if<ams::Fault>(&message)) faults.push_back(*fault);
      perform(client->on_message(message, now));
    });
  }
  void act(const ams::LabelBatch& batch) {
    std::vector<std::size_t> frames(batch.bitstream.size() / sizeof(std::size_t));
    std::memcpy(frames.data(), batch.bitstream.data(), frames.size() * sizeof(std::size_t));
    REQUIRE(frames.size() == batch.capture_seconds.size());
    std::vector<ams::TimedSample<toy::Sample>> samples;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      samples.push_back({batch.capture_seconds[i], toy::observe(frames[i], setup_.scene_frames)});
    }
    later_on_server(setup_.label_seconds, [this, id = batch.batch_id, frames, samples] {
      labelled.insert(labelled.end(), frames.begin(), frames.end());
      perform(session->on_labelled(id, samples, now));
    });
  }
  void act(const ams::TrainingDue&) {
    ams::TrainingJob<toy::Sample> job = session->begin_phase(now);
    phase_begins.push_back(now);
    CHECK(job.mini_batches.size() == setup_.session.iterations);
    for (const auto& batch : job.mini_batches) CHECK(batch.size() == setup_.session.batch_size);
    ams::TrainingResult result = trainer_.train(std::move(job));
    later_on_server(setup_.phase_seconds, [this, result = std::move(result)] {
      perform(session->on_phase_done(result, now));
      versions_[session->held().version().digest].assign(session->held().values().begin(),
                                                         session->held().values().end());
    });
  }
  void act(const ams::DisconnectDevice& disconnect) {
    reasons.push_back(disconnect.reason);
    later_on_link([this] { cut(); });
  }

  // ---- what must always hold ----

  void require_own_digest(const ams::ModelState& held) const {
    if (setup_.session.encode.profile == ams::UpdateProfile::reference) {
      REQUIRE(held.version().digest == ams::parameter_digest(held.values()));
    } else {  // computed anew from all that the state has
      const auto again = ams::decode_snapshot(ams::encode_snapshot(held), held.manifest_ptr());
      REQUIRE(held.version() == again.version());
    }
  }

  void check_invariants() {
    if (session) {
      require_own_digest(session->held());
      REQUIRE(session->pending_batches() <= setup_.session.max_pending_batches);
    }
    if (client) {
      const auto& held = client->held();
      require_own_digest(held);
      REQUIRE(client->buffered_frames() <= setup_.client.max_buffered_frames);
      // Whatever the device holds is what a server has once held, bit for bit.
      if (held.version().number > 0) {
        const auto known = versions_.find(held.version().digest);
        REQUIRE(known != versions_.end());
        REQUIRE(std::ranges::equal(held.values(), known->second, same_bits));
      }
    }
  }

  template <class Message>
  void note(const Message& message) {
    const auto mix = [this](std::uint64_t value) { trace = ams::mix64(trace ^ value); };
    mix(message.index());
    mix(std::bit_cast<std::uint64_t>(now));
    std::visit(
        [&](const auto& m) {
          if constexpr (requires { m.bytes; }) mix(ams::byte_digest(m.bytes));
          if constexpr (requires { m.bitstream; }) mix(ams::byte_digest(m.bitstream));
          if constexpr (requires { m.held; }) mix(m.held.digest);
          if constexpr (requires { m.sampling_rate_fps; }) {
            mix(std::bit_cast<std::uint64_t>(m.sampling_rate_fps));
          }
        },
        message);
  }

  Setup setup_;
  toy::Trainer trainer_;
  ams::ModelState stored_;
  std::vector<float> running_ = std::vector<float>(toy::dimension, 0.25F);
  std::map<ams::Digest, std::vector<float>> versions_;

  std::priority_queue<Event> queue_;
  std::uint64_t sequence_ = 0;
  std::size_t frame_ = 0;
  std::uint64_t connection_ = 0;  // 0: none
  std::uint64_t connections_ = 0;
  std::uint64_t attempt_ = 0;  // at a connection; another one is of no interest any more
  std::uint64_t server_life_ = 0;
  std::uint64_t edge_life_ = 0;
};
