#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/update_codec.hpp"
#include "runtime/toy_parts.hpp"
#include "runtime/virtual_time.hpp"

/// The bytes with one of them changed.
inline ams::Bytes damaged(const ams::Bytes& bytes, std::size_t position, std::byte mask) {
  std::vector<std::byte> copy = bytes.to_vector();
  copy.at(position) ^= mask;
  return copy;
}

/// A ServerHost and a DeviceHost of the toy student in virtual time (VirtualPair). Checks after
/// every event what must always hold.
class VirtualWorld {
 public:
  struct Setup {
    toy::SessionSetup server;
    ams::ClientOptions client;
    double delay_seconds = 0.05;
    double encode_seconds = 0.4;
    double label_seconds = 0.6;
    double phase_seconds = 1.5;
    double publish_seconds = 0.02;
    double frame_rate_fps = 10;
    std::size_t scene_frames = 600;
    bool follow_statistics = true;
    std::shared_ptr<ams::SessionStore> store = nullptr;
    std::function<std::unique_ptr<ams::UpdatePolicy>()> make_policy = nullptr;  ///< null: server's
  };

  explicit VirtualWorld(Setup setup)
      : setup_(std::move(setup)),
        pair_({.server = [this] { return server_parts(); },
               .server_options = {.session = setup_.server.session},
               .device = [this] { return device_parts(); },
               .client = setup_.client,
               .delay_seconds = setup_.delay_seconds,
               .encode_seconds = setup_.encode_seconds,
               .label_seconds = setup_.label_seconds,
               .phase_seconds = setup_.phase_seconds,
               .publish_seconds = setup_.publish_seconds}),
        stored_(toy::initial_state()) {
    pair_.on_sent_down = [this](const ams::ServerMessage& message) { note(message); };
    pair_.on_sent_up = [this](const ams::DeviceMessage& message) { note(message); };
    pair_.on_arrived = [this](const ams::ServerMessage& message) {
      if (const auto* welcome = std::get_if<ams::Welcome>(&message))
        resumes.push_back(welcome->resume);
      if (const auto* control = std::get_if<ams::Control>(&message)) controls.push_back(*control);
      if (const auto* fault = std::get_if<ams::Fault>(&message)) faults.push_back(*fault);
    };
    pair_.after_event = [this] { check_invariants(); };
    start_server();
    start_edge();
    pair_.clock.at(0, [this] { next_frame(); });
  }

  // ---- what happens from outside ----

  void run_until(double seconds) { pair_.run_until(seconds); }
  void start_server() { pair_.start_server(); }
  void kill_server() { pair_.kill_server(); }

  /// From what was saved.
  void start_edge() {
    pair_.start_device();
    published.clear();
  }

  /// The device's program ends in good order.
  void stop_edge() { pair_.device->leave("the end"); }
  void restart_client() { pair_.device->start(); }
  void kill_edge() { pair_.kill_device(); }
  void cut() { pair_.cut(); }

  // ---- what is looked at ----

  struct SessionView {
    const VirtualPair& pair;
    explicit operator bool() const { return pair.session() != nullptr; }
    const ams::ServerSession* operator->() const {
      REQUIRE(pair.session() != nullptr);
      return pair.session();
    }
  };
  struct ClientView {
    const VirtualPair& pair;
    explicit operator bool() const { return pair.device != nullptr; }
    const ams::EdgeClient* operator->() const {
      REQUIRE(pair.device);
      return &pair.device->client();
    }
  };

 private:
  Setup setup_;
  VirtualPair pair_;
  ams::ModelState stored_;
  std::vector<float> running_;
  std::map<ams::Digest, std::vector<float>> versions_;
  std::size_t frame_ = 0;

 public:
  const double& now = pair_.clock.now;
  const SessionView session{pair_};
  const ClientView client{pair_};
  bool& link_up = pair_.link_up;
  std::function<bool(ams::ServerMessage&)>& downlink = pair_.downlink;
  std::function<bool(ams::DeviceMessage&)>& uplink = pair_.uplink;
  const std::vector<std::string>& reasons = pair_.reasons;

  std::vector<double> phase_begins;
  std::vector<std::size_t> phase_samples;  ///< different ones of each phase
  std::vector<double> published;  ///< when; of the device's latest life
  std::vector<ams::Resume> resumes;
  std::vector<std::size_t> labelled;  // frames, in order
  std::vector<ams::Fault> faults;
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
    return session && session->held().version() == client->held().version() &&
           std::ranges::equal(session->held().values(), client->held().values(), same_bits);
  }

 private:
  static bool same_bits(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  }

  // ---- the parts ----

  /// Tells when a phase begins, and on how much.
  struct Trainer final : ams::Trainer {
    explicit Trainer(VirtualWorld& owner) : world(owner) {
      inner.follow_statistics = owner.setup_.follow_statistics;
    }
    const std::shared_ptr<const ams::Manifest>& manifest() const override {
      return inner.manifest();
    }
    ams::TrainingResult train(ams::TrainingJob job) override {
      world.phase_begins.push_back(world.now);
      std::set<const void*> samples;
      for (const auto& batch : job.mini_batches) {
        for (const ams::Handle& sample : batch) samples.insert(sample.owner().get());
      }
      world.phase_samples.push_back(samples.size());
      if (!world.setup_.make_policy) {
        CHECK(job.mini_batches.size() == world.setup_.server.pace.iterations);
        for (const auto& batch : job.mini_batches) {
          CHECK(batch.size() == world.setup_.server.pace.batch_size);
        }
      }
      return inner.train(std::move(job));
    }
    VirtualWorld& world;
    toy::Trainer inner;
  };

  ams::ServerParts server_parts() {
    auto asked = [this](std::size_t frame) { labelled.push_back(frame); };
    return {.initial = toy::initial_state(),
            .task = std::make_shared<toy::Task>(),
            .make_policy =
                setup_.make_policy ? setup_.make_policy : [this] { return setup_.server.policy(); },
            .teacher = std::make_shared<toy::Teacher>(setup_.scene_frames, asked),
            .trainer = std::make_shared<Trainer>(*this),
            .codec = std::make_shared<toy::Codec>(),
            .store = setup_.store};
  }

  ams::DeviceParts device_parts() {
    const auto predictor = std::make_shared<toy::Predictor>([this](std::span<const float> values) {
      running_.assign(values.begin(), values.end());
      published.push_back(now);
    });
    const auto save = [this](const ams::ModelState& state, std::span<const ams::Bytes>) {
      CHECK(state.version() == client->held().version());
      stored_ = ams::decode_snapshot(ams::encode_snapshot(state), toy::manifest());
    };
    return {.initial = stored_,
            .active = predictor,
            .inactive = predictor,
            .codec = std::make_shared<toy::Codec>(),
            .save = save};
  }

  void next_frame() {
    const std::size_t frame = frame_++;
    const double capture_seconds = static_cast<double>(frame) / setup_.frame_rate_fps;
    if (pair_.device) pair_.device->offer(capture_seconds, ams::Handle::make(frame));
    pair_.clock.at(static_cast<double>(frame + 1) / setup_.frame_rate_fps,
                   [this] { next_frame(); });
  }

  // ---- what must always hold ----

  void require_own_digest(const ams::ModelState& held) const {
    if (!setup_.make_policy && setup_.server.encode.profile == ams::UpdateProfile::reference) {
      REQUIRE(held.version().digest == ams::parameter_digest(held.values()));
    } else {  // computed anew from all that the state has
      const auto again = ams::decode_snapshot(ams::encode_snapshot(held), held.manifest_ptr());
      REQUIRE(held.version() == again.version());
    }
  }

  void check_invariants() {
    if (session) {
      const auto& held = session->held();
      require_own_digest(held);
      REQUIRE(session->pending_batches() <= setup_.server.session.limits.max_pending_batches);
      versions_[held.version().digest].assign(held.values().begin(), held.values().end());
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
          if constexpr (requires { m.bytes; }) mix(ams::byte_digest(m.bytes.span()));
          if constexpr (requires { m.bitstream; }) mix(ams::byte_digest(m.bitstream.span()));
          if constexpr (requires { m.held; }) mix(m.held.digest);
          if constexpr (requires { m.sampling_rate_fps; }) {
            mix(std::bit_cast<std::uint64_t>(m.sampling_rate_fps));
          }
        },
        message);
  }
};
