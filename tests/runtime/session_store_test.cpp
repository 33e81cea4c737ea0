// A store of one's own: two lives of a server share a map.

#include "ams/runtime/session_store.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

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

TEST_CASE("without a store nothing is kept") {
  NoStore store;
  CHECK_FALSE(store.keeps());
  store.save({});
  CHECK_FALSE(store.load("a"));
  store.erase("a");
}
