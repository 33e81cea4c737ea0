// A store of one's own: two lives of a server share a map.

#include "ams/runtime/session_store.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/virtual_world.hpp"

using namespace ams;

namespace {

struct MapStore final : SessionStore {
  std::map<std::string, SessionRecord> records;
  std::optional<SessionRecord> load(const std::string& device_id) override {
    const auto found = records.find(device_id);
    return found == records.end() ? std::nullopt : std::optional(found->second);
  }
  void save(const SessionRecord& record) override {
    records.insert_or_assign(record.device_id, record);
  }
  void erase(const std::string& device_id) override { records.erase(device_id); }
};

}  // namespace

TEST_CASE("a restarted server goes on with its device in step") {
  VirtualWorld::Setup setup;
  setup.server.strategy = make_selection_strategy("full", 1);
  setup.server.adam.learning_rate = 0.03;
  setup.server.encode.profile = UpdateProfile::compact;
  setup.scene_frames = 100000;
  setup.store = std::make_shared<MapStore>();
  VirtualWorld world(setup);
  world.run_until(8);
  const double before = world.device_error();
  world.run_until(105);
  CHECK(world.in_step());
  const SessionCounters counters = world.session->counters();
  const ModelVersion held = world.client->held().version();
  world.kill_server();
  world.run_until(115);
  CHECK(world.client->held().version() == held);
  world.start_server();
  world.run_until(160);
  CHECK(world.resumes.back() == Resume::in_step);
  CHECK(world.client->counters().snapshots == 0);
  CHECK(world.client->counters().refusals == 0);
  CHECK(world.client->held().version().number > held.number);
  CHECK(world.session->counters().updates > counters.updates);
  CHECK(world.session->counters().batches_repeated == 0);
  CHECK(world.in_step());
  CHECK(world.device_error() < before / 5);
}

TEST_CASE("an update that was kept and never sent is sent by the next life") {
  VirtualWorld::Setup setup;
  setup.server.strategy = make_selection_strategy("full", 1);
  setup.store = std::make_shared<MapStore>();
  VirtualWorld world(setup);
  world.run_until(40);
  world.downlink = [](ServerMessage& m) { return !std::holds_alternative<Update>(m); };
  world.run_until(62);
  world.downlink = [](ServerMessage&) { return true; };
  world.kill_server();
  world.start_server();
  world.run_until(80);
  CHECK(world.resumes.back() == Resume::updates);
  CHECK(world.client->counters().snapshots == 0);
  CHECK(world.in_step());
}

TEST_CASE("the first phase after a restart trains on the samples that were there") {
  VirtualWorld::Setup setup;
  setup.server.strategy = make_selection_strategy("full", 1);
  setup.server.pace.iterations = 60;
  setup.server.pace.batch_size = 10;
  const auto store = std::make_shared<MapStore>();
  setup.store = store;
  VirtualWorld world(setup);
  world.run_until(100);
  const std::size_t before = world.phase_samples.back();
  REQUIRE(before > 30);
  world.kill_server();
  SessionRecord& record = store->records.at("device");
  REQUIRE(record.samples.size() > 5);
  std::size_t kept_samples = 0;
  for (const LabelledBatch& batch : record.samples) kept_samples += batch.labels.size();
  CHECK(kept_samples + 20 >= before);  // those of a phase under way
  const double last_seconds = record.samples.back().capture_seconds.back();
  const std::size_t labelled = world.labelled.size();
  // What the disk has damaged is left out, and costs nothing else.
  record.samples[1].labels[0] = std::vector<std::byte>(3);
  record.samples[2].capture_seconds[0] = -1;
  record.samples[3].bitstream = {};
  const std::size_t phases = world.phase_begins.size();
  world.start_server();
  world.run_until(130);
  REQUIRE(world.phase_samples.size() > phases);
  CHECK(world.phase_samples[phases] > before - 3 * record.samples[1].labels.size() - 10);
  CHECK(world.session->kept_batches().size() > 5);
  CHECK(world.in_step());
  // The teacher is not asked again.
  CHECK(world.labelled.size() > labelled);
  CHECK(std::all_of(world.labelled.begin() + static_cast<std::ptrdiff_t>(labelled),
                    world.labelled.end(), [&](std::size_t frame) {
                      return static_cast<double>(frame) / setup.frame_rate_fps > last_seconds;
                    }));
}

TEST_CASE("without a store nothing is kept") {
  NoStore store;
  CHECK_FALSE(store.keeps());
  store.save({});
  CHECK_FALSE(store.load("a"));
  store.erase("a");
}
