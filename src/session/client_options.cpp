#include "ams/edge/client_options.hpp"

#include <cstddef>

#include <fmt/format.h>

#include "ams/core/error.hpp"
#include "ams/protocol/messages.hpp"
#include "ams/protocol/text.hpp"

namespace ams {
namespace {

// Written so that NaN is out of range.
template <class T>
void require_range(const char* field, T value, T lowest, T highest) {
  if (value >= lowest && value <= highest) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("client option {} is {}; allowed is {} to {}", field, value, lowest, highest));
}

constexpr std::size_t no_limit = static_cast<std::size_t>(-1);

}  // namespace

void validate(const ClientOptions& options) {
  require_range<std::size_t>("device_id (length)", options.device_id.size(), 1,
                             max_device_id_bytes);
  if (!is_device_id(options.device_id)) {
    throw Error(ErrorCode::invalid_argument,
                "client option device_id must be UTF-8 without control characters");
  }
  require_range<std::size_t>("token (length)", options.token.size(), 0, max_token_bytes);
  require_range("max_sampling_rate_fps", options.max_sampling_rate_fps, min_sampling_rate_fps,
                max_sampling_rate_fps);
  require_range("sampling_rate_fps", options.sampling_rate_fps, min_sampling_rate_fps,
                options.max_sampling_rate_fps);
  require_range("update_interval_seconds", options.update_interval_seconds,
                min_update_interval_seconds, max_update_interval_seconds);
  require_range("first_batch_seconds", options.first_batch_seconds, 0.0, 3600.0);
  require_range<std::size_t>("max_buffered_frames", options.max_buffered_frames, 1, no_limit);
  require_range<std::size_t>("max_frames_per_batch", options.max_frames_per_batch, 1, 256);
  require_range("welcome_timeout_seconds", options.welcome_timeout_seconds, 1e-3, 1e6);
  require_range("goodbye_timeout_seconds", options.goodbye_timeout_seconds, 1e-3, 1e6);
  require_range("reconnect_min_seconds", options.reconnect_min_seconds, 1e-3, 1e6);
  require_range("reconnect_max_seconds", options.reconnect_max_seconds,
                options.reconnect_min_seconds, 1e6);
  require_range<std::size_t>("max_consecutive_refusals", options.max_consecutive_refusals, 1,
                             no_limit);
}

}  // namespace ams
