#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/text.hpp"

namespace ams {

/// What a device samples at most unless its options say otherwise.
inline constexpr double max_device_sampling_rate_fps = 60;

/// When a device says that it holds a new version.
enum class AckPolicy : std::uint8_t {
  published,  ///< once the driver runs it: EdgeClient::on_published()
  applied,    ///< as soon as its values are held; for drivers without a running model
};

namespace detail {

// Written so that NaN is out of range.
template <class T>
inline void require_client_range(const char* field, T value, T lowest, T highest) {
  if (value >= lowest && value <= highest) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("client option {} is {}; allowed is {} to {}", field, value, lowest, highest));
}

}  // namespace detail

/// Everything that can be set about a device's client.
struct ClientOptions {
  std::string device_id = "device";  ///< is_device_id() (text.hpp); names the session to resume
  std::string token = {};            ///< up to 1024 bytes of UTF-8 without control characters
  Digest student_fingerprint = 0;    ///< goes into Hello as it is

  // ---- sampling (section 3.2) ----
  double sampling_rate_fps =
      1;  ///< until the server says otherwise, 0.001 to max_sampling_rate_fps
  /// A server that asks for more is disconnected.
  double max_sampling_rate_fps = max_device_sampling_rate_fps;
  double update_interval_seconds = 2;  ///< T_update until the server says otherwise, 0.1 to 3600
  /// After a scene change frames are sampled at least so often, 0.001 to 1000...
  double scene_change_fps = 2;
  double scene_change_seconds = 4;  ///< ...for so long, 0 to 3600; 0: scene changes are ignored
  double first_batch_seconds = 0;   ///< the first batch leaves so long after its first sample, >= 0

  // ---- what is held until T_update has passed, or while the server or the encoder is busy ----
  /// Samples, >= 1. As many leave before T_update has passed; where they cannot, the oldest are
  /// dropped and counted.
  std::size_t max_buffered_frames = 64;
  /// A larger buffer leaves in several batches, 1 to 256: what a server takes by default.
  std::size_t max_frames_per_batch = 64;
  std::size_t max_kept_batches = 2;  ///< sent, but not known to have arrived; sent again on resume

  // ---- connection ----
  double welcome_timeout_seconds = 30;       ///< from connection to Welcome, > 0
  double goodbye_timeout_seconds = 5;        ///< from Bye to the connection\'s end, > 0
  double reconnect_min_seconds = 0.5;        ///< first delay; doubles with every failure, > 0
  double reconnect_max_seconds = 30;         ///< >= reconnect_min_seconds
  std::size_t max_consecutive_refusals = 8;  ///< then the device disconnects and starts over, >= 1
  AckPolicy ack_policy = AckPolicy::published;

  std::uint64_t seed = 0;  ///< of the jitter of reconnect delays: give every device its own
};

/// Throws Error(invalid_argument), naming the field and its range.
inline void validate(const ClientOptions& options) {
  constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();
  detail::require_client_range<std::size_t>("device_id (length)", options.device_id.size(), 1,
                                            max_device_id_bytes);
  if (!is_device_id(options.device_id)) {
    throw Error(ErrorCode::invalid_argument,
                "client option device_id must be UTF-8 without control characters");
  }
  detail::require_client_range<std::size_t>("token (length)", options.token.size(), 0,
                                            max_token_bytes);
  if (!is_printable(options.token)) {
    throw Error(ErrorCode::invalid_argument,
                "client option token must be UTF-8 without control characters");
  }
  detail::require_client_range("max_sampling_rate_fps", options.max_sampling_rate_fps,
                               min_sampling_rate_fps, max_sampling_rate_fps);
  detail::require_client_range("sampling_rate_fps", options.sampling_rate_fps,
                               min_sampling_rate_fps, options.max_sampling_rate_fps);
  detail::require_client_range("scene_change_fps", options.scene_change_fps, min_sampling_rate_fps,
                               max_sampling_rate_fps);
  detail::require_client_range("scene_change_seconds", options.scene_change_seconds, 0.0, 3600.0);
  detail::require_client_range("update_interval_seconds", options.update_interval_seconds,
                               min_update_interval_seconds, max_update_interval_seconds);
  detail::require_client_range("first_batch_seconds", options.first_batch_seconds, 0.0, 3600.0);
  detail::require_client_range<std::size_t>("max_buffered_frames", options.max_buffered_frames, 1,
                                            no_limit);
  detail::require_client_range<std::size_t>("max_frames_per_batch", options.max_frames_per_batch, 1,
                                            256);
  detail::require_client_range("welcome_timeout_seconds", options.welcome_timeout_seconds, 1e-3,
                               1e6);
  detail::require_client_range("goodbye_timeout_seconds", options.goodbye_timeout_seconds, 1e-3,
                               1e6);
  detail::require_client_range("reconnect_min_seconds", options.reconnect_min_seconds, 1e-3, 1e6);
  detail::require_client_range("reconnect_max_seconds", options.reconnect_max_seconds,
                               options.reconnect_min_seconds, 1e6);
  detail::require_client_range<std::size_t>("max_consecutive_refusals",
                                            options.max_consecutive_refusals, 1, no_limit);
}

}  // namespace ams
