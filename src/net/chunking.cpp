#include "ams/net/chunking.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {
namespace {

enum Part : unsigned { whole = 0x00, first = 0x40, next = 0x80, last = 0xC0 };
constexpr unsigned part_mask = 0xC0;
constexpr unsigned lane_mask = 0x3F;

std::byte header_byte(Part part, std::size_t lane) {
  return static_cast<std::byte>(part | static_cast<unsigned>(lane));
}

/// Memory comes from operator new, aligned for all that is fundamental; the kind's byte, then, and
/// this much before it put the body where FlatBuffers can be read.
constexpr std::size_t padding_bytes = 7;

/// An announced size may be a lie: this much of it is believed.
constexpr std::uint64_t max_reserved_bytes = 1U << 20;

void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

/// Room for a message of this size, which is still to come.
std::vector<std::byte> begin_message(std::uint64_t size) {
  std::vector<std::byte> bytes;
  bytes.reserve(padding_bytes + static_cast<std::size_t>(std::min(size, max_reserved_bytes)));
  bytes.resize(padding_bytes);
  return bytes;
}

Bytes end_message(std::vector<std::byte> bytes) {
  return Bytes(std::move(bytes)).suffix(padding_bytes);
}

}  // namespace

ChunkQueue::ChunkQueue(std::size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {
  if (chunk_bytes < 16 || chunk_bytes > max_chunk_bytes) {
    throw Error(ErrorCode::invalid_argument, "chunk_bytes is " + std::to_string(chunk_bytes) +
                                                 " (16 to " + std::to_string(max_chunk_bytes) +
                                                 " allowed)");
  }
}

void ChunkQueue::push(Lane lane, Bytes message) {
  if (message.empty()) {
    throw Error(ErrorCode::invalid_argument, "a message must have at least one byte");
  }
  queued_bytes_ += message.size();
  lanes_[static_cast<std::size_t>(lane)].messages.push_back(std::move(message));
}

bool ChunkQueue::empty() const noexcept {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const LaneQueue& queue) { return queue.messages.empty(); });
}

std::optional<Chunk> ChunkQueue::pop() {
  const auto queue = std::find_if(lanes_.begin(), lanes_.end(), [](const LaneQueue& candidate) {
    return !candidate.messages.empty();
  });
  if (queue == lanes_.end()) {
    return std::nullopt;
  }
  const auto lane = static_cast<std::size_t>(queue - lanes_.begin());
  const Bytes& message = queue->messages.front();
  Chunk chunk;
  const auto append = [&chunk](std::byte byte) { chunk.header[chunk.header_bytes++] = byte; };
  std::size_t taken = 0;
  if (queue->sent == 0 && message.size() < chunk_bytes_) {
    append(header_byte(whole, 0));
    taken = message.size();
  } else if (queue->sent == 0) {
    append(header_byte(first, lane));
    for (std::uint64_t size = message.size(), i = 0; i < 8; ++i, size >>= 8) {
      append(static_cast<std::byte>(size & 0xff));
    }
    // At least one byte is left for the last part, because the header takes nine.
    taken = chunk_bytes_ - max_chunk_header_bytes;
  } else {
    const std::size_t left = message.size() - queue->sent;
    const bool ends = left < chunk_bytes_;
    append(header_byte(ends ? last : next, lane));
    taken = ends ? left : chunk_bytes_ - 1;
  }
  chunk.part = message.slice(queue->sent, taken);
  queue->sent += taken;
  queued_bytes_ -= taken;
  if (queue->sent == message.size()) {
    queue->messages.pop_front();
    queue->sent = 0;
  }
  return chunk;
}

void ChunkQueue::keep_only(Lane lane) {
  for (std::size_t i = 0; i < lane_count; ++i) {
    LaneQueue& queue = lanes_[i];
    if (i != static_cast<std::size_t>(lane)) {
      queue.messages.clear();
    } else if (queue.sent > 0) {
      queue.messages.pop_front();
    }
    queue.sent = 0;
  }
  queued_bytes_ = 0;
  for (const auto& message : lanes_[static_cast<std::size_t>(lane)].messages) {
    queued_bytes_ += message.size();
  }
}

std::size_t ChunkAssembler::Partial::arrived() const noexcept {
  return size == 0 ? 0 : bytes.size() - padding_bytes;
}

std::size_t ChunkAssembler::buffered_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Partial& partial : partials_) {
    bytes += partial.arrived();
  }
  return bytes;
}

std::optional<Bytes> ChunkAssembler::feed(std::span<const std::byte> chunk) {
  const auto refuse_size = [this](std::uint64_t size) {
    throw Error(ErrorCode::limit_exceeded, "a message of " + std::to_string(size) +
                                               " bytes (at most " +
                                               std::to_string(max_message_bytes_) + " allowed)");
  };
  if (chunk.size() > max_chunk_bytes) {
    throw Error(ErrorCode::limit_exceeded, "a chunk of " + std::to_string(chunk.size()) +
                                               " bytes (at most " +
                                               std::to_string(max_chunk_bytes) + " allowed)");
  }
  if (chunk.size() < 2) {
    throw Error(ErrorCode::malformed_data,
                "a chunk of " + std::to_string(chunk.size()) + " bytes (at least 2 needed)");
  }
  const auto header = std::to_integer<unsigned>(chunk[0]);
  const unsigned part = header & part_mask;
  const std::size_t lane = header & lane_mask;
  if (lane >= lane_count || (part == whole && lane != 0)) {
    throw Error(ErrorCode::malformed_data,
                "chunk header " + std::to_string(header) + " is not one of this protocol");
  }
  if (part == whole) {
    if (chunk.size() - 1 > max_message_bytes_) {
      refuse_size(chunk.size() - 1);
    }
    std::vector<std::byte> message = begin_message(chunk.size() - 1);
    append(message, chunk.subspan(1));
    return end_message(std::move(message));
  }

  if (buffered_bytes() + chunk.size() > max_message_bytes_ + max_chunk_header_bytes) {
    throw Error(ErrorCode::limit_exceeded,
                "unfinished messages of more than " + std::to_string(max_message_bytes_) +
                    " bytes together");
  }
  Partial& partial = partials_[lane];
  if (part == first) {
    if (partial.size != 0) {
      throw Error(ErrorCode::malformed_data,
                  "a message began on lane " + std::to_string(lane) + " before the last one ended");
    }
    if (chunk.size() <= max_chunk_header_bytes) {
      throw Error(ErrorCode::malformed_data, "the first chunk of a message holds nothing of it");
    }
    std::uint64_t size = 0;
    for (int i = 8; i >= 1; --i) {
      size = (size << 8) | std::to_integer<std::uint64_t>(chunk[static_cast<std::size_t>(i)]);
    }
    if (size > max_message_bytes_) {
      refuse_size(size);
    }
    const auto bytes = chunk.subspan(max_chunk_header_bytes);
    if (bytes.size() >= size) {
      throw Error(ErrorCode::malformed_data, "the first chunk of a message of " +
                                                 std::to_string(size) +
                                                 " bytes leaves nothing for a last one");
    }
    partial.size = size;
    partial.bytes = begin_message(size);
    append(partial.bytes, bytes);
    return std::nullopt;
  }

  if (partial.size == 0) {
    throw Error(ErrorCode::malformed_data, "a chunk continues a message on lane " +
                                               std::to_string(lane) + ", but none has begun");
  }
  const auto bytes = chunk.subspan(1);
  const std::uint64_t left = partial.size - partial.arrived();
  if (part == last ? bytes.size() != left : bytes.size() >= left) {
    throw Error(ErrorCode::malformed_data, "a chunk of " + std::to_string(bytes.size()) +
                                               " bytes where " + std::to_string(left) + " of " +
                                               std::to_string(partial.size) + " are left");
  }
  append(partial.bytes, bytes);
  if (part == next) {
    return std::nullopt;
  }
  partial.size = 0;
  return end_message(std::exchange(partial.bytes, {}));
}

}  // namespace ams
