#include "ams/session/server_session.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "damage.hpp"
#include "toy.hpp"

using namespace ams;
using Session = ServerSession;

static_assert(std::is_move_constructible_v<Session> && std::is_move_assignable_v<Session>);

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

toy::SessionSetup options_for_tests() {
  toy::SessionSetup options;
  options.strategy = make_selection_strategy("full", 1);
  options.pace.batch_size = 3;
  options.pace.iterations = 4;
  return options;
}

Session make_session(const toy::SessionSetup& options = options_for_tests()) {
  return Session(toy::initial_state(), std::make_shared<toy::Task>(), options.policy(),
                 options.session);
}

Hello hello(const ModelState& held = toy::initial_state()) {
  Hello message;
  message.device_id = "camera 1";
  message.manifest_digest = toy::manifest()->digest();
  message.held = held.version();
  return message;
}

FrameBatch batch(std::uint64_t id, std::vector<double> times) {
  return {id, std::move(times), std::vector<std::byte>(10)};
}

template <class T>
const T* find_action(const ServerActions& actions) {
  for (const auto& action : actions) {
    if (const auto* found = std::get_if<T>(&action)) return found;
  }
  return nullptr;
}

template <class T>
const T* find_message(const ServerActions& actions) {
  for (const auto& action : actions) {
    const auto* send = std::get_if<SendToDevice>(&action);
    if (send == nullptr) continue;
    if (const auto* found = std::get_if<T>(&send->message)) return found;
  }
  return nullptr;
}

std::vector<TimedSample> samples_for(const std::vector<double>& times) {
  std::vector<TimedSample> samples;
  for (const double time : times) {
    const double tenths = std::isfinite(time) ? std::fmod(std::abs(time) * 10, 10000) : 0;
    samples.push_back({time, Handle::make(toy::observe(static_cast<std::size_t>(tenths), 600))});
  }
  return samples;
}

/// Sends and labels a batch; the actions of both.
ServerActions feed(Session& session, std::uint64_t id, const std::vector<double>& times,
                   double now) {
  ServerActions actions = session.on_frame_batch(batch(id, times), now);
  if (find_action<LabelBatch>(actions) == nullptr) return actions;
  ServerActions more = session.on_labelled(id, samples_for(times), now);
  actions.insert(actions.end(), more.begin(), more.end());
  return actions;
}

/// A phase that learns nothing, but sends.
ServerActions run_phase(Session& session, double now) {
  TrainingJob job = session.begin_phase(now);
  TrainingResult result;
  result.parameters = job.parameters;
  result.adam = job.adam;
  return session.on_phase_done(std::move(result), now);
}

/// The Fault that ends a connection; nullptr when it did not end so.
const Fault* fault_of(const ServerActions& actions) {
  const Fault* fault = find_message<Fault>(actions);
  CHECK((fault != nullptr) == (find_action<DisconnectDevice>(actions) != nullptr));
  return fault;
}

}  // namespace

TEST_CASE("options, state, task and policy are checked") {
  toy::SessionSetup options = options_for_tests();
  const auto task = std::make_shared<toy::Task>();
  CHECK_THROWS_AS(Session(ModelState(), task, options.policy(), options.session), Error);
  CHECK_THROWS_AS(Session(toy::initial_state(), nullptr, options.policy()), Error);
  CHECK_THROWS_AS(Session(toy::initial_state(), task, nullptr), Error);
  CHECK_NOTHROW(Session(toy::initial_state(), task, options.policy()));
  options.session.limits.max_pending_batches = 0;
  CHECK_THROWS_AS(Session(toy::initial_state(), task, options.policy(), options.session), Error);
  options.strategy = make_selection_strategy("normalization", 1);  // the toy has no such layer
  CHECK_THROWS_AS(Session(toy::initial_state(), task, options.policy()), Error);
}

TEST_CASE("Hello is answered with Welcome and the rates") {
  toy::SessionSetup options = options_for_tests();
  options.session.session_id = 77;
  options.pace.sampling.initial_fps = 0.7;
  options.pace.update_interval_seconds = 12;
  Session session = make_session(options);
  const ServerActions actions = session.on_hello(hello(), 3);
  REQUIRE(actions.size() == 1);
  const Welcome* welcome = find_message<Welcome>(actions);
  REQUIRE(welcome != nullptr);
  CHECK(welcome->version == protocol_version);
  CHECK(welcome->session_id == 77);
  CHECK(welcome->resume == Resume::in_step);
  CHECK(welcome->sampling_rate_fps == 0.7);
  CHECK(welcome->update_interval_seconds == 12);
  CHECK(welcome->last_batch_id == 0);
  CHECK(session.connected());
  CHECK(session.device_id() == "camera 1");
}

TEST_CASE("a Hello that does not fit is refused by name, and the next connection is free") {
  const auto refused = [](ErrorCode code, auto&& change) {
    Session session = make_session();
    Hello message = hello();
    change(message);
    const ServerActions actions = session.on_hello(message, 0);
    const Fault* fault = fault_of(actions);
    REQUIRE(fault != nullptr);
    CHECK(fault->code == code);
    CHECK(fault->message.size() <= max_text_bytes);
    CHECK_FALSE(session.connected());
    CHECK(session.counters().faults == 1);
    CHECK(session.on_hello(hello(), 1).empty());  // the same connection is over
    session.on_disconnect(2);
    CHECK(find_message<Welcome>(session.on_hello(hello(), 3)) != nullptr);
  };
  refused(ErrorCode::unsupported_version, [](Hello& h) { h.version = 99; });
  refused(ErrorCode::manifest_mismatch, [](Hello& h) { h.manifest_digest ^= 1; });
  refused(ErrorCode::malformed_data, [](Hello& h) { h.device_id.clear(); });
  refused(ErrorCode::malformed_data, [](Hello& h) { h.device_id = std::string(129, 'x'); });

  Session session = make_session();
  session.on_hello(hello(), 0);
  session.on_disconnect(1);
  Hello other = hello();
  other.device_id = "camera 2";
  CHECK(fault_of(session.on_hello(other, 2))->code == ErrorCode::protocol_violation);
}

TEST_CASE("nothing but Hello comes first, and Hello comes once") {
  const std::vector<DeviceMessage> too_early = {batch(1, {0}), Ack{}, Refusal{}, Bye{}};
  for (const DeviceMessage& message : too_early) {
    Session session = make_session();
    const ServerActions actions = session.on_message(message, 0);
    REQUIRE(fault_of(actions) != nullptr);
    CHECK(fault_of(actions)->code == ErrorCode::protocol_violation);
    CHECK(session.on_message(message, 0).empty());  // no second Fault on the same connection
    CHECK(session.counters().batches == 0);
  }
  Session session = make_session();
  session.on_message(hello(), 0);
  CHECK(fault_of(session.on_message(hello(), 0))->code == ErrorCode::protocol_violation);
}

TEST_CASE("hostile batches end the connection and change nothing") {
  const auto refused = [](FrameBatch bad) {
    toy::SessionSetup options = options_for_tests();
    options.session.limits.max_frames_per_batch = 5;
    options.session.limits.max_bitstream_bytes = 100;
    Session session = make_session(options);
    session.on_hello(hello(), 0);
    feed(session, 5, {1, 2, 3}, 3);
    const ServerActions actions = session.on_frame_batch(std::move(bad), 4);
    CHECK(fault_of(actions) != nullptr);
    CHECK(find_action<LabelBatch>(actions) == nullptr);
    CHECK(session.buffered_samples() == 3);
    CHECK(session.held().version() == toy::initial_state().version());
    session.on_disconnect(5);
    const ServerActions again = session.on_hello(hello(), 6);
    REQUIRE(find_message<Welcome>(again) != nullptr);
    CHECK(find_message<Welcome>(again)->last_batch_id == 5);
  };
  refused(batch(6, {}));
  refused(batch(6, {4, 5, 6, 7, 8, 9}));
  refused(batch(6, {not_a_number}));
  refused(batch(6, {4, not_a_number, 6}));
  refused(batch(6, {infinity}));
  refused(batch(6, {-1}));
  refused(batch(6, {1e300}));
  refused(batch(6, {5, 4}));
  refused(batch(6, {5, 5}));
  refused(batch(6, {5, 5e9}));
  refused(batch(0, {5}));
  refused(batch(std::numeric_limits<std::uint64_t>::max(), {5}));
  FrameBatch empty = batch(6, {5});
  empty.bitstream = {};
  refused(empty);
  FrameBatch large = batch(6, {5});
  resize(large.bitstream, 101);
  refused(large);
}

TEST_CASE("a repeated batch is ignored") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 3, {0, 1}, 2);
  CHECK(session.on_frame_batch(batch(3, {0, 1}), 3).empty());
  CHECK(session.on_frame_batch(batch(2, {0, 1}), 3).empty());
  CHECK(session.counters().batches_repeated == 2);
  CHECK(session.connected());
  CHECK(session.buffered_samples() == 2);
}

TEST_CASE("batches wait for their labels up to a limit, and samples enter in order") {
  toy::SessionSetup options = options_for_tests();
  options.session.limits.max_pending_batches = 3;
  options.pace.min_samples = 100;
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  for (std::uint64_t id = 1; id <= 5; ++id) {
    const auto begin = static_cast<double>(2 * id);
    const ServerActions actions = session.on_frame_batch(batch(id, {begin, begin + 1}), begin + 1);
    CHECK((find_action<LabelBatch>(actions) != nullptr) == (id <= 3));
  }
  CHECK(session.pending_batches() == 3);
  CHECK(session.counters().batches_dropped == 2);
  session.on_labelled(3, samples_for({6, 7}), 12);
  CHECK(session.buffered_samples() == 0);  // batches 1 and 2 are to come
  session.on_label_failed(1, 12);
  CHECK(session.buffered_samples() == 0);
  session.on_labelled(2, samples_for({5}), 12);  // its frame at 4 has no label
  CHECK(session.buffered_samples() == 3);
  CHECK(session.pending_batches() == 0);
  CHECK(session.counters().batches_failed == 1);
  CHECK(session.counters().samples == 3);
}

TEST_CASE("labels that are not the batch's are the driver's mistake") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  session.on_frame_batch(batch(1, {4, 5}), 5);
  CHECK_THROWS_AS(session.on_labelled(2, {}, 5), Error);
  CHECK_THROWS_AS(session.on_label_failed(0, 5), Error);
  CHECK_THROWS_AS(session.on_labelled(1, samples_for({4.5}), 5), Error);
  CHECK_THROWS_AS(session.on_labelled(1, samples_for({5, 4}), 5), Error);
  CHECK_THROWS_AS(session.on_labelled(1, samples_for({4, 4}), 5), Error);
  CHECK_THROWS_AS(session.on_labelled(1, samples_for({not_a_number}), 5), Error);
  CHECK(session.buffered_samples() == 0);
  session.on_labelled(1, samples_for({4, 5}), 5);
  CHECK_THROWS_AS(session.on_labelled(1, samples_for({4, 5}), 5), Error);
  CHECK(session.buffered_samples() == 2);
}

TEST_CASE(
    "the first phase waits for enough samples, the next ones for T_update and something new") {
  toy::SessionSetup options = options_for_tests();
  options.pace.min_samples = 5;
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  CHECK(find_action<TrainingDue>(feed(session, 1, {0, 1, 2, 3}, 4)) == nullptr);
  CHECK_FALSE(session.next_wake_seconds());
  CHECK_THROWS_AS(session.begin_phase(4), Error);
  CHECK_THROWS_AS(session.on_phase_failed(Error(ErrorCode::unavailable, "x"), 4), Error);
  const ServerActions actions = feed(session, 2, {4}, 5);
  CHECK(find_action<TrainingDue>(actions) != nullptr);
  CHECK(session.training_due());
  CHECK(session.on_time(6).empty());  // said once

  CHECK_THROWS_AS(session.on_phase_done({}, 7), Error);
  const TrainingJob job = session.begin_phase(7);
  CHECK(session.phase_running());
  CHECK_THROWS_AS(session.begin_phase(7), Error);
  CHECK(job.mini_batches.size() == 4);
  for (const auto& mini_batch : job.mini_batches) CHECK(mini_batch.size() == 3);
  CHECK(job.coordinates.size() == toy::inputs + 1);  // no statistics
  CHECK(job.required_gradients.size() == 3);

  // New samples while it runs wait.
  CHECK(find_action<TrainingDue>(feed(session, 3, {5, 6}, 8)) == nullptr);
  CHECK_THROWS_AS(session.on_phase_done({}, 9), Error);  // wrong sizes: still running
  CHECK(session.phase_running());
  TrainingResult result;
  result.parameters = job.parameters;
  result.parameters[0] = 3;
  result.adam = job.adam;
  const ServerActions done = session.on_phase_done(result, 9);
  CHECK(find_message<Update>(done) != nullptr);
  CHECK(find_action<TrainingDue>(done) == nullptr);
  CHECK(session.held().values()[0] == 3);
  CHECK(session.next_wake_seconds() == 17);
  CHECK(session.on_time(16.9).empty());
  CHECK(find_action<TrainingDue>(session.on_time(17)) != nullptr);

  run_phase(session, 17);
  CHECK(session.on_time(100).empty());  // nothing new
  CHECK(find_action<TrainingDue>(feed(session, 4, {100}, 101)) != nullptr);
}

TEST_CASE("the first phase comes however far apart the samples are") {
  toy::SessionSetup options = options_for_tests();
  options.pace.horizon_seconds = 2;
  Session session = make_session(options);  // four samples
  session.on_hello(hello(), 0);
  CHECK(find_action<TrainingDue>(feed(session, 1, {0, 1}, 2)) == nullptr);
  CHECK(find_action<TrainingDue>(feed(session, 2, {100}, 101)) == nullptr);
  CHECK(find_action<TrainingDue>(feed(session, 3, {200}, 201)) != nullptr);
  CHECK(session.begin_phase(201).mini_batches.size() == 4);
}

TEST_CASE("a sampling rate that never slows down is allowed") {
  toy::SessionSetup options = options_for_tests();
  options.pace.sampling.phi_target = -0.1;
  Session session = make_session(options);
  CHECK(find_message<Welcome>(session.on_hello(hello(), 0)) != nullptr);
  feed(session, 1, {0, 1, 2, 3}, 4);
  CHECK(session.training_due());
}

TEST_CASE("mini-batches are drawn over the horizon and the newest samples, uniformly") {
  toy::SessionSetup options = options_for_tests();
  SUBCASE("T_horizon is the shorter") {
    options.pace.horizon_seconds = 20;
  }
  SUBCASE("so many samples are less") {
    options.session.limits.max_buffer_samples = 21;
  }
  options.pace.batch_size = 4096;
  options.pace.iterations = 1;
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  std::uint64_t id = 0;
  for (double begin = 0; begin < 50; begin += 5) {
    feed(session, ++id, {begin, begin + 1, begin + 2, begin + 3, begin + 4}, begin + 5);
  }
  const TrainingJob job = session.begin_phase(50);
  std::map<float, int> drawn;
  for (const Handle& sample : job.mini_batches[0]) ++drawn[sample.as<toy::Sample>().y];
  CHECK(drawn.size() == 21);  // 29 to 49, both included
  for (int time = 29; time < 50; ++time) {
    const int count = drawn[toy::observe(static_cast<std::size_t>(time) * 10, 600).y];
    CHECK(count > 195 - 70);  // five standard deviations
    CHECK(count < 195 + 70);
  }
}

TEST_CASE("a failed phase loses nothing but itself") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  const ModelVersion held = session.held().version();

  const auto spoil = [&](double now, auto&& change) {
    REQUIRE(session.training_due());
    TrainingJob job = session.begin_phase(now);
    CHECK(job.adam.step_count == 0);  // what a spoiled phase left is never used
    TrainingResult result{job.parameters, job.adam, {1, 2}, 0.1};
    result.adam.step_count = 20;
    change(result);
    const ServerActions actions = session.on_phase_done(std::move(result), now);
    CHECK(actions.empty());
    CHECK(session.held().version() == held);
    CHECK_FALSE(session.last_error().empty());
    // The same samples are tried again after T_update.
    CHECK(session.next_wake_seconds() == now + 10);
    CHECK(find_action<TrainingDue>(session.on_time(now + 10)) != nullptr);
  };
  spoil(10, [](TrainingResult& r) { r.losses[1] = not_a_number; });
  spoil(20, [](TrainingResult& r) { r.parameters[2] = static_cast<float>(not_a_number); });
  spoil(30, [](TrainingResult& r) { r.parameters[2] = -static_cast<float>(infinity); });
  spoil(40, [](TrainingResult& r) { r.adam.first_moment[0] = static_cast<float>(not_a_number); });
  spoil(50, [](TrainingResult& r) { r.adam.second_moment[0] = static_cast<float>(infinity); });
  session.begin_phase(60);
  CHECK(session.on_phase_failed(Error(ErrorCode::unavailable, "no trainer"), 61).empty());
  CHECK(session.last_error() == "no trainer");
  CHECK(session.counters().phases_failed == 6);
  CHECK(session.counters().updates == 0);
  session.on_time(70);
  CHECK(find_message<Update>(run_phase(session, 70)) != nullptr);
}

TEST_CASE("a phase that failed is not tried again for a device that is away") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  const auto fail = [&](double now) {
    session.begin_phase(now);
    session.on_phase_failed(Error(ErrorCode::unavailable, "no trainer"), now);
  };
  fail(10);
  session.on_disconnect(11);  // the link is lost, without a Bye
  CHECK_FALSE(session.next_wake_seconds());
  for (double now = 20; now < 1000; now += 10) {
    CHECK(find_action<TrainingDue>(session.on_time(now)) == nullptr);
  }
  // Once the device is back it is, with the same samples.
  CHECK(find_action<TrainingDue>(session.on_hello(hello(), 1000)) != nullptr);
  // Labels that come while it is away are a reason to try.
  session.on_frame_batch(batch(2, {10, 11}), 1000);
  fail(1000);
  session.on_disconnect(1001);
  CHECK_FALSE(session.next_wake_seconds());
  session.on_labelled(2, samples_for({10, 11}), 1005);
  CHECK(session.next_wake_seconds() == 1010);
  CHECK(find_action<TrainingDue>(session.on_time(1010)) != nullptr);
  fail(1010);
  CHECK_FALSE(session.next_wake_seconds());
  CHECK(find_action<TrainingDue>(session.on_hello(hello(), 1100)) != nullptr);
  CHECK(find_message<Update>(run_phase(session, 1100)) != nullptr);
}

TEST_CASE("Adam's memory and the held values go from phase to phase") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  toy::Trainer trainer;
  double now = 0;
  AdamState expected(toy::dimension);
  for (std::uint64_t id = 1; id <= 5; ++id, now += 10) {
    feed(session, id, {now, now + 1, now + 2, now + 3}, now + 4);
    TrainingJob job = session.begin_phase(now + 4);
    CHECK(std::ranges::equal(job.parameters, session.held().values()));
    CHECK(job.adam.first_moment == expected.first_moment);
    CHECK(job.adam.second_moment == expected.second_moment);
    CHECK(job.adam.step_count == expected.step_count);
    TrainingResult result = trainer.train(std::move(job));
    expected = result.adam;
    CHECK(expected.step_count == static_cast<std::int64_t>(4 * id));
    session.on_phase_done(std::move(result), now + 5);
    session.on_ack({session.held().version()}, now + 5);
  }
}

namespace {

/// A phase that moves value i by moved[i]; what it began with and has come to.
struct MovedPhase {
  std::vector<float> began, wanted;
};

MovedPhase move_by(Session& session, const std::vector<float>& moved, double now) {
  MovedPhase phase;
  TrainingJob job = session.begin_phase(now);
  phase.began = job.parameters;
  phase.wanted = job.parameters;
  for (std::size_t i = 0; i < moved.size(); ++i) phase.wanted[i] += moved[i];
  TrainingResult result;
  result.parameters = phase.wanted;
  result.adam = job.adam;
  const ServerActions actions = session.on_phase_done(std::move(result), now);
  REQUIRE(find_message<Update>(actions) != nullptr);
  session.on_ack({session.held().version()}, now);
  return phase;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  }
  return largest;
}

const std::vector<float> one_far_the_others_less = {0.4F,  0.03F,  -0.05F, 0.02F,
                                                    0.06F, -0.01F, 0.02F};

}  // namespace

TEST_CASE("what an update leaves out, the next phases begin with where there is a budget") {
  for (const bool has_feedback : {true, false}) {
    toy::SessionSetup options = options_for_tests();
    options.encode.profile = UpdateProfile::compact;
    if (has_feedback) {
      options.budget = DownlinkBudgetOptions{.budget_bps = 4000};
    }
    CAPTURE(has_feedback);
    Session session = make_session(options);
    session.on_hello(hello(), 0);
    feed(session, 1, {0, 1, 2, 3}, 4);
    const MovedPhase first = move_by(session, one_far_the_others_less, 4);
    const double left_out = largest_difference(session.held().values(), first.wanted);
    CHECK(left_out > 0.005);

    // A phase that fails neither forgets nor adds.
    feed(session, 2, {11, 12, 13}, 14);
    session.begin_phase(14);
    session.on_phase_failed(Error(ErrorCode::invalid_argument, "out of memory"), 14);

    double now = 24;
    for (std::uint64_t id = 3; id <= 9; ++id, now += 10) {
      feed(session, id, {now - 3, now - 2, now - 1}, now);
      const std::vector<float> held(session.held().values().begin(), session.held().values().end());
      const MovedPhase next = move_by(session, {}, now);
      CHECK(largest_difference(next.began, has_feedback ? first.wanted : held) < 1e-6);
    }
    const double at_last = largest_difference(session.held().values(), first.wanted);
    CHECK((at_last < left_out / 4) == has_feedback);
  }
}

TEST_CASE("weights are written as coarsely as the options say, from the first update on") {
  const auto first_error = [](double multiplier) {
    toy::SessionSetup options = options_for_tests();
    options.encode.profile = UpdateProfile::compact;
    options.encode.compact.weight_step_multiplier = multiplier;
    Session session = make_session(options);
    session.on_hello(hello(), 0);
    feed(session, 1, {0, 1, 2, 3}, 4);
    const MovedPhase first = move_by(session, one_far_the_others_less, 4);
    return largest_difference(session.held().values(), first.wanted);
  };
  CHECK(first_error(0.125) < first_error(1) / 2);
  CHECK(first_error(1) < first_error(8) / 2);
}

TEST_CASE("weights that are small at the beginning learn less fast, unless told otherwise") {
  for (const bool by_size : {true, false}) {
    toy::SessionSetup options = options_for_tests();
    options.learning_rates_by_size = by_size;
    options.adam.learning_rate = 0.01;
    Session session = make_session(options);
    session.on_hello(hello(), 0);
    toy::Trainer trainer;
    double now = 0;
    for (std::uint64_t id = 1; id <= 3; ++id, now += 10) {
      feed(session, id, {now, now + 1, now + 2, now + 3}, now + 4);
      TrainingJob job = session.begin_phase(now + 4);
      // The weight begins at 0.25 and has two extents; what it has become changes nothing.
      const std::vector<LearningRateRange> ranges = job.learning_rates;
      REQUIRE(ranges.size() == (by_size ? 1 : 0));
      if (by_size) CHECK(ranges[0] == LearningRateRange{0, toy::inputs, 0.625});
      const std::vector<float> before = job.parameters;
      TrainingResult result = trainer.train(std::move(job));
      if (id == 1) {
        // The first step of Adam moves each coordinate by its rate; later ones by at most as much.
        double farthest = 0;
        for (std::size_t i = 0; i < toy::inputs; ++i) {
          farthest = std::max(farthest, std::abs(double{result.parameters[i]} - before[i]));
        }
        const double rate = by_size ? 0.00625 : 0.01;
        CHECK(farthest > rate);
        CHECK(farthest <= 4.001 * rate);
      }
      session.on_phase_done(std::move(result), now + 5);
      session.on_ack({session.held().version()}, now + 5);
    }
  }
}

TEST_CASE("a plan that does not fit the model fails its phase, and the next one has its turn") {
  /// Its first plan is of another model.
  struct Careless final : UpdatePolicy {
    int plans = 0;
    void prepare(const ModelState&) override {}
    double sampling_rate_fps() const override { return 1; }
    double update_interval_seconds() const override { return 10; }
    std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
      return context.latest_begin_seconds.value_or(context.now_seconds - 10) + 10;
    }
    PhasePlan plan(const PhaseContext& context, Random&) override {
      PhasePlan plan;
      plan.coordinates = CoordinateSet::all(plans++ == 0 ? 3 : toy::dimension);
      plan.parameters.assign(context.held.values().begin(), context.held.values().end());
      plan.required_gradients = {true, true, false};
      return plan;
    }
  };
  Session session(toy::initial_state(), std::make_shared<toy::Task>(),
                  std::make_unique<Careless>());
  session.on_hello(hello(), 0);
  feed(session, 1, {0}, 1);
  REQUIRE(session.training_due());
  CHECK_THROWS_AS(session.begin_phase(2), Error);
  CHECK(session.training_due());
  CHECK(session.on_phase_failed(Error(ErrorCode::invalid_argument, "the plan"), 2).empty());
  CHECK_FALSE(session.training_due());
  CHECK(session.counters().phases_failed == 1);
  CHECK(session.next_wake_seconds() == 12);
  session.on_time(12);
  toy::Trainer trainer;
  const ServerActions actions = session.on_phase_done(trainer.train(session.begin_phase(12)), 13);
  CHECK(find_message<Update>(actions) != nullptr);
}

TEST_CASE("an update is written beside the session, and sent when it is there") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  CHECK_THROWS_AS(session.on_written({}, 4), Error);
  toy::Trainer trainer;
  Session::Trained trained = session.on_trained(trainer.train(session.begin_phase(4)), 5);
  REQUIRE(trained.job.has_value());
  CHECK(trained.actions.empty());
  CHECK(session.phase_running());
  CHECK_THROWS_AS(session.on_trained({}, 5), Error);
  // Meanwhile the session goes on with the model that the device holds.
  const ModelVersion before = session.held().version();
  feed(session, 2, {5, 6}, 6);
  WrittenUpdate written = write_update(std::move(*trained.job));
  CHECK(session.held().version() == before);
  const ModelVersion next = written.next->version();
  const ServerActions actions = session.on_written(std::move(written), 7);
  const Update* update = find_message<Update>(actions);
  REQUIRE(update != nullptr);
  CHECK(session.held().version() == next);
  ModelState device = toy::initial_state();
  apply_update(update->bytes.span(), device);
  CHECK(device.version() == next);

  // A device that leaves while its update is written does not get it.
  session.on_ack({next}, 8);
  session.on_time(14);
  trained = session.on_trained(trainer.train(session.begin_phase(14)), 15);
  session.on_bye({}, 15);
  session.on_disconnect(15);
  session.on_written(write_update(std::move(*trained.job)), 16);
  CHECK(session.counters().phases_abandoned == 1);
  CHECK(session.held().version() == next);
}

TEST_CASE("no batch id keeps a device out") {
  // A device counts on from Welcome's last_batch_id, so the server may not name the last one there is.
  for (const std::uint64_t id : {max_batch_id, max_batch_id - 1, max_batch_id_gap + 2}) {
    CAPTURE(id);
    Session session = make_session();
    session.on_hello(hello(), 0);
    feed(session, 1, {0, 1}, 2);
    const ServerActions actions = session.on_frame_batch(batch(id, {4, 5}), 5);
    REQUIRE(find_message<Fault>(actions) != nullptr);
    CHECK(find_message<Fault>(actions)->code == ErrorCode::malformed_data);
    session.on_disconnect(6);
    const ServerActions again = session.on_hello(hello(), 7);
    REQUIRE(find_message<Welcome>(again) != nullptr);
    CHECK(find_message<Welcome>(again)->last_batch_id == 1);
    CHECK(find_message<Fault>(session.on_frame_batch(batch(2, {8}), 8)) == nullptr);
  }
}

TEST_CASE("a store may know first what an update and a replaced model lead to") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  const auto check_same = [&](const SessionRecord& told) {
    const SessionRecord record = session.record();
    CHECK(told.held.version() == record.held.version());
    CHECK(told.adam.step_count == record.adam.step_count);
    CHECK(told.adam.first_moment == record.adam.first_moment);
    CHECK(told.counters.updates == record.counters.updates);
    CHECK(told.counters.update_bytes == record.counters.update_bytes);
    CHECK(told.counters.phases == record.counters.phases);
    REQUIRE(told.history.size() == record.history.size());
    for (std::size_t i = 0; i < told.history.size(); ++i) {
      CHECK(told.history[i].base == record.history[i].base);
      CHECK(told.history[i].bytes == record.history[i].bytes);
    }
  };
  toy::Trainer trainer;
  auto trained = session.on_trained(trainer.train(session.begin_phase(4)), 5);
  REQUIRE(trained.job);
  WrittenUpdate written = write_update(std::move(*trained.job));
  const SessionRecord with_update = session.record_with(written);
  CHECK(session.held().version().number == 0);
  session.on_written(std::move(written), 5);
  check_same(with_update);
  CHECK_THROWS_AS(session.record_with(WrittenUpdate{}), Error);

  std::vector<float> values(toy::dimension, 0.25F);
  const SessionRecord replaced = session.record_with(values);
  session.replace_model(values, 6);
  check_same(replaced);
  CHECK(session.held().version().number == 2);
  CHECK_THROWS_AS(session.record_with(std::vector<float>(1)), Error);

  session.set_paused(true, 7);
  const toy::SessionSetup options = options_for_tests();
  const Session second(session.record(), toy::initial_state(), std::make_shared<toy::Task>(),
                       options.policy(), options.session);
  CHECK(second.is_paused());
}

TEST_CASE("a session goes on from its record") {
  Session first = make_session();
  first.on_hello(hello(), 0);
  feed(first, 1, {0, 1, 2, 3}, 4);
  toy::Trainer trainer;
  first.on_phase_done(trainer.train(first.begin_phase(4)), 5);
  const SessionRecord record = first.record();
  CHECK(record.device_id == "camera 1");

  const toy::SessionSetup options = options_for_tests();
  Session second(record, toy::initial_state(), std::make_shared<toy::Task>(), options.policy(),
                 options.session);
  CHECK(second.held().version() == first.held().version());
  CHECK(second.counters().phases == 1);
  const ServerActions actions = second.on_hello(hello(first.held()), 0);
  const Welcome* welcome = find_message<Welcome>(actions);
  REQUIRE(welcome != nullptr);
  CHECK(welcome->resume == Resume::in_step);
  CHECK(welcome->last_batch_id == 1);
  // Adam goes on as well: the same samples give the same step as they would have.
  feed(second, 2, {4, 5, 6, 7}, 8);
  CHECK(second.begin_phase(8).adam.step_count == first.record().adam.step_count);

  // A device that has missed the last update gets it.
  Session third(record, toy::initial_state(), std::make_shared<toy::Task>(), options.policy(),
                options.session);
  const ServerActions missed = third.on_hello(hello(toy::initial_state()), 0);
  REQUIRE(find_message<Welcome>(missed) != nullptr);
  CHECK(find_message<Welcome>(missed)->resume == Resume::updates);
  REQUIRE(find_message<Update>(missed) != nullptr);
  CHECK(find_message<Update>(missed)->bytes == record.history.back().bytes);

  SessionRecord damaged = record;
  damaged.adam.first_moment.pop_back();
  SessionRecord gap = record;
  gap.history.back().base.number += 5;
  for (const SessionRecord& bad : {damaged, gap}) {
    CHECK_THROWS_AS(Session(bad, toy::initial_state(), std::make_shared<toy::Task>(),
                            options.policy(), options.session),
                    Error);
  }
}

TEST_CASE("a session's record has the newest samples, within its bounds") {
  toy::SessionSetup options = options_for_tests();
  options.session.limits.max_buffer_samples = 6;
  const auto label = [](std::size_t size) { return Bytes(std::vector<std::byte>(size)); };
  const auto feed_kept = [&](Session& session, std::uint64_t id, const std::vector<double>& times,
                             std::size_t label_bytes) {
    session.on_frame_batch(batch(id, times), times.back());
    std::vector<TimedSample> samples = samples_for(times);
    for (TimedSample& sample : samples) sample.label = label(label_bytes);
    session.on_labelled(id, std::move(samples), times.back());
  };
  const auto ids = [](const Session& session) {
    std::vector<std::uint64_t> found;
    for (const LabelledBatch& kept : session.kept_batches()) found.push_back(kept.batch_id);
    return found;
  };
  using Ids = std::vector<std::uint64_t>;
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  feed_kept(session, 1, {0, 1}, 5);
  feed(session, 2, {2, 3}, 3);  // no labels for a store
  feed_kept(session, 3, {4, 5, 6}, 5);
  CHECK(ids(session) == Ids{1, 3});
  feed_kept(session, 4, {7, 8}, 5);
  CHECK(ids(session) == Ids{1, 3, 4});  // 7 samples: the buffer has 6
  feed_kept(session, 5, {9}, 5);
  CHECK(ids(session) == Ids{3, 4, 5});
  const LabelledBatch kept = session.record().samples.front();
  CHECK(kept.capture_seconds == std::vector<double>{4, 5, 6});
  CHECK(kept.bitstream.size() == 10);
  CHECK(kept.labels == std::vector<Bytes>(3, label(5)));

  options.session.limits.max_record_sample_bytes = 50;
  Session small = make_session(options);
  small.on_hello(hello(), 0);
  feed_kept(small, 1, {0}, 10);
  feed_kept(small, 2, {1}, 10);
  feed_kept(small, 3, {2}, 20);
  CHECK(ids(small) == Ids{2, 3});
  feed_kept(small, 4, {3}, 50);
  CHECK(ids(small) == Ids{2, 3});
  options.session.limits.max_record_sample_bytes = 0;
  Session none = make_session(options);
  none.on_hello(hello(), 0);
  feed_kept(none, 1, {0}, 10);
  CHECK(none.record().samples.empty());

  // The next life: nothing is in the buffer until it is decoded again.
  options.session.limits.max_record_sample_bytes = 1000;
  Session second(session.record(), toy::initial_state(), std::make_shared<toy::Task>(),
                 options.policy(), options.session);
  CHECK(ids(second) == Ids{3, 4, 5});
  CHECK(second.buffered_samples() == 0);
  second.on_hello(hello(), 0);
  second.on_restored(3, samples_for({4, 5, 6}), 0);
  second.on_restored(3, samples_for({4, 5, 6}), 0);
  second.on_restored(99, samples_for({4}), 0);
  CHECK(second.buffered_samples() == 3);
  second.on_restored(4, {}, 0);
  CHECK(ids(second) == Ids{3, 5});
  CHECK_FALSE(second.training_due());  // they were seen
  CHECK(second.counters().samples == session.counters().samples);
  feed_kept(second, 6, {10, 11}, 5);  // the video goes on
  CHECK(second.buffered_samples() == 5);
  second.on_restored(5, samples_for({9}), 0);
  CHECK(second.buffered_samples() == 6);
}

TEST_CASE("a phase goes on while the device is away, and its update waits") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  TrainingJob job = session.begin_phase(4);
  session.on_frame_batch(batch(2, {4, 5}), 5);
  session.on_disconnect(5);
  TrainingResult result{job.parameters, job.adam, {}, 0};
  result.parameters[1] = 2;
  CHECK(session.on_phase_done(std::move(result), 6).empty());
  session.on_labelled(2, samples_for({4, 5}), 7);
  CHECK(find_action<TrainingDue>(session.on_time(14)) != nullptr);
  CHECK(session.held().version().number == 1);
  const ServerActions actions = session.on_hello(hello(), 20);
  CHECK(find_message<Welcome>(actions)->resume == Resume::updates);
  CHECK(find_message<Welcome>(actions)->last_batch_id == 2);
  CHECK(find_message<Update>(actions) != nullptr);
}

TEST_CASE("wrong Acks and refusals are counted and healed, endless ones end the connection") {
  toy::SessionSetup options = options_for_tests();
  options.session.limits.max_consecutive_snapshots = 2;
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  ServerActions actions = session.on_ack({{7, 7}}, 1);
  CHECK(find_message<Snapshot>(actions) != nullptr);
  CHECK(session.counters().acks_wrong == 1);
  actions =
      session.on_refusal({toy::initial_state().version(), ErrorCode::digest_mismatch, "no"}, 2);
  CHECK(find_message<Snapshot>(actions) != nullptr);
  CHECK(session.last_error() == "the device refused: digest_mismatch: no");
  actions = session.on_refusal({}, 3);
  CHECK(fault_of(actions) != nullptr);
  CHECK(session.counters().snapshots == 2);
  CHECK(session.counters().refusals == 2);
  CHECK_FALSE(session.connected());
}

TEST_CASE("Bye ends the connection and keeps the session; nothing moves until the device is back") {
  Session session = make_session();
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  CHECK(session.training_due());
  session.on_frame_batch(batch(2, {4, 5}), 5);
  const ServerActions actions = session.on_bye({"done"}, 5);
  CHECK(find_message<Bye>(actions) != nullptr);
  CHECK(find_action<DisconnectDevice>(actions) != nullptr);
  CHECK(find_message<Fault>(actions) == nullptr);
  session.on_disconnect(6);
  CHECK_FALSE(session.training_due());
  session.on_labelled(2, samples_for({4, 5}), 6);
  CHECK_FALSE(session.next_wake_seconds());
  CHECK(session.on_time(100).empty());
  CHECK(session.buffered_samples() == 6);
  const ServerActions back = session.on_hello(hello(), 101);
  CHECK(find_message<Welcome>(back)->resume == Resume::in_step);
  CHECK(find_action<TrainingDue>(back) != nullptr);
}

TEST_CASE("a phase that runs when the device says Bye is used only if it is back in time") {
  for (const bool back_in_time : {false, true}) {
    Session session = make_session();
    session.on_hello(hello(), 0);
    feed(session, 1, {0, 1, 2, 3}, 4);
    TrainingJob job = session.begin_phase(4);
    TrainingResult result{job.parameters, job.adam, {}, 1};
    result.parameters[0] = 5;
    result.adam.step_count = 4;
    session.on_bye({}, 5);
    session.on_disconnect(5);
    if (back_in_time) session.on_hello(hello(), 6);
    const ServerActions actions = session.on_phase_done(std::move(result), 7);
    CHECK((find_message<Update>(actions) != nullptr) == back_in_time);
    CHECK(session.held().version().number == (back_in_time ? 1 : 0));
    CHECK(session.counters().phases_abandoned == (back_in_time ? 0 : 1));
    if (back_in_time) continue;
    session.on_hello(hello(), 8);
    REQUIRE(find_action<TrainingDue>(session.on_time(14)) != nullptr);
    CHECK(session.begin_phase(14).adam.step_count == 0);
  }
}

TEST_CASE("a snapshot on a slow link has the time that it takes") {
  for (const double budget_bps : {0.0, 500.0}) {
    toy::SessionSetup options = options_for_tests();
    options.session.limits.ack_timeout_seconds = 100;
    options.pace.min_samples = 1000;  // no phase
    if (budget_bps > 0) {
      options.budget = ams::DownlinkBudgetOptions{.budget_bps = budget_bps};
    }
    Session session = make_session(options);
    const ams::ModelState other(toy::manifest(), std::vector<float>(toy::dimension, 7));
    const ServerActions actions = session.on_hello(hello(other), 10);
    const auto* snapshot = find_message<ams::Snapshot>(actions);
    REQUIRE(snapshot != nullptr);
    const double travel_seconds =
        8 * double(snapshot->bytes.size()) / (budget_bps > 0 ? budget_bps : 8000);
    REQUIRE(session.next_wake_seconds().has_value());
    CHECK(*session.next_wake_seconds() == doctest::Approx(110 + travel_seconds));
    CHECK(session.on_time(109.9 + travel_seconds).empty());
    CHECK(session.connected());
    CHECK(find_action<DisconnectDevice>(session.on_time(110.1 + travel_seconds)) != nullptr);
  }
}

TEST_CASE("a device that begins its timeline anew goes on learning") {
  toy::SessionSetup options = options_for_tests();
  options.pace.horizon_seconds = 30;
  options.session.limits.max_updates_in_flight = 1000;  // nobody acknowledges here
  options.session.limits.ack_timeout_seconds = 1e6;
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  std::uint64_t id = 0;
  const auto life = [&](double begin, double now) {
    for (double t = 0; t < 100; t += 5, now += 5) {
      feed(session, ++id, {begin + t, begin + t + 1, begin + t + 2, begin + t + 3}, now);
      if (session.training_due()) run_phase(session, now);
      CHECK(session.buffered_samples() <= 32);
    }
    CHECK(session.buffered_samples() >= 24);
  };
  life(0, 4);
  session.on_disconnect(110);
  session.on_hello(hello(), 111);
  life(0, 112);      // restarted
  life(1.7e9, 300);  // a camera that counts from 1970
  life(50, 500);
  CHECK(session.counters().samples_dropped == 0);
  CHECK(session.counters().samples == 4 * 80);
  CHECK(session.counters().phases >= 30);
  // A long time away empties the horizon.
  feed(session, ++id, {3}, 10000);
  CHECK(session.buffered_samples() == 1);
}

TEST_CASE("phi compares consecutive samples, and odd results are skipped") {
  std::vector<std::pair<float, float>> pairs;
  int call = 0;
  toy::SessionSetup options = options_for_tests();
  options.pace.sampling.phi_target = 1;
  options.pace.sampling.step_fps = 0.1;
  options.pace.sampling.initial_fps = 0.5;
  const auto task = std::make_shared<toy::Task>(
      [&](const toy::Sample& previous, const toy::Sample& current) -> std::optional<double> {
        pairs.emplace_back(previous.y, current.y);
        switch (call++) {
          case 0:
            return not_a_number;
          case 1:
            throw Error(ErrorCode::invalid_argument, "sizes differ");
          case 2:
            return std::nullopt;
          default:
            return 3.0;
        }
      });
  Session session(toy::initial_state(), task, options.policy(), options.session);
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  const ServerActions actions = feed(session, 2, {4, 5}, 12);
  const auto y = [](int time) { return toy::observe(static_cast<std::size_t>(time) * 10, 600).y; };
  REQUIRE(pairs.size() == 5);
  for (int i = 0; i < 5; ++i) {
    CHECK(pairs[static_cast<std::size_t>(i)] == std::pair{y(i), y(i + 1)});
  }
  // Equation (1) by hand: 0.5 + 0.1 * (3 - 1), once delta_t is over.
  const Control* control = find_message<Control>(actions);
  REQUIRE(control != nullptr);
  CHECK(control->sampling_rate_fps == doctest::Approx(0.7));
  CHECK(session.sampling_rate_fps() == control->sampling_rate_fps);
  // Not across a new beginning of the timeline.
  feed(session, 3, {0, 1}, 20);
  CHECK(pairs.size() == 6);
}

TEST_CASE("samples that are too large for the buffer are dropped and counted") {
  toy::SessionSetup options = options_for_tests();
  options.session.limits.max_buffer_bytes = 1000;
  const auto task = std::make_shared<toy::Task>(
      toy::phi, [](const toy::Sample& sample) { return sample.y > 0 ? 400U : 2000U; });
  Session session(toy::initial_state(), task, options.policy(), options.session);
  session.on_hello(hello(), 0);
  for (std::uint64_t id = 1; id < 30; ++id) {
    const auto t = static_cast<double>(id);
    feed(session, id, {t}, t);
    CHECK(session.buffered_samples() <= 2);
  }
  CHECK(session.counters().samples_dropped > 0);
  CHECK(session.counters().samples > 0);
  CHECK(session.counters().samples + session.counters().samples_dropped == 29);
}

TEST_CASE("time that is no number is the driver's mistake; time that steps back stands still") {
  Session session = make_session();
  CHECK_THROWS_AS(session.on_time(not_a_number), Error);
  CHECK_THROWS_AS(session.on_hello(hello(), infinity), Error);
  CHECK_FALSE(session.connected());
  session.on_hello(hello(), 100);
  session.on_time(50);
  CHECK(session.last_event_seconds() == 100);
  feed(session, 1, {0, 1, 2, 3}, 60);
  run_phase(session, 10);
  feed(session, 2, {4}, 20);
  CHECK(session.next_wake_seconds() == 110);
}

TEST_CASE("a session that moved goes on") {
  std::vector<Session> fleet;
  for (int i = 0; i < 3; ++i) fleet.push_back(make_session());  // reallocates
  Session session = std::move(fleet[1]);
  session.on_hello(hello(), 0);
  feed(session, 1, {0, 1, 2, 3}, 4);
  Session taken_up = make_session();
  taken_up = std::move(session);
  CHECK(find_message<Update>(run_phase(taken_up, 5)) != nullptr);
  CHECK(taken_up.buffered_samples() == 4);
}

TEST_CASE("no sequence of messages breaks a session") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    toy::SessionSetup options = options_for_tests();
    options.session.limits.max_pending_batches = 2;
    options.session.limits.max_history_updates = 3;
    options.pace.update_interval_seconds = 1;
    options.session.limits.max_buffer_samples = 50;
    Session session = make_session(options);
    toy::Trainer trainer;
    std::vector<LabelBatch> to_label;
    std::vector<ModelVersion> versions = {session.held().version()};
    std::optional<TrainingJob> job;
    double now = 0;
    std::uint64_t batch_id = 0;
    const auto odd_time = [&]() -> double {
      switch (random.below(12)) {
        case 0:
          return not_a_number;
        case 1:
          return -1;
        case 2:
          return 1e12 * random.uniform();
        case 3:
          return 0;
        default:
          return now + random.uniform();
      }
    };
    const auto version = [&] {
      if (random.below(5) == 0) return ModelVersion{static_cast<std::uint32_t>(random.below(9)), 1};
      return versions[random.below(versions.size())];
    };
    for (int step = 0; step < 300; ++step) {
      now += random.uniform() * random.uniform() * 3;
      const ModelVersion held = session.held().version();
      ServerActions actions;
      bool may_move = false;
      switch (random.below(12)) {
        case 0:
        case 1: {
          Hello message = hello();
          message.held = version();
          if (random.below(20) == 0) message.version = 2;
          actions = session.on_message(message, now);
          break;
        }
        case 2:
        case 3:
        case 4: {
          FrameBatch message;
          message.batch_id = random.below(30) == 0 ? random.next() : batch_id += random.below(3);
          const bool tidy = random.below(3) != 0;
          const std::uint64_t count = random.below(5);
          for (std::uint64_t i = 0; i < count; ++i) {
            message.capture_seconds.push_back(tidy ? now + static_cast<double>(i) : odd_time());
          }
          resize(message.bitstream, random.below(20) + (tidy ? 1 : 0));
          actions = session.on_message(message, now);
          break;
        }
        case 5:
          actions = session.on_message(Ack{version()}, now);
          break;
        case 6:
          if (random.below(3) != 0) break;
          actions = session.on_message(Refusal{version(), ErrorCode::digest_mismatch, "?"}, now);
          break;
        case 7:
          actions = session.on_disconnect(now);
          break;
        case 8:
          if (to_label.empty()) break;
          {
            const std::size_t chosen = random.below(to_label.size());
            const LabelBatch work = to_label[chosen];
            to_label.erase(to_label.begin() + static_cast<std::ptrdiff_t>(chosen));
            if (random.below(4) == 0) {
              actions = session.on_label_failed(work.batch_id, now);
            } else {
              actions = session.on_labelled(work.batch_id, samples_for(work.capture_seconds), now);
            }
          }
          break;
        case 9:
          if (job) {
            may_move = true;
            actions = session.on_phase_done(trainer.train(std::move(*job)), now);
            job.reset();
          } else if (session.training_due()) {
            job = session.begin_phase(now);
          }
          break;
        case 10:
          if (!job) break;
          job.reset();
          actions = session.on_phase_failed(Error(ErrorCode::unavailable, "busy"), now);
          break;
        default:
          actions = session.on_time(now);
          break;
      }
      for (const auto& action : actions) {
        if (const auto* work = std::get_if<LabelBatch>(&action)) to_label.push_back(*work);
      }
      if (!may_move) REQUIRE(session.held().version() == held);
      if (session.held().version() != versions.back()) versions.push_back(session.held().version());
      REQUIRE(session.held().version().digest == parameter_digest(session.held().values()));
      REQUIRE(session.pending_batches() <= 2);
      REQUIRE(to_label.size() <= 2);
      REQUIRE(session.buffered_samples() <= 50);
      REQUIRE(session.phase_running() == job.has_value());
      if (find_action<DisconnectDevice>(actions) != nullptr) REQUIRE_FALSE(session.connected());
    }
  }
}

TEST_CASE(
    "a phase starts from the best of the states that are offered, and the device gets all of it") {
  // Scenes A and B, each 200 frames long; what is held at the end of A is an earlier state.
  constexpr std::size_t scene_frames = 200;
  toy::SessionSetup options = options_for_tests();
  options.pace = PaceOptions{};
  options.pace.update_interval_seconds = 1;
  options.pace.batch_size = 4;
  options.pace.adapt_sampling_rate = false;
  options.pace.sampling.phi_target = 0.01;
  options.pace.start_states = 5;
  options.adam.learning_rate = 0.05;
  // One coordinate alone is trained: the rest of another start must travel all the same.
  options.strategy = make_selection_strategy("first_layers", 0.2);
  Session session = make_session(options);
  ModelState device = toy::initial_state();
  toy::Trainer trainer;
  session.on_hello(hello(), 0);
  std::uint64_t id = 0;
  const auto play = [&](std::size_t first, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) {
      const double now = double(++id);
      session.on_frame_batch(batch(id, {now}), now);
      std::vector<TimedSample> samples{{now, Handle::make(toy::observe(first + k, scene_frames))}};
      session.on_labelled(id, std::move(samples), now);
      session.on_time(now);
      if (!session.training_due()) continue;
      const ServerActions actions =
          session.on_phase_done(trainer.train(session.begin_phase(now)), now);
      if (const Update* update = find_message<Update>(actions)) {
        apply_update(update->bytes.span(), device);
        session.on_ack({device.version()}, now);
      }
      REQUIRE(device.version() == session.held().version());
    }
  };
  play(0, 100);
  CHECK(session.counters().trials > 90);
  CHECK(session.counters().iterations >= 8 * 90);
  CHECK(session.counters().score_held > session.counters().score_initial);
  CHECK(session.counters().score_held <= 1);
  play(scene_frames, 100);
  play(0, 50);  // A is back
  CHECK(session.counters().restarts + session.counters().restarts_initial >= 1);
}

TEST_CASE("scores that do not fit the plan are refused") {
  toy::SessionSetup options = options_for_tests();
  options.pace = PaceOptions{};
  Session session = make_session(options);
  session.on_hello(hello(), 0);
  feed(session, 1, {0}, 0);
  TrainingJob job = session.begin_phase(0);
  REQUIRE(job.trial.has_value());
  CHECK(job.trial->samples.size() == 1);
  CHECK(job.trial->others.size() == 1);
  CHECK(job.trial->held->version() == session.held().version());
  TrainingResult result{job.parameters, job.adam, {}, 0};
  result.scores = StartScores{0.5, {0.1, 0.2}, 0};
  CHECK_THROWS_AS(session.on_phase_done(result, 1), Error);
  result.scores = StartScores{0.5, {0.1}, 2};
  CHECK_THROWS_AS(session.on_phase_done(result, 1), Error);
  result.scores = StartScores{0.5, {0.1}, 1};
  CHECK_NOTHROW(session.on_phase_done(result, 1));
  CHECK(session.counters().restarts_initial == 1);
}
