// ServerHost and DeviceHost together, in virtual time.

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "runtime/virtual_world.hpp"

using namespace ams;

namespace {

VirtualWorld::Setup setup_for_tests() {
  VirtualWorld::Setup setup;
  setup.server.strategy = make_selection_strategy("gradient_guided", 0.5);
  setup.server.adam.learning_rate = 0.03;
  setup.server.pace.horizon_seconds = 60;
  setup.client.first_batch_seconds = 5;
  return setup;
}

/// Cuts the link, sees to it that nobody comes through for a while, and lets them.
void absence(VirtualWorld& world, double seconds) {
  world.link_up = false;
  world.cut();
  world.run_until(world.now + seconds);
  world.link_up = true;
}

}  // namespace

TEST_CASE("the device adapts, and server and device hold the same after every update") {
  VirtualWorld world(setup_for_tests());
  world.run_until(10);
  CHECK(world.published.size() == 1);  // early: five seconds of samples, then label and train
  std::uint32_t number = 0;
  for (double time = 11; time <= 180; ++time) {
    world.run_until(time);
    if (world.client->held().version().number == world.session->held().version().number) {
      CHECK(world.in_step());
    }
    number = std::max(number, world.client->held().version().number);
  }
  CHECK(number >= 16);
  CHECK(world.session->counters().updates == number);
  CHECK(world.session->counters().acks == number);
  CHECK(world.session->confirmed() == world.client->held().version());
  CHECK(world.client->counters().updates == number);
  CHECK(world.client->counters().update_bytes == world.session->counters().update_bytes);
  CHECK(world.client->counters().batch_bytes == world.session->counters().batch_bytes);
  CHECK(world.client->counters().refusals == 0);
  CHECK(world.session->counters().faults == 0);
  CHECK(world.resumes == std::vector{Resume::in_step});
}

TEST_CASE("adapting pays") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.scene_frames = 100000;
  VirtualWorld world(setup);
  world.run_until(8);
  const double before = world.device_error();
  world.run_until(150);
  CHECK(world.device_error() < before / 20);
}

TEST_CASE("phases begin T_update apart, and statistics travel with the update") {
  for (const bool follow : {false, true}) {
    VirtualWorld::Setup setup = setup_for_tests();
    setup.follow_statistics = follow;
    setup.server.pace.update_interval_seconds = 7;
    VirtualWorld world(setup);
    world.run_until(120);
    REQUIRE(world.phase_begins.size() >= 14);
    CHECK(world.phase_begins.front() < 7);
    for (std::size_t i = 1; i < world.phase_begins.size(); ++i) {
      const double spacing = world.phase_begins[i] - world.phase_begins[i - 1];
      CHECK(spacing >= 7 - 1e-9);
      CHECK(spacing <= 7.5);
    }
    const std::size_t statistics = follow ? toy::inputs : 0;
    const std::size_t trainable = (toy::inputs + 2) / 2;  // half of seven, rounded
    const SessionCounters& counters = world.session->counters();
    CHECK(counters.update_coordinates == counters.updates * (trainable + statistics));
    CHECK(world.in_step());
  }
}

TEST_CASE("the device sends all samples at the server's rate, in order and once") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.server.pace.adapt_sampling_rate = false;
  setup.server.pace.sampling.initial_fps = 0.8;
  VirtualWorld world(setup);
  world.run_until(100);
  REQUIRE(world.labelled.size() >= 70);
  // The rate is 1 fps until Welcome; frames come every 0.1 s and samples every 1.25 s, without
  // drift.
  for (std::size_t i = 0; i < world.labelled.size(); ++i) {
    CHECK(world.labelled[i] == static_cast<std::size_t>(std::ceil(12.5 * static_cast<double>(i))));
  }
  CHECK(world.client->counters().frames_dropped == 0);
}

TEST_CASE("a still video is sampled less and then trained less") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.server.pace.sampling.phi_target = 100;  // nothing moves so much: the rate falls
  setup.server.pace.sampling.step_fps = 0.002;
  setup.server.pace.adapt_training_rate = true;
  VirtualWorld world(setup);
  world.run_until(300);
  CHECK(world.session->sampling_rate_fps() == doctest::Approx(0.1));
  CHECK(world.client->sampling_rate_fps() == doctest::Approx(0.1));
  CHECK(world.session->update_interval_seconds() > 20);
  REQUIRE(!world.controls.empty());
  for (const Control& control : world.controls) {
    CHECK(control.sampling_rate_fps >= 0.1);
    CHECK(control.update_interval_seconds <= 60);
  }
  CHECK(world.client->update_interval_seconds() == world.session->update_interval_seconds());
  // A tenth of the samples in the second half.
  const auto late = std::count_if(world.labelled.begin(), world.labelled.end(),
                                  [](std::size_t frame) { return frame > 1500; });
  CHECK(late < 20);
  CHECK(world.in_step());
}

TEST_CASE("a device that lost the link for a moment is in step") {
  VirtualWorld world(setup_for_tests());
  world.run_until(42);
  const ModelVersion before = world.client->held().version();
  absence(world, 1);
  world.run_until(50);
  CHECK(world.resumes == std::vector{Resume::in_step, Resume::in_step});
  CHECK(world.client->held().version().number >= before.number);
  world.run_until(100);
  CHECK(world.in_step());
  CHECK(world.session->counters().connections == 2);
}

TEST_CASE("profile compact: both ends stay in step through losses, damage, kills and a snapshot") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.server.encode.profile = UpdateProfile::compact;
  setup.server.encode.compact.relative_step = 0.125;
  setup.server.session.limits.max_history_updates = 3;
  setup.scene_frames = 100000;
  VirtualWorld world(setup);
  world.run_until(8);
  const double before = world.device_error();
  world.run_until(40);
  CHECK(world.in_step());
  CHECK(world.client->counters().refusals == 0);

  // Two are lost on the way and sent again.
  world.downlink = [](ServerMessage& m) { return !std::holds_alternative<Update>(m); };
  world.run_until(62);
  world.downlink = [](ServerMessage&) { return true; };
  absence(world, 1);
  world.run_until(world.now + 3);
  CHECK(world.resumes.back() == Resume::updates);
  CHECK(world.in_step());

  // One is damaged: refused whole, and a snapshot heals, memory of the codec included.
  bool corrupted = false;
  world.downlink = [&](ServerMessage& message) {
    if (auto* update = std::get_if<Update>(&message); update && !corrupted) {
      update->bytes = damaged(update->bytes, update->bytes.size() - 1, std::byte{1});
      corrupted = true;
    }
    return true;
  };
  world.run_until(85);
  CHECK(corrupted);
  CHECK(world.client->counters().refusals == 1);
  CHECK(world.client->counters().snapshots == 1);
  CHECK(world.in_step());

  // The device starts again with what it has saved, in mid-stream.
  world.kill_edge();
  world.run_until(95);
  world.start_edge();
  world.run_until(150);
  CHECK(world.resumes.back() != Resume::snapshot);
  CHECK(world.in_step());
  CHECK(world.client->counters().refusals == 0);  // of its new life
  CHECK(world.device_error() < before / 20);
}

TEST_CASE("updates that were lost on the way are sent again") {
  VirtualWorld world(setup_for_tests());
  world.run_until(40);
  std::size_t lost = 0;
  world.downlink = [&](ServerMessage& message) {
    const bool is_update = std::holds_alternative<Update>(message);
    lost += is_update ? 1 : 0;
    return !is_update;
  };
  world.run_until(62);
  REQUIRE(lost == 2);
  const std::uint32_t behind = world.client->held().version().number;
  CHECK(world.session->held().version().number == behind + 2);
  world.downlink = [](ServerMessage&) { return true; };
  absence(world, 1);
  world.run_until(world.now + 3);
  CHECK(world.resumes.back() == Resume::updates);
  CHECK(world.session->counters().updates_sent_again == 2);
  CHECK(world.client->held().version().number >= behind + 2);
  CHECK(world.in_step());
  CHECK(world.client->counters().refusals == 0);
  CHECK(world.session->counters().snapshots == 0);
}

TEST_CASE("a device too far behind gets a snapshot") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.server.session.limits.max_history_updates = 1;
  VirtualWorld world(setup);
  world.run_until(40);
  world.downlink = [](ServerMessage& m) { return !std::holds_alternative<Update>(m); };
  world.run_until(62);
  world.downlink = [](ServerMessage&) { return true; };
  absence(world, 1);
  world.run_until(world.now + 3);
  CHECK(world.resumes.back() == Resume::snapshot);
  CHECK(world.client->counters().snapshots == 1);
  CHECK(world.in_step());
  world.run_until(100);
  CHECK(world.in_step());
  CHECK(world.session->counters().refusals == 0);
}

TEST_CASE("a device that was killed goes on where it was") {
  VirtualWorld world(setup_for_tests());
  world.run_until(47);
  const ModelVersion before = world.client->held().version();
  CHECK(before.number >= 4);
  world.kill_edge();
  world.run_until(57);
  world.start_edge();
  CHECK(world.client->held().version() == before);
  world.run_until(58);
  CHECK(world.resumes.back() != Resume::snapshot);
  const std::size_t labelled = world.labelled.size();
  world.run_until(120);
  CHECK(world.in_step());
  CHECK(world.client->held().version().number > before.number + 4);
  CHECK(world.session->counters().faults == 0);
  // Batch ids go on from the server's, so that none of the new life's batches looks like a repeated
  // one.
  CHECK(world.session->counters().batches_repeated == 0);
  CHECK(world.labelled.size() > labelled + 40);
}

TEST_CASE("a server that was killed knows nothing, and the device adapts again") {
  VirtualWorld world(setup_for_tests());
  world.run_until(61);
  CHECK(world.client->held().version().number >= 5);
  world.kill_server();
  world.run_until(75);
  CHECK_FALSE(world.client->streaming());
  CHECK(world.client->buffered_frames() >= 14);
  world.start_server();
  world.run_until(100);
  CHECK(world.client->streaming());
  CHECK(world.resumes.back() == Resume::snapshot);
  CHECK(world.client->counters().snapshots == 1);
  world.run_until(200);
  CHECK(world.session->held().version().number >= 10);
  CHECK(world.in_step());
  CHECK(world.client->counters().refusals == 0);
}

TEST_CASE("a corrupted update is refused whole, and a snapshot heals") {
  for (const std::size_t position : {std::size_t{0}, std::size_t{5}, std::size_t{30}}) {
    VirtualWorld world(setup_for_tests());
    world.run_until(40);
    bool corrupted = false;
    world.downlink = [&](ServerMessage& message) {
      if (auto* update = std::get_if<Update>(&message); update && !corrupted) {
        update->bytes =
            damaged(update->bytes, update->bytes.size() - 1 - position, std::byte{0xff});
        corrupted = true;
      }
      return true;
    };
    const ModelVersion before = world.client->held().version();
    while (!corrupted) world.run_until(world.now + 0.01);
    world.run_until(world.now + 0.06);
    CHECK(world.client->held().version() == before);
    CHECK(world.client->counters().refusals == 1);
    world.run_until(world.now + 0.2);
    CHECK(world.client->counters().snapshots == 1);
    CHECK(world.in_step());
    CHECK(world.session->counters().refusals == 1);
    CHECK(world.session->counters().snapshots == 1);
    world.run_until(120);
    CHECK(world.in_step());
    CHECK(world.session->counters().refusals == 1);
    CHECK(world.client->streaming());
  }
}

TEST_CASE("updates behind a corrupted one cost no snapshots of their own") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.delay_seconds = 25;  // several updates are on their way at any time
  setup.client.welcome_timeout_seconds = 200;
  setup.server.session.limits.max_updates_in_flight = 16;
  VirtualWorld world(setup);
  bool corrupted = false;
  world.downlink = [&](ServerMessage& message) {
    if (auto* update = std::get_if<Update>(&message);
        update && !corrupted && world.session->held().version().number == 3) {
      update->bytes = damaged(update->bytes, update->bytes.size() - 1, std::byte{0xff});
      corrupted = true;
    }
    return true;
  };
  world.run_until(500);
  CHECK(corrupted);
  CHECK(world.client->counters().refusals > 3);
  CHECK(world.session->counters().refusals == world.client->counters().refusals);
  CHECK(world.session->counters().snapshots == 1);
  CHECK(world.client->counters().snapshots == 1);
  CHECK(world.client->held().version().number > 20);
}

TEST_CASE("no training while the device acknowledges nothing") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.server.session.limits.max_updates_in_flight = 3;
  setup.server.session.limits.ack_timeout_seconds = 100;
  VirtualWorld world(setup);
  world.uplink = [](DeviceMessage& m) { return !std::holds_alternative<Ack>(m); };
  world.run_until(95);
  CHECK(world.session->counters().updates == 3);
  CHECK(world.session->counters().connections == 1);
  world.run_until(115);  // the timeout ends the connection; Hello tells what the device holds
  CHECK(world.session->counters().connections == 2);
  CHECK(world.resumes.back() == Resume::in_step);
  world.uplink = [](DeviceMessage&) { return true; };
  world.run_until(200);
  CHECK(world.session->counters().updates > 8);
  CHECK(world.in_step());
}

TEST_CASE("batches that were lost on the way are sent again, and no batch is learned from twice") {
  VirtualWorld world(setup_for_tests());
  world.run_until(30);
  std::set<std::uint64_t> lost;
  world.uplink = [&](DeviceMessage& message) {
    const auto* batch = std::get_if<FrameBatch>(&message);
    if (batch != nullptr) lost.insert(batch->batch_id);
    return batch == nullptr;
  };
  world.run_until(38);
  REQUIRE(lost.size() == 1);
  world.uplink = [](DeviceMessage&) { return true; };
  absence(world, 1);
  world.run_until(100);
  CHECK(world.client->counters().batches_sent_again == 1);
  CHECK(world.session->counters().batches_repeated == 0);
  CHECK(std::is_sorted(world.labelled.begin(), world.labelled.end()));
  CHECK(std::adjacent_find(world.labelled.begin(), world.labelled.end()) == world.labelled.end());
  CHECK(world.labelled.size() >= 90);
}

TEST_CASE("a device away for long keeps its newest frames only") {
  VirtualWorld::Setup setup = setup_for_tests();
  setup.client.max_buffered_frames = 20;
  setup.client.max_frames_per_batch = 8;
  VirtualWorld world(setup);
  world.run_until(30);
  absence(world, 100);
  CHECK(world.client->buffered_frames() == 20);
  CHECK(world.client->counters().frames_dropped >= 75);
  const std::size_t labelled = world.labelled.size();
  world.run_until(170);
  REQUIRE(world.labelled.size() > labelled + 20);
  CHECK(world.labelled[labelled] >= 1100);  // not what it saw first
  CHECK(std::is_sorted(world.labelled.begin(), world.labelled.end()));
  CHECK(world.in_step());
}

TEST_CASE("a device that leaves in good order holds what the server holds, whatever was going on") {
  std::uint64_t abandoned = 0;
  for (int i = 0; i < 60; ++i) {
    VirtualWorld::Setup setup = setup_for_tests();
    setup.delay_seconds = i % 2 == 0 ? 0.05 : 1.1;
    VirtualWorld world(setup);
    world.run_until(20 + 0.21 * i);
    const ModelVersion before = world.client->held().version();
    world.stop_edge();
    world.run_until(world.now + 4);
    CHECK(world.client->stopped());
    CHECK(world.in_step());
    world.run_until(world.now + 40);
    CHECK(world.in_step());
    CHECK(world.client->held().version().number <= before.number + 1);
    CHECK_FALSE(world.session->connected());
    abandoned += world.session->counters().phases_abandoned;

    // It may come back, and the same session goes on.
    world.run_until(world.now + 2);
    world.restart_client();
    world.run_until(world.now + 40);
    CHECK(world.resumes.back() == Resume::in_step);
    CHECK(world.client->held().version().number > before.number + 1);
  }
  CHECK(abandoned > 0);
  CHECK(abandoned < 60);
}

TEST_CASE("reconnecting backs off, and no two devices alike") {
  const auto attempts_of = [](std::uint64_t seed) {
    VirtualWorld::Setup setup = setup_for_tests();
    setup.client.seed = seed;
    VirtualWorld world(setup);
    world.run_until(20);
    absence(world, 280);
    return world.client->counters().disconnections;
  };
  const auto one = attempts_of(1);
  CHECK(one > 10);  // 0.5 s doubling to 30 s, a quarter less by chance
  CHECK(one < 25);
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    VirtualWorld::Setup setup = setup_for_tests();
    setup.client.seed = seed;
    VirtualWorld world(setup);
    world.run_until(20);
    absence(world, 20);
    world.run_until(60);
    traces.insert(world.trace);
  }
  CHECK(traces.size() == 4);
}

TEST_CASE("the same seed gives the same bytes") {
  const auto trace_of = [](std::uint64_t seed) {
    VirtualWorld::Setup setup = setup_for_tests();
    setup.server.session.seed = seed;
    VirtualWorld world(setup);
    world.run_until(50);
    absence(world, 7);
    world.run_until(80);
    world.kill_edge();
    world.start_edge();
    world.run_until(120);
    return world.trace;
  };
  CHECK(trace_of(1) == trace_of(1));
  CHECK(trace_of(1) != trace_of(2));
}

TEST_CASE("whatever happens, the two find together again") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    VirtualWorld::Setup setup = setup_for_tests();
    Random random(seed);
    setup.server.session.seed = seed;
    setup.server.pace.update_interval_seconds = 1 + 5 * random.uniform();
    setup.server.session.limits.max_history_updates = random.below(6);
    setup.server.session.limits.max_pending_batches = 1 + random.below(3);
    setup.client.seed = seed;
    setup.client.first_batch_seconds = 3 * random.uniform();
    setup.client.max_kept_batches = random.below(3);
    setup.client.max_frames_per_batch = 1 + random.below(6);
    setup.client.reconnect_max_seconds = 3;
    setup.client.ack_policy = random.below(2) == 0 ? AckPolicy::applied : AckPolicy::published;
    setup.server.session.limits.ack_timeout_seconds = 15;
    setup.delay_seconds = 2 * random.uniform();
    setup.phase_seconds = 3 * random.uniform();
    setup.publish_seconds = 2 * random.uniform();
    setup.label_seconds = 3 * random.uniform();
    setup.frame_rate_fps = 5;
    setup.server.pace.sampling.phi_target = random.uniform();
    VirtualWorld world(setup);

    bool trouble = true;
    world.downlink = [&](ServerMessage& message) {
      if (!trouble || random.below(8) != 0) return true;
      Bytes* bytes = nullptr;
      if (auto* update = std::get_if<Update>(&message)) bytes = &update->bytes;
      if (auto* snapshot = std::get_if<Snapshot>(&message)) bytes = &snapshot->bytes;
      if (bytes == nullptr) return true;
      switch (random.below(3)) {
        case 0:
          return false;
        case 1:
          *bytes = Bytes(std::vector(bytes->begin(), bytes->begin() + random.below(bytes->size())));
          break;
        default:
          *bytes = damaged(*bytes, random.below(bytes->size()), std::byte{1});
          break;
      }
      return true;
    };
    world.uplink = [&](DeviceMessage& message) {
      if (!trouble || std::holds_alternative<Hello>(message)) return true;
      return random.below(12) != 0;
    };
    for (int step = 0; step < 30; ++step) {
      world.run_until(world.now + 6 * random.uniform());
      switch (random.below(6)) {
        case 0:
          absence(world, 5 * random.uniform());
          break;
        case 1:
          world.cut();
          break;
        case 2:
          world.kill_edge();
          world.run_until(world.now + 5 * random.uniform());
          world.start_edge();
          break;
        case 3:
          if (random.below(3) != 0) break;
          world.kill_server();
          world.run_until(world.now + 5 * random.uniform());
          world.start_server();
          break;
        default:
          break;
      }
    }
    trouble = false;
    world.cut();
    const std::uint32_t before = world.session ? world.session->held().version().number : 0;
    world.run_until(world.now + 90);
    CHECK(world.client->streaming());
    CHECK(world.session->held().version().number > before + 2);
    CHECK(world.session->connected());
    // The newest updates may still be on their way; no more of them than may be in flight.
    CHECK(world.session->held().version().number <=
          world.client->held().version().number +
              setup.server.session.limits.max_updates_in_flight);
    CHECK(world.session->confirmed().number > before);
  }
}
