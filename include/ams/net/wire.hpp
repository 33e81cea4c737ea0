#pragma once

#include <cstddef>
#include <cstdint>

#include "ams/core/bytes.hpp"
#include "ams/session/messages.hpp"

/// The messages as bytes: one byte that names the kind, then the body (docs/protocol.md). Bodies
/// are FlatBuffers tables or structs; those of Update and Snapshot are the codec's bytes as they
/// are.
namespace ams {

/// Limits of the protocol on top of those in messages.hpp.
inline constexpr std::size_t max_frames_per_batch = 4096;
/// Of one encoded message, whatever a connection's own limit is.
inline constexpr std::size_t max_encoded_message_bytes = std::size_t{1} << 30;
/// No encoded Hello is longer: all that a server reads from a stranger.
inline constexpr std::size_t max_encoded_hello_bytes = 2048;

/// First byte of an encoded message. The numbers are part of the protocol.
enum class MessageKind : std::uint8_t {
  hello = 1,
  frame_batch = 2,
  ack = 3,
  refusal = 4,
  welcome = 16,
  control = 17,
  update = 18,
  snapshot = 19,
  fault = 20,
  snapshot_part = 21,
  bye = 32,
};

MessageKind kind_of(const DeviceMessage& message) noexcept;
MessageKind kind_of(const ServerMessage& message) noexcept;

/// The name of a message, e.g. "FrameBatch", for logs.
const char* to_string(MessageKind kind) noexcept;

/// Throws Error(invalid_argument) on a message that breaks a limit of the protocol,
/// Error(limit_exceeded) when it is longer than max_encoded_message_bytes. Free text (Refusal,
/// Fault, Bye) that is too long is cut instead, so that reporting an error cannot fail. A payload
/// (bitstream, update, snapshot) is copied once.
Bytes encode_message(const DeviceMessage& message);
Bytes encode_message(const ServerMessage& message);

/// The bytes may come from anyone. Work and memory are bounded by their number. Throws
/// Error(malformed_data) on bytes that are no message of this direction, Error(limit_exceeded) on
/// one that breaks a limit of the protocol. Fields of newer versions are ignored. Control
/// characters in free text are replaced by '?', so that it is safe to log. Hello.version is not
/// judged here. A payload shares the bytes of the message; that of a FrameBatch is copied when the
/// message's second byte does not lie at a multiple of 8.
DeviceMessage decode_device_message(const Bytes& bytes);
ServerMessage decode_server_message(const Bytes& bytes);

}  // namespace ams
