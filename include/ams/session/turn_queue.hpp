#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "ams/session/turn_scheduler.hpp"

namespace ams {

/// Work of many sessions, done in turns (TurnScheduler): one piece of a session, then one of the
/// next, so that a session that brings more than it should holds up no other. A session with more
/// work goes to the back of the queue when its piece is finished. The pieces of one session keep
/// their order and are never under way together. A plain value; not thread-safe.
template <class Id, class Work>
class TurnQueue {
 public:
  /// slots: pieces that may be under way at once, >= 1.
  explicit TurnQueue(std::size_t slots = 1) : turns_(slots) {}

  void push(const Id& id, Work work) {
    waiting_[id].push_back(std::move(work));
    if (!running_.contains(id)) turns_.request(id);
  }

  /// What is to be done now, when a slot is free and something waits. It is under way until
  /// finish().
  std::optional<std::pair<Id, Work>> next() {
    const std::optional<Id> id = turns_.grant();
    if (!id) return std::nullopt;
    running_.insert(*id);
    const auto found = waiting_.find(*id);
    std::pair<Id, Work> work(*id, std::move(found->second.front()));
    found->second.pop_front();
    if (found->second.empty()) waiting_.erase(found);
    return work;
  }

  /// The session's piece is done. No effect for a session that has none under way.
  void finish(const Id& id) {
    if (running_.erase(id) == 0) return;
    turns_.finish(id);
    if (waiting_.contains(id)) turns_.request(id);
  }

  /// Forgets a session that is gone, and all of its work. While a piece of it is under way, wait
  /// for finish() before its next one is pushed: a late finish() would be taken for that one's.
  void remove(const Id& id) {
    waiting_.erase(id);
    running_.erase(id);
    turns_.remove(id);
  }

  /// Forgets all work that has not begun.
  void clear() {
    for (const auto& [id, work] : waiting_) {
      if (!running_.contains(id)) turns_.remove(id);
    }
    waiting_.clear();
  }

 private:
  TurnScheduler<Id> turns_;
  std::map<Id, std::deque<Work>> waiting_;  // of no session an empty queue
  std::set<Id> running_;
};

}  // namespace ams
