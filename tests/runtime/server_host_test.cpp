#include "ams/runtime/server_host.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
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

struct Transport final : ServerTransport {
  std::map<ConnectionId, std::vector<ServerMessage>> sent;
  std::map<ConnectionId, std::string> closed;
  bool works = true;
  void send(ConnectionId connection, ServerMessage message) override {
    if (!works) throw std::runtime_error("no");
    sent[connection].push_back(std::move(message));
  }
  void close(ConnectionId connection, const std::string& reason) override {
    closed.emplace(connection, reason);
  }
  LinkCounters counters(ConnectionId connection) const override { return {connection, 10}; }

  template <class T>
  std::vector<T> of(ConnectionId connection) const {
    std::vector<T> found;
    if (const auto messages = sent.find(connection); messages != sent.end()) {
      for (const ServerMessage& message : messages->second) {
        if (const T* one = std::get_if<T>(&message)) found.push_back(*one);
      }
    }
    return found;
  }
};

struct Fixture {
  VirtualClock clock;
  VirtualExecutor executor{clock};
  Transport transport;
  RecordingLog log;
  toy::SessionSetup setup = [] {
    toy::SessionSetup s;
    s.strategy = make_selection_strategy("full", 1);
    s.adam.learning_rate = 0.03;
    return s;
  }();
  ServerParts parts{.initial = toy::initial_state(),
                    .task = std::make_shared<toy::Task>(),
                    .make_policy = [this] { return setup.policy(); },
                    .teacher = std::make_shared<toy::Teacher>(600),
                    .trainer = std::make_shared<toy::Trainer>(),
                    .codec = std::make_shared<toy::Codec>()};
  ServerHostOptions options;
  std::optional<ServerHost> host;

  void begin() { host.emplace(parts, options, executor, transport, &log); }

  Hello hello(const std::string& device, ModelVersion held = toy::initial_state().version()) {
    Hello message;
    message.device_id = device;
    message.manifest_digest = toy::manifest()->digest();
    message.held = held;
    return message;
  }
  void connect(ConnectionId connection, const std::string& device,
               const std::string& peer = "1.2.3.4:5") {
    host->on_connected(connection, peer);
    host->on_message(connection, hello(device));
  }
  /// Five frames.
  void batch(ConnectionId connection, std::uint64_t id) {
    std::vector<Handle> frames;
    FrameBatch message;
    message.batch_id = id;
    for (std::size_t i = 0; i < 5; ++i) {
      frames.push_back(Handle::make(id * 10 + i));
      message.capture_seconds.push_back(double(id * 10 + i));
    }
    message.bitstream = toy::Codec().encode(frames, 1);
    host->on_message(connection, message);
  }
  void leave(ConnectionId connection) { host->on_disconnected(connection, "lost"); }
};

/// Keeps records; may fail.
struct Store final : SessionStore {
  std::map<std::string, SessionRecord> records;
  bool works = true;
  std::function<void()> on_save = [] {};
  std::optional<SessionRecord> load(const std::string& device_id) override {
    if (!works) throw std::runtime_error("no");
    const auto found = records.find(device_id);
    return found == records.end() ? std::nullopt : std::optional(found->second);
  }
  void save(const SessionRecord& record) override {
    on_save();
    if (!works) throw std::runtime_error("no");
    records.insert_or_assign(record.device_id, record);
  }
  void erase(const std::string& device_id) override { records.erase(device_id); }
};

/// A device at the other end of connection 1 that takes all that it is sent, and answers.
struct Follower {
  explicit Follower(Fixture& world) : f(world) {}
  void take_all() {
    const std::vector<ServerMessage> all = f.transport.sent[1];
    for (; taken < all.size(); ++taken) {
      if (const auto* update = std::get_if<Update>(&all[taken])) {
        apply_update(update->bytes.span(), held);
      } else if (const auto* snapshot = std::get_if<Snapshot>(&all[taken])) {
        held = decode_snapshot(snapshot->bytes.span(), toy::manifest());
      } else {
        continue;
      }
      f.host->on_message(1, Ack{held.version()});
    }
  }
  bool holds(const ModelState& state) const {
    return std::equal(held.values().begin(), held.values().end(), state.values().begin());
  }
  Fixture& f;
  ModelState held = toy::initial_state();
  std::size_t taken = 0;
};

/// Its samples can be shown: frame 3, and the label as it is.
struct ShownTask final : ams::Task {
  toy::Task task;
  std::string name() const override { return task.name(); }
  Handle sample(const Handle& frame, const Handle& label) const override {
    return task.sample(frame, label);
  }
  std::optional<double> phi(const Handle& a, const Handle& b) const override {
    return task.phi(a, b);
  }
  std::size_t size_bytes(const Handle& sample) const override { return task.size_bytes(sample); }
  std::unique_ptr<TaskScore> score() const override { return task.score(); }
  std::pair<Handle, Handle> frame_and_label(const Handle& sample) const override {
    return {Handle::make(Frame{.width = 3, .height = 0, .rgb = {}, .capture_seconds = 0}), sample};
  }
  Frame draw(const Handle& frame, const Handle& label) const override {
    Frame drawn = frame.as<Frame>();
    drawn.height = label.holds<int>() ? label.as<int>() : 1;
    return drawn;
  }
};

/// Predicts 1000 times the first value.
struct ShownPredictor final : Predictor {
  std::shared_ptr<const Manifest> shape = toy::manifest();
  float first = 0;
  const std::shared_ptr<const Manifest>& manifest() const override { return shape; }
  void load(std::span<const float> values) override { first = values[0]; }
  Handle predict(const Handle&) override { return Handle::make(static_cast<int>(1000 * first)); }
};

}  // namespace

TEST_CASE("samples come in, updates go out") {
  Fixture f;
  f.begin();
  f.connect(1, "a");
  REQUIRE(f.transport.of<Welcome>(1).size() == 1);
  CHECK(f.transport.of<Welcome>(1)[0].session_id == 1);
  f.batch(1, 1);
  REQUIRE(f.transport.of<Update>(1).size() == 1);
  ModelState device = toy::initial_state();
  apply_update(f.transport.of<Update>(1)[0].bytes.span(), device);
  REQUIRE(f.host->session("a"));
  CHECK(device.version() == f.host->session("a")->held().version());
  CHECK(f.host->session("b") == nullptr);
  CHECK(f.log.count("update_sent") == 1);
  CHECK(f.log.count("phase") == 1);
  CHECK(f.log.count("labelled") == 1);

  const auto wake = f.host->next_wake_seconds();
  REQUIRE(wake);  // for a missing Ack
  f.clock.now = *wake;
  f.host->on_time();
  CHECK(f.transport.closed.contains(1));

  const auto reports = f.host->report();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].device_id == "a");
  CHECK(reports[0].held == device.version());
  CHECK(reports[0].counters.updates == 1);
  CHECK(reports[0].phase_seconds == std::vector{0.5});
  CHECK(reports[0].ended_links.downlink_bytes == 0);
  f.leave(1);
  CHECK(f.host->report()[0].ended_links.downlink_bytes == 10);
  CHECK(f.host->metrics().find("ams_updates_total{device=\"a\"} 1\n") != std::string::npos);
}

TEST_CASE("a teacher labels as many frames at once as it takes") {
  struct Batches final : Teacher {
    toy::Teacher inner{600};
    std::vector<std::size_t> asked;
    std::size_t left_out = 0;
    Handle label(const Handle& frame, double seconds) override {
      return inner.label(frame, seconds);
    }
    std::size_t max_frames() const override { return 3; }
    std::vector<Handle> label_frames(std::span<const Handle> frames,
                                     std::span<const double> seconds) override {
      asked.push_back(frames.size());
      std::vector<Handle> labels = Teacher::label_frames(frames, seconds);
      labels.resize(labels.size() - left_out);
      return labels;
    }
  };
  const auto teacher = std::make_shared<Batches>();
  Fixture f;
  f.parts.teacher = teacher;
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  CHECK(teacher->asked == std::vector<std::size_t>{3, 2});
  CHECK(f.host->session("a")->counters().samples == 5);

  teacher->left_out = 1;
  f.batch(1, 2);
  CHECK(f.host->session("a")->counters().samples == 5);
  CHECK(f.host->session("a")->counters().batches_failed == 1);
  CHECK(f.log.count("labelling_failed") == 1);
  const std::string told = f.host->devices().at(0).last_error;  // an operator sees why
  CHECK(told == "batch 2 could not be decoded or labelled: the teacher gave 2 labels of 3 frames");
}

TEST_CASE("a newer connection of a device takes over") {
  Fixture f;
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  f.connect(2, "a");
  CHECK(f.transport.closed.at(1) == "the device has connected again");
  REQUIRE(f.transport.of<Welcome>(2).size() == 1);
  CHECK(f.transport.of<Welcome>(2)[0].last_batch_id == 1);
  CHECK(f.transport.of<Update>(2).size() == 1);  // what it has missed
  f.batch(1, 7);                                 // the old link is not heard
  CHECK(f.host->session("a")->counters().batches == 1);
  f.leave(1);  // its bytes count, and the device stays
  CHECK(f.host->session("a")->connected());
  CHECK(f.host->report()[0].ended_links.uplink_bytes == 1);
  f.leave(2);
  CHECK_FALSE(f.host->session("a")->connected());
  CHECK(f.host->report()[0].ended_links.uplink_bytes == 3);
}

TEST_CASE("a device that is alive is not taken over from another address") {
  Fixture f;
  f.begin();
  f.connect(1, "camera", "1.2.3.4:5");
  f.connect(2, "camera", "1.2.3.5:5");  // a clone
  REQUIRE(f.transport.of<Fault>(2).size() == 1);
  CHECK(f.transport.of<Fault>(2)[0].message.find("--device-id") != std::string::npos);
  CHECK(f.transport.closed.contains(2));
  CHECK_FALSE(f.transport.closed.contains(1));
  CHECK(f.log.count("two_devices_of_one_id") == 1);
  f.host->on_disconnected(2, "refused");
  f.connect(3, "camera", "1.2.3.4:6");  // the same one, restarted
  CHECK(f.transport.closed.contains(1));
  f.clock.now = 30;  // silent: it has got another address
  f.connect(4, "camera", "[2001:db8::1]:6");
  CHECK(f.transport.closed.contains(3));
  CHECK(f.transport.of<Welcome>(4).size() == 1);
}

TEST_CASE("two devices of one id behind one address are told of") {
  Fixture f;
  f.begin();
  for (ConnectionId connection = 1; connection <= 3; ++connection) {
    f.connect(connection, "camera", "1.2.3.4:5");
    f.clock.now += 5;
  }
  CHECK(f.log.count("two_devices_of_one_id") == 0);  // a device may restart twice
  f.connect(4, "camera", "1.2.3.4:6");
  CHECK(f.log.count("two_devices_of_one_id") == 1);
  CHECK(f.transport.of<Welcome>(4).size() == 1);
  f.clock.now += 100;
  f.connect(5, "camera", "1.2.3.4:7");
  CHECK(f.log.count("two_devices_of_one_id") == 1);
}

TEST_CASE("a device's connection is ended, and its session stays") {
  Fixture f;
  f.begin();
  f.connect(1, "camera");
  f.host->disconnect("camera", "its token was revoked");
  f.host->disconnect("nobody", "");
  CHECK(f.transport.closed.at(1) == "its token was revoked");
  f.host->on_disconnected(1, "closed");
  f.host->disconnect("camera", "again");
  CHECK(f.host->report().size() == 1);
}

TEST_CASE("frames beyond the rate that a device was told are not labelled") {
  Fixture f;
  f.begin();
  f.connect(1, "flood");
  f.connect(2, "honest");
  for (std::uint64_t id = 1; id <= 200; ++id) f.batch(1, id);  // a thousand frames at once
  f.batch(2, 1);
  const std::vector<SessionReport> reports = f.host->report();
  CHECK(reports[0].device_id == "flood");
  CHECK(reports[0].counters.batches + reports[0].counters.batches_dropped == 256 / 5);
  CHECK(reports[1].counters.batches == 1);
  CHECK(f.log.count("frames_beyond_rate") == 1);
  f.clock.now = 5;
  f.host->on_time();
  const std::string metrics = f.host->metrics();
  CHECK(metrics.find("ams_batches_beyond_rate_total{device=\"flood\"} 149\n") != std::string::npos);
  CHECK(metrics.find("ams_batches_beyond_rate_total{device=\"honest\"} 0\n") != std::string::npos);
  CHECK(metrics.find("ams_batches_waiting{device=\"honest\"} ") != std::string::npos);
  CHECK(metrics.find("ams_unheard_seconds{device=\"honest\"} 5\n") != std::string::npos);
  CHECK(metrics.find("ams_connected{device=\"honest\"} 1\n") != std::string::npos);
}

TEST_CASE("a full host makes room for a device by the one that is away longest") {
  Fixture f;
  f.options.max_devices = 2;
  f.begin();
  f.connect(1, "a");
  f.connect(2, "b");
  f.connect(3, "c");
  REQUIRE(f.transport.of<Fault>(3).size() == 1);
  CHECK(f.transport.of<Fault>(3)[0].code == ErrorCode::limit_exceeded);
  CHECK(f.transport.closed.contains(3));
  CHECK(f.host->session("c") == nullptr);
  f.leave(3);
  f.clock.now = 10;
  f.leave(2);
  f.clock.now = 20;
  f.leave(1);
  f.connect(4, "c");
  CHECK(f.host->session("b") == nullptr);
  CHECK(f.host->session("a"));
  CHECK(f.transport.of<Welcome>(4).size() == 1);
  CHECK(f.log.count("forgotten") == 1);

  // One whose frames are being labelled stays.
  f.executor.seconds[WorkKind::label] = 5;
  f.batch(4, 1);
  f.leave(4);
  f.connect(5, "a");
  f.connect(6, "b");
  CHECK(f.transport.of<Fault>(6).size() == 1);
  f.clock.now = 25;
  f.clock.run_next();
  f.connect(7, "b");
  CHECK(f.transport.of<Welcome>(7).size() == 1);
  CHECK(f.host->session("c") == nullptr);
}

TEST_CASE("a device with another student is refused, and takes nobody's place") {
  Fixture f;
  f.options.max_devices = 1;
  f.options.student_fingerprint = 5;
  f.begin();
  f.connect(1, "a");
  f.leave(1);
  f.host->on_connected(2, "x");
  Hello other = f.hello("b");
  other.manifest_digest ^= 1;
  f.host->on_message(2, other);
  REQUIRE(f.transport.of<Fault>(2).size() == 1);
  CHECK(f.transport.of<Fault>(2)[0].code == ErrorCode::manifest_mismatch);
  CHECK(f.transport.of<Fault>(2)[0].message == f.options.wrong_student_text);
  f.host->on_connected(3, "x");
  other = f.hello("b");
  other.student_fingerprint = 6;
  f.host->on_message(3, other);
  CHECK(f.transport.of<Fault>(3).size() == 1);
  CHECK(f.host->session("a"));
  f.host->on_connected(4, "x");
  other.student_fingerprint = 5;
  f.host->on_message(4, other);
  CHECK(f.host->session("b"));
  CHECK(f.log.count("refused") == 2);
}

TEST_CASE("messages out of place break nothing") {
  Fixture f;
  f.begin();
  f.batch(9, 1);  // of nobody
  f.leave(9);
  f.host->on_connected(1, "x");
  f.batch(1, 1);  // before Hello
  REQUIRE(f.transport.of<Fault>(1).size() == 1);
  CHECK(f.transport.of<Fault>(1)[0].code == ErrorCode::protocol_violation);
  f.connect(2, "a");
  f.host->on_message(2, f.hello("b"));  // a second Hello
  CHECK(f.transport.of<Fault>(2).size() == 1);
  CHECK(f.host->session("b") == nullptr);
  f.connect(3, std::string("\n"));
  CHECK(f.transport.of<Fault>(3).size() == 1);
  CHECK(f.host->next_wake_seconds() == std::nullopt);
}

TEST_CASE("a phase that nobody wants any more is not begun") {
  Fixture f;
  f.executor.seconds[WorkKind::label] = 1;
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  f.host->on_message(1, Bye{"the end"});
  f.leave(1);
  f.clock.run_next();
  CHECK(f.host->session("a")->counters().samples == 5);
  CHECK(f.log.count("phase") == 0);
  f.connect(2, "a");
  CHECK(f.log.count("phase") == 1);
}

TEST_CASE("after stop() no batch and no phase begins") {
  Fixture f;
  f.begin();
  f.connect(1, "a");
  f.host->stop();
  f.batch(1, 1);
  CHECK(f.host->session("a")->counters().samples == 0);
}

TEST_CASE("a part that throws costs a batch or a phase, and the host goes on") {
  struct Broken final : Trainer {
    toy::Trainer inner;
    int calls = 0;
    const std::shared_ptr<const Manifest>& manifest() const override { return inner.manifest(); }
    TrainingResult train(TrainingJob job) override {
      if (++calls == 1) throw std::runtime_error("no");
      if (calls == 2) return {};
      return inner.train(std::move(job));
    }
  };
  struct Unsure final : Teacher {
    toy::Teacher inner{600};
    int calls = 0;
    Handle label(const Handle& frame, double seconds) override {
      if (++calls == 1) throw std::runtime_error("no");
      if (calls == 2) return {};
      return inner.label(frame, seconds);
    }
  };
  Fixture f;
  f.parts.trainer = std::make_shared<Broken>();
  f.parts.teacher = std::make_shared<Unsure>();
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  CHECK(f.log.count("labelling_failed") == 1);
  CHECK(f.host->session("a")->pending_batches() == 0);
  f.batch(1, 2);
  CHECK(f.host->session("a")->counters().samples == 4);
  CHECK(f.log.count("phase_failed") == 1);
  for (int i = 0; i < 2; ++i) {
    f.clock.now = *f.host->next_wake_seconds();
    f.host->on_time();
  }
  CHECK(f.log.count("phase_failed") == 2);
  CHECK(f.host->session("a")->counters().phases_failed == 2);
  CHECK(f.host->session("a")->counters().updates == 1);
}

TEST_CASE("a policy that throws costs a phase, and is heard of once") {
  struct Policy final : UpdatePolicy {
    bool plans = false, wakes = true;
    void prepare(const ModelState&) override {}
    double sampling_rate_fps() const override { return 1; }
    double update_interval_seconds() const override { return 10; }
    std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
      if (!wakes) throw std::runtime_error("no");
      return context.latest_begin_seconds ? *context.latest_begin_seconds + 10 : 0;
    }
    PhasePlan plan(const PhaseContext& context, Random&) override {
      if (!plans) throw std::runtime_error("no");
      PhasePlan result;
      result.parameters = {context.held.values().begin(), context.held.values().end()};
      result.coordinates = CoordinateSet::all(toy::dimension);
      result.required_gradients = std::vector<bool>(3, true);
      return result;
    }
  };
  Fixture f;
  Policy* policy = nullptr;
  f.parts.make_policy = [&] {
    auto made = std::make_unique<Policy>();
    policy = made.get();
    return made;
  };
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  CHECK(f.host->session("a")->counters().phases_failed == 1);
  policy->plans = true;
  f.clock.now = 10;
  f.host->on_time();
  CHECK(f.host->session("a")->counters().updates == 1);
  policy->wakes = false;
  f.batch(1, 2);
  CHECK(f.host->session("a")->pending_batches() == 0);
  for (int i = 0; i < 5; ++i) f.host->on_time();
  CHECK_FALSE(f.transport.closed.contains(1));
  f.host->on_message(1, Ack{f.host->session("a")->held().version()});
  CHECK(f.transport.closed.contains(1));  // the device begins anew
  CHECK(f.log.count("session_failed") == 1);
}

TEST_CASE("the store knows what a device holds before the device does") {
  Fixture f;
  const auto store = std::make_shared<Store>();
  f.parts.store = store;
  store->on_save = [&] { CHECK(f.transport.of<Update>(1).empty()); };
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  CHECK(f.transport.of<Update>(1).size() == 1);
  REQUIRE(store->records.contains("a"));
  CHECK(store->records.at("a").held.version() == f.host->session("a")->held().version());

  store->works = false;  // it may have a session, which must not begin anew
  f.connect(2, "b");
  CHECK(f.log.count("session_not_restored") == 1);
  CHECK(f.transport.of<Welcome>(2).empty());
  REQUIRE(f.transport.of<Fault>(2).size() == 1);
  CHECK(f.transport.of<Fault>(2)[0].code == ErrorCode::unavailable);
  CHECK(f.transport.of<Fault>(2)[0].retry_seconds == f.options.busy_retry_seconds);
}

TEST_CASE("an update that cannot be saved is not sent, and the next one that can be is") {
  Fixture f;
  const auto store = std::make_shared<Store>();
  f.parts.store = store;
  f.begin();
  f.connect(1, "a");
  Follower device(f);
  f.batch(1, 1);
  device.take_all();
  const ModelVersion kept = device.held.version();
  CHECK(kept.number == 1);
  store->works = false;
  for (std::uint64_t id = 2; id <= 4; ++id) {
    f.clock.now += 10;
    f.batch(1, id);
    device.take_all();
  }
  CHECK(device.held.version() == kept);
  CHECK(f.host->session("a")->held().version() == kept);
  CHECK(f.host->session("a")->counters().samples == 20);
  CHECK(f.host->session("a")->last_error().find("cannot be saved") != std::string::npos);
  CHECK(f.log.count("session_not_saved") == 1);  // said once
  CHECK(f.log.count("phase_failed") == 0);
  CHECK(f.host->devices()[0].save_failure == "no");
  CHECK(f.host->metrics().find("ams_session_not_saved{device=\"a\"} 1\n") != std::string::npos);
  CHECK(f.transport.closed.empty());
  // Killed now, it goes on where the device is.
  f.leave(1);
  store->works = true;
  f.begin();
  f.host->on_connected(2, "x");
  f.host->on_message(2, f.hello("a", kept));
  CHECK(f.transport.of<Welcome>(2)[0].resume == Resume::in_step);
}

TEST_CASE("when there is room again, the update leaves without a new sample") {
  Fixture f;
  const auto store = std::make_shared<Store>();
  f.parts.store = store;
  f.begin();
  f.connect(1, "a");
  store->works = false;
  f.batch(1, 1);
  CHECK(f.transport.of<Update>(1).empty());
  store->works = true;
  f.clock.now = *f.host->next_wake_seconds();
  f.host->on_time();
  REQUIRE(f.transport.of<Update>(1).size() == 1);
  CHECK(store->records.at("a").held.version() == f.host->session("a")->held().version());
  CHECK(f.log.count("session_saved_again") == 1);
  CHECK(f.host->devices()[0].save_failure.empty());
}

TEST_CASE("a reset that cannot be saved changes nothing") {
  Fixture f;
  const auto store = std::make_shared<Store>();
  f.parts.store = store;
  f.begin();
  f.connect(1, "a");
  Follower device(f);
  f.batch(1, 1);
  device.take_all();
  store->works = false;
  CHECK_THROWS_WITH_AS(f.host->reset("a", "operator"), doctest::Contains("cannot be saved"), Error);
  CHECK_THROWS_WITH_AS(f.host->roll_back("a", "operator"), doctest::Contains("cannot be saved"),
                       Error);
  device.take_all();
  CHECK(device.held.version().number == 1);
  store->works = true;
  f.host->roll_back("a", "operator");  // its earlier state is still there
  device.take_all();
  CHECK(device.holds(toy::initial_state()));
}

TEST_CASE("an operator's pause outlives the host, and that of a setup does not") {
  Fixture f;
  f.parts.store = std::make_shared<Store>();
  bool is_pinned = true;
  f.parts.of_device = [&](const std::string& id) -> std::optional<DeviceSetup> {
    if (id != "pinned") return std::nullopt;
    return DeviceSetup{f.setup.policy(), f.setup.session, is_pinned};
  };
  f.begin();
  f.connect(1, "a");
  f.connect(2, "pinned");
  f.host->set_paused("a", true, "operator");
  f.clock.now = 20;
  f.batch(2, 1);
  f.clock.now = 40;
  f.batch(2, 2);  // its samples are saved
  is_pinned = false;
  f.begin();
  f.connect(3, "a");
  f.connect(4, "pinned");
  CHECK(f.host->devices()[0].is_paused);
  CHECK_FALSE(f.host->devices()[1].is_paused);
  f.host->set_paused("a", false, "operator");
  f.begin();
  f.connect(5, "a");
  CHECK_FALSE(f.host->devices()[0].is_paused);
}

TEST_CASE("samples that no update takes along are saved all the same, ten seconds apart") {
  Fixture f;
  const auto store = std::make_shared<Store>();
  f.parts.store = store;
  f.begin();
  f.connect(1, "a");
  f.host->set_paused("a", true, "operator");
  int saves = 0;
  store->on_save = [&] { ++saves; };
  for (std::uint64_t id = 1; id <= 7; ++id) {
    f.clock.now += 4;
    f.batch(1, id);
  }
  CHECK(saves == 1);
  f.clock.now += 4;
  f.batch(1, 8);
  CHECK(saves == 2);
  CHECK(store->records.at("a").samples.size() == 8);
  f.host->set_paused("a", false, "operator");
  CHECK(f.transport.of<Update>(1).size() == 1);
}

TEST_CASE("while an update is being saved, its device may come again") {
  Fixture f;
  const auto store = std::make_shared<Store>();
  f.parts.store = store;
  f.begin();
  f.connect(1, "a");
  store->on_save = [&] {
    f.connect(2, "a");
    CHECK(f.transport.of<Update>(2).empty());
  };
  f.batch(1, 1);
  REQUIRE(f.transport.sent[2].size() == 2);
  CHECK(std::holds_alternative<Welcome>(f.transport.sent[2][0]));
  CHECK(std::holds_alternative<Update>(f.transport.sent[2][1]));
}

TEST_CASE("a restarted host goes on with what the store has") {
  Fixture f;
  f.parts.store = std::make_shared<Store>();
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  const ModelVersion held = f.host->session("a")->held().version();
  f.begin();
  f.host->on_connected(2, "x");
  f.host->on_message(2, f.hello("a", held));
  REQUIRE(f.transport.of<Welcome>(2).size() == 1);
  CHECK(f.transport.of<Welcome>(2)[0].resume == Resume::in_step);
  CHECK(f.transport.of<Welcome>(2)[0].last_batch_id == 1);
  CHECK(f.log.count("restored") == 1);
}

TEST_CASE("what does not fit says so at the start") {
  Fixture f;
  const auto make = [&](auto&& change) {
    ServerParts parts = f.parts;
    change(parts);
    ServerHost host(parts, f.options, f.executor, f.transport);
  };
  CHECK_THROWS_AS(make([](ServerParts& p) { p.task = nullptr; }), Error);
  CHECK_THROWS_AS(make([](ServerParts& p) { p.teacher = nullptr; }), Error);
  CHECK_THROWS_AS(make([](ServerParts& p) { p.trainer = nullptr; }), Error);
  CHECK_THROWS_AS(make([](ServerParts& p) { p.codec = nullptr; }), Error);
  CHECK_THROWS_WITH_AS(
      make([](ServerParts& p) {
        TensorSpec other;
        other.name = "other";
        const auto manifest = std::make_shared<const Manifest>(std::vector<TensorSpec>{other});
        p.initial = ModelState(manifest, {0.0F});
      }),
      doctest::Contains("the trainer trains another network: only the initial model has 'other'"),
      Error);
  CHECK_THROWS_AS(make([](ServerParts& p) { p.make_policy = nullptr; }), Error);
  CHECK_THROWS_AS(make([](ServerParts& p) { p.make_policy = [] { return nullptr; }; }), Error);
  f.setup.strategy = make_selection_strategy("normalization", 1);  // the toy has no such layer
  CHECK_THROWS_AS(make([](ServerParts&) {}), Error);
  f.options.max_devices = 0;
  CHECK_THROWS_AS(make([](ServerParts&) {}), Error);
}

// ---- an operator ----

TEST_CASE("a paused device keeps its model until it goes on") {
  Fixture f;
  f.begin();
  f.connect(1, "a");
  f.host->set_paused("a", true, "operator");
  CHECK(f.host->devices()[0].is_paused);
  f.batch(1, 1);
  CHECK(f.host->session("a")->counters().samples == 5);
  CHECK(f.transport.of<Update>(1).empty());
  f.host->set_paused("a", false, "operator");
  CHECK(f.transport.of<Update>(1).size() == 1);
  CHECK(f.log.count("paused") == 1);
  CHECK(f.log.count("resumed") == 1);
  CHECK_THROWS_AS(f.host->set_paused("b", true, "operator"), Error);
}

TEST_CASE("the result of a phase that runs when the device is paused is not used") {
  Fixture f;
  f.executor.seconds[WorkKind::train] = 2;
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  f.host->set_paused("a", true, "operator");
  f.clock.now = 2;
  f.clock.run_next();
  CHECK(f.transport.of<Update>(1).empty());
  CHECK(f.host->session("a")->counters().phases_abandoned == 1);
  f.clock.now = 20;
  f.host->on_time();
  CHECK(f.transport.of<Update>(1).empty());
  f.host->set_paused("a", false, "operator");  // its samples are still to be learned from
  f.clock.now = 22;
  f.clock.run_next();
  CHECK(f.transport.of<Update>(1).size() == 1);
}

TEST_CASE("a device is reset and rolled back in order, and the store knows first") {
  Fixture f;
  auto store = std::make_shared<Store>();
  f.parts.store = store;
  f.setup.pace.update_interval_seconds = 10;
  f.begin();
  f.connect(1, "a");
  Follower device(f);
  f.batch(1, 1);
  device.take_all();
  const ModelState first = device.held;
  f.clock.now = 400;
  f.batch(1, 2);
  device.take_all();
  CHECK(device.held.version().number == 2);
  const ModelState second = device.held;

  std::uint64_t known = 0;
  store->on_save = [&] { known = f.transport.of<Snapshot>(1).size(); };
  f.host->roll_back("a", "operator");
  CHECK(known == 0);  // saved before it was sent
  device.take_all();
  CHECK(device.holds(first));
  CHECK(device.held.version().number == 3);
  CHECK(store->records.at("a").held.version() == device.held.version());
  CHECK(f.host->session("a")->confirmed() == device.held.version());
  f.host->roll_back("a", "operator");
  device.take_all();
  CHECK(device.holds(toy::initial_state()));
  CHECK_THROWS_AS(f.host->roll_back("a", "operator"), Error);

  f.clock.now = 500;
  f.batch(1, 3);
  device.take_all();
  CHECK_FALSE(device.holds(toy::initial_state()));
  f.host->reset("a", "operator");
  device.take_all();
  CHECK(device.holds(toy::initial_state()));
  CHECK(device.held.version() == f.host->session("a")->held().version());
  CHECK(f.transport.closed.empty());
  CHECK(f.log.count("reset") == 1);
  CHECK(f.log.count("rolled_back") == 2);

  // One that is away gets it when it is back.
  f.clock.now = 600;
  f.batch(1, 4);
  device.take_all();
  f.leave(1);
  f.host->reset("a", "operator");
  f.host->on_connected(2, "x");
  f.host->on_message(2, f.hello("a", device.held.version()));
  CHECK(f.transport.of<Snapshot>(2).size() == 1);
}

TEST_CASE("a phase that runs when its device is reset does not bring the old model back") {
  Fixture f;
  f.executor.seconds[WorkKind::train] = 2;
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  f.host->reset("a", "operator");
  Follower device(f);
  device.take_all();
  f.clock.now = 2;
  f.clock.run_next();
  device.take_all();
  CHECK(device.held.version().number == 1);
  CHECK(device.holds(toy::initial_state()));
  CHECK(f.host->session("a")->counters().phases_abandoned == 1);
}

TEST_CASE("an operator sees how devices are and were doing") {
  Fixture f;
  f.begin();
  f.connect(1, "a", "1.2.3.4:5");
  for (std::uint64_t second = 1; second <= 2000; ++second) {
    f.clock.now = double(second);
    if (second == 1000) f.batch(1, 1);
    f.host->on_time();
  }
  const std::vector<DeviceStatus> all = f.host->devices();
  REQUIRE(all.size() == 1);
  CHECK(all[0].device_id == "a");
  CHECK(all[0].label_age_seconds == 1000);
  CHECK(all[0].loss.has_value());
  CHECK(all[0].counters.samples == 5);
  const std::vector<HistoryPoint> past = f.host->history("a");
  CHECK(past.size() <= 512);
  CHECK(past.size() >= 256);
  CHECK(past.front().seconds < 10);
  CHECK(past.back().seconds > 1990);
  CHECK_THROWS_AS(f.host->history("b"), Error);
}

TEST_CASE("an operator sees what the device sees and predicts") {
  Fixture f;
  f.parts.task = std::make_shared<ShownTask>();
  f.parts.predictor = std::make_shared<ShownPredictor>();
  f.begin();
  f.connect(1, "a");
  std::string why;
  std::optional<DevicePictures> seen;
  const auto look = [&] {
    f.host->show("a", [&](const DevicePictures* pictures, const Error* error) {
      seen = pictures ? std::optional(*pictures) : std::nullopt;
      why = error ? error->what() : "";
    });
  };
  look();
  CHECK(why == "no frame of this device is labelled yet");
  f.batch(1, 1);
  look();
  REQUIRE(seen);
  CHECK(seen->sample.width == 3);
  CHECK(seen->teacher.height == 1);
  CHECK(seen->initial.height == 250);
  CHECK(seen->adapted.height == static_cast<int>(1000 * f.host->session("a")->held().values()[0]));
  CHECK(seen->held == f.host->session("a")->held().version());
  CHECK_THROWS_AS(f.host->show("b", [](const DevicePictures*, const Error*) {}), Error);
}

TEST_CASE("what else may throw costs a connection and a line in the log") {
  Fixture f;
  bool fails = false;
  f.options.has_reserved_place = [&](const std::string&) -> bool {
    if (fails) throw std::runtime_error("no");
    return false;
  };
  f.options.on_stage = [](const std::string&, Stage, double, std::uint64_t) {
    throw std::runtime_error("no");
  };
  f.begin();
  f.connect(1, "a");
  f.batch(1, 1);
  CHECK(f.transport.of<Update>(1).size() == 1);
  CHECK(f.log.count("stage_not_told") >= 1);

  fails = true;
  f.connect(2, "b");
  CHECK(f.transport.closed.contains(2));
  CHECK(f.log.count("connection_failed") == 1);
  fails = false;

  f.transport.works = false;
  f.clock.now = 20;
  f.batch(1, 2);
  CHECK(f.transport.closed.contains(1));
  CHECK(f.log.count("message_not_sent") >= 1);
  f.transport.works = true;
  f.leave(1);
  f.leave(2);
  f.host->on_connected(3, "x");
  f.host->on_message(3, f.hello("a"));
  CHECK(f.transport.of<Welcome>(3).size() == 1);
  CHECK(f.transport.of<Update>(3).size() == 2);  // nothing is lost
}

TEST_CASE("devices with a reserved place find one, and take only one of an absent stranger") {
  Fixture f;
  f.options.max_devices = 3;
  f.options.has_reserved_place = [](const std::string& id) { return id.starts_with("mine"); };
  f.options.reserved_places = [] { return std::size_t{2}; };
  f.begin();
  f.connect(1, "stranger 1");
  f.connect(2, "stranger 2");
  REQUIRE(f.transport.of<Fault>(2).size() == 1);
  const Fault busy = f.transport.of<Fault>(2)[0];
  CHECK(busy.code == ErrorCode::limit_exceeded);
  CHECK(busy.retry_seconds == 30);
  CHECK(busy.message.find("come back in 30 s") != std::string::npos);
  f.connect(3, "mine 1");
  f.connect(4, "mine 2");
  CHECK(f.transport.of<Welcome>(3).size() == 1);
  CHECK(f.transport.of<Welcome>(4).size() == 1);
  // Away, they keep their sessions: a stranger takes a stranger's place.
  f.leave(3);
  f.leave(4);
  f.leave(1);
  f.connect(5, "stranger 3");
  CHECK(f.transport.of<Welcome>(5).size() == 1);
  CHECK(f.host->session("stranger 1") == nullptr);
  f.connect(6, "stranger 4");
  CHECK(f.transport.of<Fault>(6).size() == 1);
  CHECK(f.host->session("mine 1") != nullptr);
  CHECK(f.host->session("mine 2") != nullptr);
  // More of them than were counted on: a stranger that is away makes room first.
  f.leave(5);
  f.connect(7, "mine 3");
  CHECK(f.transport.of<Welcome>(7).size() == 1);
  CHECK(f.host->session("stranger 3") == nullptr);
  CHECK(f.host->session("mine 1") != nullptr);
}

TEST_CASE("a device may have a policy and options of its own, and be pinned") {
  Fixture f;
  f.parts.of_device = [&](const std::string& id) -> std::optional<DeviceSetup> {
    if (id != "slow") return std::nullopt;
    toy::SessionSetup own = f.setup;
    own.pace.update_interval_seconds = 99;
    own.session.limits.max_buffer_samples = 2;
    return DeviceSetup{own.policy(), own.session, true};
  };
  f.begin();
  f.connect(1, "slow");
  f.connect(2, "b");
  CHECK(f.transport.of<Welcome>(1)[0].update_interval_seconds == 99);
  CHECK(f.transport.of<Welcome>(2)[0].update_interval_seconds != 99);
  CHECK(f.transport.of<Welcome>(2)[0].session_id == f.transport.of<Welcome>(1)[0].session_id + 1);
  f.batch(1, 1);
  f.batch(2, 1);
  CHECK(f.transport.of<Update>(1).empty());
  CHECK(f.transport.of<Update>(2).size() == 1);
  CHECK(f.host->session("slow")->buffered_samples() == 2);
  CHECK(f.host->session("b")->buffered_samples() == 5);
}

TEST_CASE("a device may have a student of its own, with its teacher, trainer and store") {
  struct Counting final : Trainer {
    toy::Trainer inner;
    int calls = 0;
    const std::shared_ptr<const Manifest>& manifest() const override { return inner.manifest(); }
    TrainingResult train(TrainingJob job) override {
      ++calls;
      return inner.train(std::move(job));
    }
  };
  Fixture f;
  int labelled = 0;
  const auto trainer = std::make_shared<Counting>();
  const auto store = std::make_shared<Store>(), others = std::make_shared<Store>();
  const auto other = std::make_shared<StudentParts>();
  other->initial = ModelState(toy::manifest(), std::vector<float>(toy::dimension, 0.5F));
  other->task = f.parts.task;
  other->teacher = std::make_shared<toy::Teacher>(600, [&](std::size_t) { ++labelled; });
  other->trainer = trainer;
  other->store = others;
  other->fingerprint = 7;
  other->name = "other";
  other->wrong_text = "not the other one";
  f.parts.store = store;
  f.options.student_fingerprint = 5;
  f.options.student_name = "usual";
  f.parts.of_device = [&](const std::string& id) -> std::optional<DeviceSetup> {
    if (id != "mine") return std::nullopt;
    return DeviceSetup{f.setup.policy(), f.setup.session, false, other};
  };
  f.begin();
  const auto greet = [&](ConnectionId connection, const std::string& id, Digest fingerprint,
                         ModelVersion held) {
    f.host->on_connected(connection, "x");
    Hello hello = f.hello(id, held);
    hello.student_fingerprint = fingerprint;
    f.host->on_message(connection, hello);
  };
  greet(1, "mine", 5, toy::initial_state().version());
  REQUIRE(f.transport.of<Fault>(1).size() == 1);
  CHECK(f.transport.of<Fault>(1)[0].message == "not the other one");
  greet(2, "mine", 7, other->initial.version());
  greet(3, "usual", 5, toy::initial_state().version());
  REQUIRE(f.transport.of<Welcome>(2).size() == 1);
  CHECK(f.transport.of<Welcome>(2)[0].resume == Resume::in_step);
  CHECK(f.transport.of<Welcome>(3)[0].resume == Resume::in_step);
  f.batch(2, 1);
  CHECK(labelled == 5);
  CHECK(trainer->calls == 1);
  CHECK(f.transport.of<Update>(2).size() == 1);
  CHECK(others->records.contains("mine"));
  CHECK(store->records.empty());
  f.batch(3, 1);
  CHECK(labelled == 5);
  CHECK(trainer->calls == 1);
  CHECK(f.transport.of<Update>(3).size() == 1);
  CHECK(store->records.contains("usual"));
  f.host->reset("mine", "operator");
  const std::vector<Snapshot> sent = f.transport.of<Snapshot>(2);
  REQUIRE(sent.size() == 1);
  CHECK(decode_snapshot(sent[0].bytes.span(), toy::manifest()).values()[0] == 0.5F);
  CHECK(f.host->devices()[0].student == "other");
  CHECK(f.host->devices()[1].student == "usual");

  // A restarted host finds each one's session where it was saved.
  const ModelVersion held = f.host->session("mine")->held().version();
  f.begin();
  greet(4, "mine", 7, held);
  REQUIRE(f.transport.of<Welcome>(4).size() == 1);
  CHECK(f.transport.of<Welcome>(4)[0].resume == Resume::in_step);

  other->trainer = nullptr;  // what is wrong with it costs the device its connection
  f.begin();
  greet(5, "mine", 7, held);
  CHECK(f.transport.closed.contains(5));
  CHECK(f.log.count("connection_failed") == 1);
}
