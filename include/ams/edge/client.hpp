#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ams/core/model_state.hpp"
#include "ams/core/random.hpp"
#include "ams/edge/client_options.hpp"
#include "ams/protocol/messages.hpp"

namespace ams {

// ---- actions: what a driver does for an EdgeClient ----

/// Open a connection, then call on_connected(), or on_disconnected() when that fails.
struct ConnectToServer {};

/// Send on the open connection, in order, after whatever was sent before.
struct SendToServer {
  DeviceMessage message;
};

/// Compress these frames together (section 3.2), then call on_encoded() or on_encode_failed(). The
/// next one comes only after that.
template <class FrameHandle>
struct EncodeBuffer {
  std::uint64_t batch_id = 0;
  std::vector<FrameHandle> frames;      ///< at least one
  std::vector<double> capture_seconds;  ///< one per frame, strictly ascending
  double period_seconds =
      0;  ///< how much video they stand for: times the bitrate it is the bits to spend
};

/// held() has a new value: load its values into the inactive copy of the model and swap, then call
/// on_published(version). Copy held() at once if that happens on another thread. When several are
/// waiting, the newest is enough.
struct Publish {
  ModelVersion version;
};

/// held() has a new value: save encode_snapshot(held()) where a restarted device finds it.
struct Persist {
  ModelVersion version;
};

/// Send what is queued, then close the connection and call on_disconnected().
struct DisconnectServer {
  std::string reason;
};

template <class FrameHandle>
using EdgeAction = std::variant<ConnectToServer, SendToServer, EncodeBuffer<FrameHandle>, Publish,
                                Persist, DisconnectServer>;
template <class FrameHandle>
using EdgeActions = std::vector<EdgeAction<FrameHandle>>;

/// What a client has done so far.
struct ClientCounters {
  std::uint64_t frames = 0;  ///< seen
  std::uint64_t frames_sampled = 0;
  std::uint64_t frames_dropped = 0;  ///< sampled, but the buffer was full
  std::uint64_t frames_invalid = 0;  ///< their capture time was not finite or negative; ignored
  std::uint64_t batches = 0;         ///< sent, each counted once
  std::uint64_t batch_bytes = 0;     ///< of bitstream
  std::uint64_t batches_sent_again = 0;
  std::uint64_t batches_failed = 0;  ///< could not be encoded
  std::uint64_t updates = 0;         ///< applied
  std::uint64_t update_bytes = 0;
  std::uint64_t snapshots = 0;  ///< taken over
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t refusals = 0;
  std::uint64_t connections = 0;     ///< that got a Welcome
  std::uint64_t disconnections = 0;  ///< failed attempts included
};

/// The device's half of AMS, as a state machine without I/O, clock or threads: events go in,
/// actions come out. It holds the device's model state, samples frames at the server's rate, sends
/// them every T_update, applies updates as transactions, and comes back after every loss of
/// connection. The driver keeps inferring all the while. FrameHandle is whatever the driver calls a
/// frame; moving it must be cheap.
///
/// Time: now_seconds is the driver's clock, finite (else Error(invalid_argument)); a clock that
/// steps back is taken to stand still. Capture times are on the video's own timeline, >= 0.
///
/// Whatever a server sends, no event throws: what does not check out is refused (Refusal) or ends
/// the connection, and the model stays as it was. Calls that the driver may not make throw
/// Error(invalid_argument) and change nothing. Not thread-safe. Movable.
template <class FrameHandle>
class EdgeClient {
 public:
  using Actions = EdgeActions<FrameHandle>;

  /// initial: w_0, or the state that Persist saved; the driver's model has these values loaded
  /// already. Throws Error(invalid_argument) on options out of range.
  EdgeClient(ModelState initial, ClientOptions options);

  // ---- events: the connection ----

  Actions on_start(double now_seconds);
  Actions on_connected(double now_seconds);

  /// The connection is gone or could not be opened. Tries again after a delay that doubles with
  /// every failure, unless stopped.
  Actions on_disconnected(const std::string& reason, double now_seconds);
  Actions on_message(const ServerMessage& message, double now_seconds);

  /// Says Bye and stays away until on_start(). Frames that were not sent yet are dropped.
  Actions on_stop(const std::string& reason, double now_seconds);

  // ---- events: frames ----

  /// Every frame of the video, or at least those for which wants_frame(). The handle is kept only
  /// if the frame is sampled: the first frame at or after each sampling time; a gap in the video
  /// gives no burst.
  Actions on_frame(double capture_seconds, FrameHandle frame, double now_seconds);

  /// Would on_frame() sample a frame of this time? Saves drivers the making of a handle.
  bool wants_frame(double capture_seconds) const noexcept;

  /// Result of the EncodeBuffer action with this id.
  Actions on_encoded(std::uint64_t batch_id, std::vector<std::byte> bitstream, double now_seconds);
  Actions on_encode_failed(std::uint64_t batch_id, double now_seconds);

  // ---- events: the model ----

  /// The driver now runs this version. Older versions than held() need not be reported.
  Actions on_published(ModelVersion version, double now_seconds);

  // ---- time ----

  Actions on_time(double now_seconds);

  /// When on_time() is wanted next; nothing while the client waits for other events.
  std::optional<double> next_wake_seconds() const;

  // ---- state ----

  const ModelState& held() const noexcept;
  bool streaming() const noexcept;  ///< between Welcome and the connection's end
  double sampling_rate_fps() const noexcept;
  double update_interval_seconds() const noexcept;  ///< T_update
  std::size_t buffered_frames() const noexcept;
  const std::string& last_error()
      const noexcept;  ///< latest reason of a disconnection, fault or refusal
  const ClientCounters& counters() const noexcept;
  const ClientOptions& options() const noexcept;
};

}  // namespace ams
