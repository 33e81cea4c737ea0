#include "ams/runtime/device_host.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/update_codec.hpp"
#include "runtime/recording_log.hpp"
#include "runtime/toy_parts.hpp"
#include "runtime/virtual_time.hpp"

using namespace ams;

namespace {

/// Answers every batch with an update. Messages arrive when deliver() is called.
struct Link final : DeviceTransport {
  ModelState server = toy::initial_state();
  std::deque<ServerMessage> answers;
  std::deque<std::string> events;  ///< "connected", or the reason of a disconnection
  bool refuses = false, opened = false;
  int connections = 0, batches = 0, confirmed = 0;

  void connect() override {
    opened = !refuses;
    connections += opened;
    events.emplace_back(opened ? "connected" : "refused");
  }
  void cut() {
    if (!std::exchange(opened, false)) return;
    answers.clear();
    events.emplace_back("lost");
  }
  void close(const std::string& reason) override {
    opened = false;
    events.push_back(reason);
  }
  void send(DeviceMessage message) override {
    if (!opened) return;
    if (std::holds_alternative<Hello>(message)) answers.emplace_back(Welcome{});
    if (std::holds_alternative<Ack>(message)) ++confirmed;
    if (std::holds_alternative<Bye>(message)) events.emplace_back("goodbye");
    if (std::holds_alternative<FrameBatch>(message)) update();
  }
  void update() {
    const std::vector<float> trained(toy::dimension, float(++batches));
    answers.emplace_back(
        Update{encode_update(server, trained, CoordinateSet::from_sorted(toy::dimension, {0, 2}))});
  }
  LinkCounters counters() const override { return {7, 9}; }

  void deliver(DeviceHost& host) {
    while (!events.empty() || !answers.empty()) {
      if (!events.empty()) {
        const std::string event = std::move(events.front());
        events.pop_front();
        event == "connected" ? host.on_connected() : host.on_disconnected(event);
      } else {
        const ServerMessage message = std::move(answers.front());
        answers.pop_front();
        host.on_message(message);
      }
    }
  }
};

struct Fixture {
  VirtualClock clock;
  VirtualExecutor executor{clock};
  Link link;
  RecordingLog log;
  int loads = 0;
  float first = 0;
  DeviceParts parts = [this] {
    const auto predictor = std::make_shared<toy::Predictor>([this](std::span<const float> values) {
      ++loads;
      first = values[0];
    });
    DeviceParts made{toy::initial_state(), predictor, predictor, std::make_shared<toy::Codec>()};
    made.save_interval_seconds = 0;
    return made;
  }();
  std::optional<DeviceHost> host;

  void begin(ClientOptions options = {.device_id = "camera-7"}) {
    host.emplace(parts, options, executor, link, &log);
    loads = 0;
    host->start();
    link.deliver(*host);
  }

  /// A frame a second, up to this one.
  std::size_t next_frame = 0;
  void play_until(std::size_t frame) {
    for (; next_frame < frame; ++next_frame) {
      clock.now = double(next_frame);
      host->predict(Handle::make(next_frame));
      host->offer(clock.now, Handle::make(next_frame));
      link.deliver(*host);
      if (const auto wake = host->next_wake_seconds(); wake && *wake <= clock.now) host->on_time();
      link.deliver(*host);
    }
  }
};

}  // namespace

TEST_CASE("a device streams, loses its server and comes back") {
  Fixture f;
  int shown = 0, saved = 0;
  ModelVersion newest;
  f.parts.on_prediction = [&](const Handle& frame, const Handle& prediction, ModelVersion version) {
    CHECK(prediction.as<float>() == f.first * float(frame.as<std::size_t>()));
    newest = version;
    ++shown;
  };
  f.parts.save = [&](const ModelState& state, std::span<const Bytes>) {
    CHECK(state.version() == f.host->client().held().version());
    ++saved;
  };
  f.begin();
  f.play_until(150);
  f.link.cut();
  f.link.refuses = true;
  f.play_until(201);
  f.link.refuses = false;
  f.play_until(400);
  f.host->predict(Handle::make(std::size_t{400}));

  CHECK(shown == 401);
  CHECK(f.link.connections == 2);
  CHECK(f.link.batches >= 25);
  CHECK(f.loads >= 25);
  CHECK(saved == f.loads);
  CHECK(f.link.confirmed == f.loads);
  CHECK(f.host->client().held().version() == f.link.server.version());
  CHECK(newest == f.link.server.version());
  CHECK(f.first == f.link.server.values()[0]);
  CHECK(f.host->swap_seconds().size() == std::size_t(f.loads));
  const DeviceHost::Status status = f.host->status();
  CHECK(status.streaming);
  CHECK_FALSE(status.stopped);
  CHECK(status.model_version == newest.number);
  CHECK(status.link.uplink_bytes == 7);
  CHECK(f.host->counters().updates == std::uint64_t(f.loads));
  CHECK(f.log.count("disconnected") > 1);
}

TEST_CASE("a device says goodbye and may come back") {
  Fixture f;
  f.begin();
  f.play_until(30);
  CHECK_FALSE(f.host->wait_until_left(0));
  f.host->leave("the end");
  CHECK_FALSE(f.host->status().stopped);
  f.link.deliver(*f.host);
  CHECK(f.host->wait_until_left(0));
  CHECK(f.host->status().stopped);
  CHECK(f.log.count("disconnected") == 0);  // it was wanted
  f.host->start();
  f.link.deliver(*f.host);
  f.play_until(60);
  CHECK(f.host->status().streaming);
}

TEST_CASE("a part that throws costs a batch, a frame or a model, and the device goes on") {
  struct Codec final : FrameCodec {
    toy::Codec inner;
    bool reduces = true, encodes = true;
    Handle reduce(const Handle& frame) const override {
      if (!reduces) throw std::runtime_error("no");
      return frame;
    }
    Bytes encode(std::span<const Handle> frames, double period) const override {
      if (!encodes) throw std::runtime_error("no");
      return inner.encode(frames, period);
    }
    std::vector<Handle> decode(std::span<const std::byte>, std::span<const double>) const override {
      return {};
    }
  };
  Fixture f;
  const auto codec = std::make_shared<Codec>();
  f.parts.codec = codec;
  bool loads = true;
  f.parts.active = f.parts.inactive = std::make_shared<toy::Predictor>([&](std::span<const float>) {
    if (!loads) throw std::runtime_error("no");
  });
  f.parts.save = [](const ModelState&, std::span<const Bytes>) { throw std::runtime_error("no"); };
  f.begin();
  f.play_until(20);
  CHECK(f.log.count("model") > 0);
  CHECK(f.log.count("state_not_saved") == f.log.count("model"));

  codec->reduces = false;
  const auto sampled = f.host->counters().frames_sampled;
  f.play_until(30);
  CHECK(f.host->counters().frames_sampled == sampled);
  CHECK(f.log.count("frame_not_sampled") == 10);
  codec->reduces = true;
  codec->encodes = false;
  f.play_until(50);
  CHECK(f.host->counters().batches_failed > 0);
  CHECK(f.log.count("encoding_failed") == std::ptrdiff_t(f.host->counters().batches_failed));
  codec->encodes = true;
  loads = false;
  const auto version = f.host->status().model_version;
  f.play_until(80);
  CHECK(f.log.count("model_not_loaded") > 0);
  CHECK(f.host->status().model_version == version);
  loads = true;
  f.play_until(110);
  CHECK(f.host->status().model_version > version);
  CHECK(f.host->status().model_version == f.host->client().held().version().number);
}

TEST_CASE("of many models that wait, the newest is loaded and saved") {
  struct Later final : Executor {
    VirtualClock& clock;
    std::deque<Work> waiting;
    explicit Later(VirtualClock& c) : clock(c) {}
    double now_seconds() const override { return clock.now; }
    void post(std::function<void()> function) override { function(); }
    void submit(Work work) override { waiting.push_back(std::move(work)); }
    void forget(const std::string&) override {}
  };
  Fixture f;
  Later later(f.clock);
  std::vector<std::uint32_t> saved;
  f.parts.save = [&](const ModelState& state, std::span<const Bytes>) {
    saved.push_back(state.version().number);
  };
  DeviceHost host(f.parts, {}, later, f.link);
  host.start();
  f.link.deliver(host);
  f.loads = 0;
  for (int i = 0; i < 1000; ++i) f.link.update();
  f.link.deliver(host);
  REQUIRE(later.waiting.size() == 2);
  for (Work& work : later.waiting) {
    if (work.run()) work.finish();
  }
  CHECK(f.loads == 1);
  CHECK(saved == std::vector<std::uint32_t>{1000});
  CHECK(host.status().model_version == 1000);
  CHECK(f.link.confirmed == 1);
}

TEST_CASE("one frame at a time is on its way to the client") {
  struct Holds final : Executor {
    std::vector<Work> waiting;
    double now_seconds() const override { return 0; }
    void post(std::function<void()> function) override { function(); }
    void submit(Work work) override { waiting.push_back(std::move(work)); }
    void forget(const std::string&) override {}
  };
  Fixture f;
  Holds holds;
  DeviceHost host(f.parts, {}, holds, f.link);
  host.start();
  for (std::size_t i = 0; i < 5; ++i) host.offer(double(i), Handle::make(i));
  REQUIRE(holds.waiting.size() == 1);
  CHECK(holds.waiting[0].kind == WorkKind::sample);
  REQUIRE(holds.waiting[0].run());
  holds.waiting[0].finish();
  CHECK(host.client().buffered_frames() == 1);
  host.offer(0.5, Handle::make(std::size_t{6}));  // too soon to be sampled
  CHECK(holds.waiting.size() == 1);
  host.offer(1, Handle::make(std::size_t{7}));
  CHECK(holds.waiting.size() == 2);
}

TEST_CASE("work that outlives its host does nothing") {
  Fixture f;
  f.executor.seconds[WorkKind::sample] = 1;
  f.begin();
  f.host->offer(0, Handle::make(std::size_t{1}));
  REQUIRE(f.clock.next_seconds());
  f.host.reset();
  f.clock.run_next();
}

TEST_CASE("parts that are missing are named") {
  Fixture f;
  const auto make = [&](auto&& change) {
    DeviceParts parts = f.parts;
    change(parts);
    DeviceHost host(parts, {}, f.executor, f.link);
  };
  CHECK_THROWS_AS(make([](DeviceParts& p) { p.active = nullptr; }), Error);
  CHECK_THROWS_AS(make([](DeviceParts& p) { p.codec = nullptr; }), Error);
  CHECK_THROWS_AS(DeviceHost(f.parts, {.device_id = ""}, f.executor, f.link), Error);
}

TEST_CASE("the state is saved now and then, and at the end") {
  Fixture f;
  std::vector<std::uint32_t> saved;
  f.parts.save = [&](const ModelState& state, std::span<const Bytes>) {
    saved.push_back(state.version().number);
  };
  f.parts.save_interval_seconds = 20;
  f.begin();
  f.play_until(101);
  CHECK(saved.size() >= 5);
  CHECK(saved.size() <= 6);
  f.host->leave("the end");
  f.link.deliver(*f.host);
  CHECK(saved.back() == f.host->client().held().version().number);
  CHECK(std::is_sorted(saved.begin(), saved.end()));
  f.parts.save_interval_seconds = -1;
  CHECK_THROWS_AS(f.begin(), Error);
}

TEST_CASE("a device that sees a cut in its own predictions sends the next frame at once") {
  Fixture f;
  f.parts.task = std::make_shared<toy::Task>();
  ClientOptions options{.device_id = "camera-7", .scene_change_seconds = 2};
  f.begin(options);
  const auto play = [&](double seconds, std::size_t frame) {
    f.clock.now = seconds;
    f.host->predict(Handle::make(frame));
    f.host->offer(seconds, Handle::make(frame));
  };
  for (int k = 0; k < 15; ++k) play(0.1 * k, 0);
  CHECK(f.host->counters().scene_changes == 0);
  const int batches = f.link.batches;
  play(1.55, 8);  // a quarter of 8: it differs by all there is
  CHECK(f.host->counters().scene_changes == 1);
  play(1.6, 8);
  CHECK(f.link.batches == batches + 1);

  Fixture blind;
  blind.begin(options);
  blind.host->predict(Handle::make(std::size_t{0}));
  blind.host->predict(Handle::make(std::size_t{9}));
  CHECK(blind.host->counters().scene_changes == 0);
}

TEST_CASE("a device knows how long its stages take") {
  Fixture f;
  int seen = 0;
  f.parts.on_stage = [&](Stage, double seconds, std::uint64_t) {
    CHECK(seconds >= 0);
    ++seen;
  };
  f.begin();
  f.play_until(20);
  const StageTimes stages = f.host->stages();
  for (const Stage stage : {Stage::buffer, Stage::encode, Stage::apply, Stage::swap}) {
    CHECK(stages.of(stage).count > 0);
    CHECK(stages.of(stage).mean_seconds() <= stages.of(stage).max_seconds);
  }
  CHECK(stages.of(Stage::buffer).max_seconds <= 3);  // T_update, and a frame
  CHECK(stages.of(Stage::label).count == 0);
  std::uint64_t counted = 0;
  stages.for_each([&](Stage, const StageTime& time) { counted += time.count; });
  CHECK(counted == static_cast<std::uint64_t>(seen));
}
