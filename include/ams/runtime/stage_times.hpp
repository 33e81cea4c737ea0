#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace ams {

/// Where a sample is on its way from the camera to the model that has learned from it, in order.
/// The link itself is part of `acknowledge`: both ways, and what the device does in between.
enum class Stage : std::uint8_t {
  buffer,       ///< device: from the frame to its buffer's leaving, the oldest frame of each
  encode,       ///< device: the buffer's compression
  decode,       ///< server: the buffer's decoding
  label,        ///< server: the teacher, for the whole buffer
  queue,        ///< server: from labels to the phase that trains on them, the oldest of each phase
  train,        ///< server: a phase, trials included
  write,        ///< server: encoding the update
  acknowledge,  ///< server: from an update's leaving to its Ack
  apply,        ///< device: from an update's arrival to its values' being held
  swap,         ///< device: loading them into the inactive model, and the swap
};
inline constexpr std::size_t stage_count = 10;

inline std::string_view to_string(Stage stage) noexcept {
  constexpr std::array<std::string_view, stage_count> names = {
      "buffer", "encode", "decode",      "label", "queue",
      "train",  "write",  "acknowledge", "apply", "swap"};
  return names[static_cast<std::size_t>(stage)];
}

/// How long one stage took, over a session's or a device's life.
struct StageTime {
  std::uint64_t count = 0;
  double sum_seconds = 0;
  double max_seconds = 0;
  double mean_seconds() const noexcept {
    return count == 0 ? 0 : sum_seconds / static_cast<double>(count);
  }
};

/// The delay budget: how long every stage takes. A plain value; not thread-safe.
class StageTimes {
 public:
  void add(Stage stage, double seconds) noexcept {
    StageTime& time = times_[static_cast<std::size_t>(stage)];
    ++time.count;
    time.sum_seconds += seconds;
    time.max_seconds = std::max(time.max_seconds, seconds);
  }
  const StageTime& of(Stage stage) const noexcept {
    return times_[static_cast<std::size_t>(stage)];
  }

  /// Calls function(Stage, const StageTime&) for the stages that occurred, in order.
  template <class Function>
  void for_each(Function&& function) const {
    for (std::size_t i = 0; i < stage_count; ++i) {
      if (times_[i].count > 0) function(static_cast<Stage>(i), times_[i]);
    }
  }

 private:
  std::array<StageTime, stage_count> times_;
};

/// Gets every stage as it ends, with the number of the batch or of the model version that it is
/// about. Called on the thread that ended it, also under the host's lock: it must not call the
/// host.
using StageObserver = std::function<void(Stage, double seconds, std::uint64_t number)>;

}  // namespace ams
