#include "ams/session/turn_scheduler.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

using ams::TurnScheduler;

TEST_CASE("turns are granted in the order of the requests, one at a time") {
  TurnScheduler<std::string> scheduler;
  CHECK_FALSE(scheduler.grant());
  scheduler.request("a");
  scheduler.request("b");
  scheduler.request("a");  // waits already
  CHECK(scheduler.waiting() == 2);
  CHECK(scheduler.grant() == "a");
  CHECK_FALSE(scheduler.grant());
  scheduler.request("a");  // goes behind b
  scheduler.finish("a");
  CHECK(scheduler.grant() == "b");
  scheduler.finish("b");
  CHECK(scheduler.grant() == "a");
  scheduler.finish("a");
  CHECK(scheduler.running() == 0);
  CHECK(scheduler.waiting() == 0);
}

TEST_CASE("sessions that always want a turn get equally many") {
  TurnScheduler<int> scheduler;
  std::map<int, int> turns;
  for (int id = 0; id < 5; ++id) scheduler.request(id);
  for (int i = 0; i < 500; ++i) {
    const auto id = scheduler.grant();
    REQUIRE(id);
    ++turns[*id];
    scheduler.request(*id);
    scheduler.finish(*id);
  }
  for (const auto& [id, count] : turns) CHECK(count == 100);
}

TEST_CASE("two trainers never work for the same session") {
  TurnScheduler<int> scheduler(2);
  scheduler.request(1);
  CHECK(scheduler.grant() == 1);
  scheduler.request(1);
  scheduler.request(2);
  CHECK(scheduler.grant() == 2);  // 1 has its turn already
  scheduler.request(3);
  CHECK_FALSE(scheduler.grant());
  scheduler.finish(2);
  CHECK(scheduler.grant() == 3);
  scheduler.finish(1);
  CHECK(scheduler.grant() == 1);  // it kept its place
}

TEST_CASE("a session that is gone gives its turn and its place back") {
  TurnScheduler<int> scheduler;
  scheduler.request(1);
  scheduler.request(2);
  CHECK(scheduler.grant() == 1);
  scheduler.request(1);
  scheduler.remove(1);
  CHECK(scheduler.grant() == 2);
  scheduler.remove(2);
  CHECK_FALSE(scheduler.grant());
  scheduler.finish(7);  // never had one
  CHECK(scheduler.running() == 0);
}

TEST_CASE("there is at least one slot") {
  TurnScheduler<int> scheduler(0);
  scheduler.request(1);
  CHECK(scheduler.grant() == 1);
}
