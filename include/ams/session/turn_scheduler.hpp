#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

namespace ams {

/// Fair turns on the trainer among sessions: round robin (section 4.3, figure 6). A session asks
/// when a phase is due, is granted a turn when one is free, and goes to the back of the queue with
/// its next request. A plain value; not thread-safe.
template <class Id>
class TurnScheduler {
 public:
  /// slots: turns that may be out at once (the number of trainers), >= 1.
  explicit TurnScheduler(std::size_t slots = 1) : slots_(std::max<std::size_t>(slots, 1)) {}

  /// Puts the session at the back of the queue. No effect when it waits already. A session that has
  /// a turn may ask for its next one.
  void request(const Id& id) {
    if (std::find(waiting_.begin(), waiting_.end(), id) == waiting_.end()) waiting_.push_back(id);
  }

  /// The session whose turn it is, when a slot is free and somebody waits. The turn is out until
  /// finish(). A session never has two turns at once: it keeps its place and others go first.
  std::optional<Id> grant() {
    if (running_.size() >= slots_) return std::nullopt;
    const auto next = std::find_if(waiting_.begin(), waiting_.end(), [&](const Id& id) {
      return std::find(running_.begin(), running_.end(), id) == running_.end();
    });
    if (next == waiting_.end()) return std::nullopt;
    Id id = *next;
    running_.push_back(id);
    waiting_.erase(next);
    return id;
  }

  /// Takes the turn back. No effect for a session without one.
  void finish(const Id& id) { std::erase(running_, id); }

  /// Forgets a session that is gone: its request and, when it has one, its turn.
  void remove(const Id& id) {
    std::erase(waiting_, id);
    std::erase(running_, id);
  }

  std::size_t waiting() const noexcept { return waiting_.size(); }
  std::size_t running() const noexcept { return running_.size(); }

 private:
  std::size_t slots_;
  std::deque<Id> waiting_;
  std::vector<Id> running_;
};

}  // namespace ams
