#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/error.hpp"

/// Messages cut into chunks, so that small ones need not wait for big ones and nothing limits a
/// message but the receiver's choice. One chunk is one binary WebSocket message (docs/protocol.md):
///
///     0x00                  a whole message follows
///     0x40 | lane, u64 size the first part of a message of `size` bytes follows (little-endian)
///     0x80 | lane           the next part
///     0xC0 | lane           the last part
///
/// A lane carries one message at a time; chunks of different lanes may alternate.
namespace ams {

/// Who overtakes whom: the next chunk always comes from the most urgent lane that has one.
enum class Lane : std::uint8_t {
  control = 0,
  frames = 1,
  bulk = 2,
};
inline constexpr std::size_t lane_count = 4;  ///< lanes on the wire; 3 is free for later use

/// Chunk with its header and a WebSocket header of up to 8 bytes fills one TLS record of 16 KiB.
inline constexpr std::size_t default_chunk_bytes = 16384 - 8;
/// Longest chunk that a receiver must take, header included.
inline constexpr std::size_t max_chunk_bytes = 65536;
/// Longest header.
inline constexpr std::size_t max_chunk_header_bytes = 9;

/// A chunk as it is sent: a header, then a part of a message, which is shared with it.
struct Chunk {
  std::array<std::byte, max_chunk_header_bytes> header{};
  std::size_t header_bytes = 0;
  Bytes part;

  std::size_t size() const noexcept { return header_bytes + part.size(); }
};

/// The sender's side: messages in, chunks out. Copies no message. Not thread-safe.
class ChunkQueue {
 public:
  /// `chunk_bytes`: longest chunk, header included; 16 to max_chunk_bytes, else
  /// Error(invalid_argument).
  explicit ChunkQueue(std::size_t chunk_bytes = default_chunk_bytes);

  /// Queues a message of at least one byte; messages of one lane stay in order. Throws
  /// Error(invalid_argument) on an empty message.
  void push(Lane lane, Bytes message);

  bool empty() const noexcept;
  std::size_t queued_bytes() const noexcept {
    return queued_bytes_;
  }  ///< of messages, without headers

  /// The next chunk; nothing when nothing is queued.
  std::optional<Chunk> pop();

  /// Forgets everything queued except messages in `lane` that have not begun.
  void keep_only(Lane lane);

 private:
  struct LaneQueue {
    std::deque<Bytes> messages;
    std::size_t sent = 0;  // bytes of the front message that are out
  };

  std::size_t chunk_bytes_;
  std::size_t queued_bytes_ = 0;
  std::array<LaneQueue, lane_count> lanes_;
};

/// The receiver's side: chunks in, messages out. The chunks may come from anyone: memory follows
/// the bytes that arrived, not those that were announced, and all that is unfinished has at most
/// max_message_bytes. A message is copied once, out of its chunks, and more often only beyond 1
/// MiB; its second byte, where its body begins, lies at a multiple of 8. Not thread-safe.
class ChunkAssembler {
 public:
  explicit ChunkAssembler(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

  /// The message that this chunk completes, if it does. Throws Error(malformed_data) on a bad
  /// header, an empty part, a part of no message or one that does not fit its size, and
  /// Error(limit_exceeded) on a message of more than max_message_bytes, unfinished messages that
  /// have more together, or a chunk above max_chunk_bytes; then use the assembler no more.
  std::optional<Bytes> feed(std::span<const std::byte> chunk);

  void set_max_message_bytes(std::size_t bytes) noexcept { max_message_bytes_ = bytes; }
  std::size_t buffered_bytes() const noexcept;  ///< of messages that are not complete

 private:
  struct Partial {
    std::uint64_t size = 0;        // 0: no message on this lane
    std::vector<std::byte> bytes;  // after the padding that aligns the body
    std::size_t arrived() const noexcept;
  };

  std::size_t max_message_bytes_;
  std::array<Partial, lane_count> partials_;
};

}  // namespace ams
