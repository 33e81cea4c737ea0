#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ams/core/digest.hpp"

namespace ams {

/// What a device samples at most unless its options say otherwise.
inline constexpr double max_device_sampling_rate_fps = 60;

/// When a device says that it holds a new version.
enum class AckPolicy : std::uint8_t {
  published,  ///< once the driver runs it: EdgeClient::on_published()
  applied,    ///< as soon as its values are held; for drivers without a running model
};

/// Everything that can be set about a device's client.
struct ClientOptions {
  std::string device_id = "device";  ///< is_device_id() (text.hpp); names the session to resume
  std::string token = {};            ///< up to 1024 bytes
  Digest student_fingerprint = 0;    ///< goes into Hello as it is

  // ---- sampling (section 3.2) ----
  double sampling_rate_fps =
      1;  ///< until the server says otherwise, 0.001 to max_sampling_rate_fps
  /// A server that asks for more is disconnected.
  double max_sampling_rate_fps = max_device_sampling_rate_fps;
  double update_interval_seconds = 10;  ///< T_update until the server says otherwise, 0.1 to 3600
  double first_batch_seconds = 5;  ///< the first batch leaves so long after its first sample, >= 0

  // ---- what is held until T_update has passed, or while the server is away or the encoder busy ----
  /// Samples, >= 1. As many leave before T_update has passed; where they cannot, the oldest are dropped
  /// and counted.
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
void validate(const ClientOptions& options);

}  // namespace ams
