#include "ams/server/session_options.hpp"

#include <cmath>
#include <cstddef>

#include <fmt/format.h>

#include "ams/core/error.hpp"
#include "ams/protocol/messages.hpp"

namespace ams {
namespace {

// Written so that NaN is out of range.
void require_range(const char* field, double value, double lowest, double highest) {
  if (value >= lowest && value <= highest) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("session option {} is {}; allowed is {} to {}", field, value, lowest, highest));
}

void require_range(const char* field, std::size_t value, std::size_t lowest, std::size_t highest) {
  if (value >= lowest && value <= highest) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("session option {} is {}; allowed is {} to {}", field, value, lowest, highest));
}

constexpr std::size_t no_limit = static_cast<std::size_t>(-1);

}  // namespace

void validate(const SessionOptions& options) {
  require_range("horizon_seconds", options.horizon_seconds, 1e-3, 1e9);
  require_range("update_interval_seconds", options.update_interval_seconds,
                min_update_interval_seconds, max_update_interval_seconds);
  require_range("iterations", options.iterations, 1, 10000);
  require_range("batch_size", options.batch_size, 1, 4096);
  require_range("max_buffer_samples", options.max_buffer_samples, 1, no_limit);
  require_range("min_samples", options.min_samples, 1, options.max_buffer_samples);
  validate(options.adam);
  if (options.downlink_budget) {
    validate(*options.downlink_budget);
    if (options.strategy) {
      throw Error(ErrorCode::invalid_argument,
                  "session options: with a downlink_budget the session chooses the strategy; leave "
                  "it null");
    }
  }
  validate(options.encode);
  require_range("snapshot_zstd_level", static_cast<double>(options.snapshot_zstd_level), 1, 19);
  validate(options.sampling);
  require_range("sampling.min_fps", options.sampling.min_fps, min_sampling_rate_fps,
                max_sampling_rate_fps);
  require_range("sampling.max_fps", options.sampling.max_fps, min_sampling_rate_fps,
                max_sampling_rate_fps);
  validate(options.training_rate);
  if (options.adapt_training_rate) {
    // The longest T_update, as devices are told it, must be one that they accept.
    require_range("training_rate.max_factor * update_interval_seconds",
                  options.training_rate.max_factor * options.update_interval_seconds,
                  options.update_interval_seconds, max_update_interval_seconds);
  }
  require_range("max_updates_in_flight", options.max_updates_in_flight, 1, no_limit);
  require_range("ack_timeout_seconds", options.ack_timeout_seconds, 1e-3, 1e9);
  require_range("max_consecutive_snapshots", options.max_consecutive_snapshots, 1, no_limit);
  require_range("max_buffer_bytes", options.max_buffer_bytes, 1, no_limit);
  require_range("max_pending_batches", options.max_pending_batches, 1, no_limit);
  require_range("max_frames_per_batch", options.max_frames_per_batch, 1, no_limit);
  require_range("max_bitstream_bytes", options.max_bitstream_bytes, 1, no_limit);
}

}  // namespace ams
