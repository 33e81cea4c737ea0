#include "ams/session/turn_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

using ams::TurnQueue;
using Piece = std::pair<std::string, int>;

TEST_CASE("a session with much work holds up no other") {
  TurnQueue<std::string, int> queue;
  CHECK_FALSE(queue.next());
  for (int i = 0; i < 100; ++i) queue.push("flood", i);
  CHECK(queue.next() == Piece("flood", 0));
  queue.push("other", 7);
  CHECK_FALSE(queue.next());  // one at a time
  queue.finish("flood");
  CHECK(queue.next() == Piece("other", 7));
  queue.finish("other");
  for (int i = 1; i < 100; ++i) {
    CHECK(queue.next() == Piece("flood", i));
    queue.finish("flood");
  }
  CHECK_FALSE(queue.next());
}

TEST_CASE("a session goes to the back of the queue when its piece is finished") {
  TurnQueue<std::string, int> queue;
  queue.push("a", 1);
  queue.push("a", 2);
  queue.push("b", 3);
  queue.push("b", 4);
  CHECK(queue.next() == Piece("a", 1));
  queue.push("c", 5);
  queue.finish("a");
  CHECK(queue.next() == Piece("b", 3));
  queue.finish("b");
  CHECK(queue.next() == Piece("c", 5));
  queue.finish("c");
  CHECK(queue.next() == Piece("a", 2));
  queue.finish("a");
  CHECK(queue.next() == Piece("b", 4));
}

TEST_CASE("work that has not begun can be dropped") {
  TurnQueue<std::string, int> queue;
  queue.push("a", 1);
  queue.push("a", 2);
  queue.push("b", 3);
  CHECK(queue.next() == Piece("a", 1));
  queue.clear();
  queue.finish("a");
  CHECK_FALSE(queue.next());
  queue.push("b", 4);
  CHECK(queue.next() == Piece("b", 4));
}

TEST_CASE("two slots never work for the same session") {
  TurnQueue<std::string, int> queue(2);
  queue.push("a", 1);
  queue.push("a", 2);
  CHECK(queue.next() == Piece("a", 1));
  CHECK_FALSE(queue.next());
  queue.push("b", 3);
  CHECK(queue.next() == Piece("b", 3));
  queue.finish("a");
  CHECK(queue.next() == Piece("a", 2));
}

TEST_CASE("a session that is gone leaves no work behind") {
  TurnQueue<std::string, int> queue;
  queue.push("gone", 1);
  queue.push("gone", 2);
  queue.push("stays", 3);
  CHECK(queue.next() == Piece("gone", 1));
  queue.remove("gone");
  CHECK(queue.next() == Piece("stays", 3));
  queue.finish("stays");
  CHECK_FALSE(queue.next());
  queue.finish("gone");  // its late result: no effect
  queue.push("gone", 4);
  CHECK(queue.next() == Piece("gone", 4));
}

TEST_CASE("work may be what can only be moved") {
  TurnQueue<int, std::unique_ptr<int>> queue;
  queue.push(1, std::make_unique<int>(5));
  const auto next = queue.next();
  REQUIRE(next);
  CHECK(*next->second == 5);
}

TEST_CASE("whatever comes in whatever order: all of it, in order, with nobody kept waiting") {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    const std::size_t slots = 1 + random() % 3;
    TurnQueue<int, int> queue(slots);
    std::map<int, std::deque<int>> waiting;  // the reference
    std::map<int, int> others_since;         // turns of others since a session's own, or its start
    std::deque<int> running;
    int pushed = 0, taken = 0;
    while (taken < 60) {
      if (pushed < 60 && random() % 2) {
        const int id = static_cast<int>(random() % 4);
        if (waiting[id].empty()) others_since[id] = 0;
        waiting[id].push_back(pushed);
        queue.push(id, pushed++);
      }
      if (const auto next = queue.next()) {
        const auto [id, work] = *next;
        REQUIRE_FALSE(waiting[id].empty());
        REQUIRE(work == waiting[id].front());
        REQUIRE(std::count(running.begin(), running.end(), id) == 0);
        waiting[id].pop_front();
        for (auto& [other, turns] : others_since) {
          if (other != id && !waiting[other].empty()) ++turns;
        }
        others_since[id] = 0;
        // Of three others each has one turn before, and those that began while this session ran.
        for (const auto& [other, turns] : others_since) CHECK(turns <= 6);
        running.push_back(id);
        REQUIRE(running.size() <= slots);
        ++taken;
      }
      if (!running.empty() && random() % 2) {
        queue.finish(running.front());
        running.pop_front();
      }
    }
    CHECK_FALSE(queue.next());
  }
}
