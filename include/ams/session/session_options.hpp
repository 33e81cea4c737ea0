#pragma once

#include <cstddef>
#include <cstdint>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// What one device may make its server hold, and how long the server waits for it.
struct SessionLimits {
  std::size_t max_buffer_samples = 4096;     ///< in the replay buffer, >= 1; the newest stay
  std::size_t max_buffer_bytes = 1UL << 30;  ///< of them (Task::size_bytes), >= 1
  /// Of the batches and labels that record() has of the replay buffer; 0: it has none.
  std::size_t max_record_sample_bytes = 8UL << 20;
  std::size_t max_pending_batches = 8;       ///< being labelled; more are dropped and counted, >= 1
  std::size_t max_frames_per_batch = 256;    ///< >= 1; what decode_samples() takes by default
  std::size_t max_bitstream_bytes = 8UL << 20;  ///< of one batch, >= 1; likewise
  std::size_t max_updates_in_flight = 4;  ///< no phase begins while so many await their Ack, >= 1
  /// A device that owes an Ack longer is disconnected; > 0. What is on its way has, besides, the
  /// time that it takes at UpdatePolicy::slowest_link_bps().
  double ack_timeout_seconds = 300;
  /// Snapshots in answer to wrong acks and refusals, without a good Ack of an update between; >= 1.
  std::size_t max_consecutive_snapshots = 4;
  std::size_t max_history_updates = 4096;  ///< updates kept for a device that comes back
  /// And their bytes: a device that has missed more gets a snapshot. 0: about a snapshot's size.
  std::size_t max_history_bytes = 0;
};

/// What can be set about one device's session besides its policy and its task.
struct SessionOptions {
  std::uint64_t session_id = 1;  ///< goes to the device in Welcome, for its logs
  std::uint64_t seed = 0;        ///< of mini-batches and of what the policy draws
  int snapshot_zstd_level = 3;   ///< 1 to 19
  SessionLimits limits = {};
};

/// Throws Error(invalid_argument), naming the field and its range.
inline void validate(const SessionOptions& options) {
  const auto require = [](bool ok, const char* field, auto value, const char* allowed) {
    if (ok) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("session option {} is {}; allowed is {}", field, value, allowed));
  };
  const SessionLimits& limits = options.limits;
  const auto at_least_one = [&](const char* field, std::size_t value) {
    require(value >= 1, field, value, "1 or more");
  };
  require(options.snapshot_zstd_level >= 1 && options.snapshot_zstd_level <= 19,
          "snapshot_zstd_level", options.snapshot_zstd_level, "1 to 19");
  at_least_one("max_buffer_samples", limits.max_buffer_samples);
  at_least_one("max_buffer_bytes", limits.max_buffer_bytes);
  at_least_one("max_pending_batches", limits.max_pending_batches);
  at_least_one("max_frames_per_batch", limits.max_frames_per_batch);
  at_least_one("max_bitstream_bytes", limits.max_bitstream_bytes);
  at_least_one("max_updates_in_flight", limits.max_updates_in_flight);
  at_least_one("max_consecutive_snapshots", limits.max_consecutive_snapshots);
  // Written so that NaN is out of range.
  require(limits.ack_timeout_seconds >= 1e-3 && limits.ack_timeout_seconds <= 1e9,
          "ack_timeout_seconds", limits.ack_timeout_seconds, "0.001 to 1e9");
}

}  // namespace ams
