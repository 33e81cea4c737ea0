#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"

/// The messages of the AMS protocol as plain values: no bytes, no sockets. ams::net writes and
/// reads them as FlatBuffers (docs/protocol.md); a simulator may pass them on as they are.
namespace ams {

inline constexpr std::uint16_t protocol_version = 1;
inline constexpr std::size_t max_device_id_bytes = 128;
inline constexpr std::size_t max_token_bytes = 1024;
inline constexpr std::size_t max_text_bytes = 1024;  ///< of reasons and messages for people

inline constexpr std::uint64_t max_batch_id = 1ULL << 62;
/// A FrameBatch's id is at most this far beyond the newest one: no message can use up the ids.
inline constexpr std::uint64_t max_batch_id_gap = 1ULL << 32;
inline constexpr double max_capture_seconds = 1e11;      ///< seconds since 1970 are far below
inline constexpr double max_batch_span_seconds = 86400;  ///< first to last frame of a FrameBatch

// What a server may ask of a device.
inline constexpr double min_sampling_rate_fps = 1e-3, max_sampling_rate_fps = 1000;
inline constexpr double min_update_interval_seconds = 0.1, max_update_interval_seconds = 3600;

/// A server tells a refused device to come back after at most so long.
inline constexpr double max_retry_seconds = 3600;

// ---- device to server ----

/// What a device has of a snapshot that came in parts before its connection was lost.
struct SnapshotProgress {
  Digest digest = 0;                 ///< byte_digest() of the whole snapshot
  std::uint64_t size_bytes = 0;      ///< of the whole snapshot
  std::uint64_t received_bytes = 0;  ///< from its beginning; 0: it has nothing
};

/// First message of a connection.
struct Hello {
  std::uint16_t version = protocol_version;
  std::string device_id;  ///< is_device_id() (text.hpp); names the session to resume
  std::string token;      ///< up to 1024 bytes
  Digest manifest_digest = 0;
  ModelVersion held;

  /// Of all that must agree besides the manifest (frozen tensors, input size, classes), as the
  /// drivers on both sides compute it; 0 where they have nothing to compare.
  Digest student_fingerprint = 0;

  /// The device takes a snapshot in parts, and has so much of one. Nothing: it takes it whole.
  std::optional<SnapshotProgress> snapshot = {};
};

/// The samples of one T_update, compressed together (section 3.2).
struct FrameBatch {
  std::uint64_t batch_id = 0;           ///< counts from 1 in a device's life
  std::vector<double> capture_seconds;  ///< one per frame, ascending, on the video's own timeline
  Bytes bitstream;                      ///< H.264 Annex B, as many frames as capture_seconds
};

/// The device now holds this version.
struct Ack {
  ModelVersion held;
};

/// An update or snapshot was refused whole; the device still holds `held`. The server answers with
/// a snapshot.
struct Refusal {
  ModelVersion held;
  ErrorCode code = ErrorCode::malformed_data;
  std::string message;  ///< up to 1024 bytes
};

// ---- server to device ----

/// How the device gets from what it holds to what the server holds.
enum class Resume : std::uint8_t {
  in_step = 0,   ///< the device holds the newest version
  updates = 1,   ///< the missing updates follow
  snapshot = 2,  ///< a full snapshot follows
};

/// Answer to Hello.
struct Welcome {
  std::uint16_t version = protocol_version;
  std::uint64_t session_id = 0;
  Resume resume = Resume::in_step;
  double sampling_rate_fps = 1;
  double update_interval_seconds = 2;  ///< T_update
  std::uint64_t last_batch_id =
      0;  ///< newest FrameBatch that the server has from this device (0: none);
          ///< the device sends again what is newer and counts on from here
};

/// New rates, whenever they change (equation 1; appendix D).
struct Control {
  double sampling_rate_fps = 1;
  double update_interval_seconds = 2;  ///< T_update
};

/// Bytes of encode_update().
struct Update {
  Bytes bytes;
};

/// Bytes of encode_snapshot().
struct Snapshot {
  Bytes bytes;
};

/// A part of a snapshot, for a device that said it takes parts. They come in order, each where the
/// one before has ended, the first where Hello::snapshot has.
struct SnapshotPart {
  Digest digest = 0;               ///< byte_digest() of the whole snapshot
  std::uint64_t size_bytes = 0;    ///< of the whole snapshot
  std::uint64_t offset_bytes = 0;  ///< of this part in it
  Bytes bytes;                     ///< at least one
};

/// The server cannot go on with this connection; it closes after this message.
struct Fault {
  ErrorCode code = ErrorCode::protocol_violation;
  std::string message;  ///< up to 1024 bytes
  /// The server is busy: come back after so long, up to max_retry_seconds. 0: it does not say.
  double retry_seconds = 0;
};

// ---- both ways ----

/// An orderly end.
struct Bye {
  std::string reason;  ///< up to 1024 bytes
};

using DeviceMessage = std::variant<Hello, FrameBatch, Ack, Refusal, Bye>;
using ServerMessage = std::variant<Welcome, Control, Update, Snapshot, Fault, Bye, SnapshotPart>;

}  // namespace ams
