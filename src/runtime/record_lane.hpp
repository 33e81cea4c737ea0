#pragma once

// The records on their way into one file descriptor. Private to ams::runtime.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "ams/core/bytes.hpp"
#include "descriptor.hpp"

namespace ams::detail {

class RecordLane {
 public:
  enum class Kind : std::uint8_t {
    file,    ///< never waits but for the disk; what was written can be taken back
    pipe,    ///< also terminals and other devices
    socket,  ///< written without waiting
  };
  RecordLane(Descriptor target, Kind kind) : target_(std::move(target)), kind_(kind) {}

  int descriptor() const noexcept { return target_.get(); }
  std::size_t waiting() const noexcept { return records_.size(); }

  /// Returns how many records had to go: 0 or 1. One that is written in part stays.
  std::size_t add(const Bytes& record, std::size_t max_waiting) {
    const std::size_t begun = sent_bytes_ > 0 ? 1 : 0;  // then there is a record
    const bool is_full = records_.size() - begun >= max_waiting;
    if (is_full) records_.erase(records_.begin() + static_cast<std::ptrdiff_t>(begun));
    records_.push_back(record);
    return is_full ? 1 : 0;
  }

  /// Throws away what the reader of a socket has sent. False when the reader has gone.
  bool hear(bool is_hung_up);

  /// False once the reader has said that it sends no more; it may read on.
  bool hears() const noexcept { return hears_; }

  struct Progress {
    std::uint64_t written = 0;
    int error = 0;  ///< errno's
  };

  /// Writes what the descriptor takes without waiting; call it when poll() says that it takes some.
  Progress write();

  /// Takes back what was written of the first record, where that is possible, and forgets it.
  void drop_first();

 private:
  /// More than this could wait in a pipe whose owner has not made it non-blocking.
  static constexpr std::size_t pipe_room_bytes = 4096;

  Descriptor target_;
  Kind kind_;
  std::deque<Bytes> records_;
  std::size_t sent_bytes_ = 0;  ///< of the first record
  bool hears_ = true;
};

}  // namespace ams::detail
