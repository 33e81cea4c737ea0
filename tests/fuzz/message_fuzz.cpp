// Both decoders of messages and the chunk assembler, as a hostile peer meets them.
//
// Input: one byte that chooses, then the bytes. 'd': a device's message. 's': a server's message.
// Anything else: chunks, each behind its length (two bytes, little-endian); every message that they
// complete goes to both decoders.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ams/core/error.hpp"
#include "ams/net/chunking.hpp"
#include "ams/net/wire.hpp"

namespace {

using Bytes = std::span<const std::byte>;

// What a decoder accepts, the encoder must accept, and it must mean the same again.
template <typename Decode>
void decode_twice(Bytes span, Decode decode) {
  const ams::Bytes bytes(nullptr, span);
  decltype(decode(bytes)) message;
  try {
    message = decode(bytes);
  } catch (const ams::Error&) {
    return;
  }
  const auto encoded = ams::encode_message(message);
  if (ams::encode_message(decode(encoded)) != encoded) {
    std::abort();
  }
}

void decode_device(Bytes bytes) {
  decode_twice(bytes, ams::decode_device_message);
}
void decode_server(Bytes bytes) {
  decode_twice(bytes, ams::decode_server_message);
}

void assemble(Bytes bytes) {
  constexpr std::size_t max_message_bytes = 4096;
  ams::ChunkAssembler assembler(max_message_bytes);
  while (bytes.size() >= 2) {
    const auto announced =
        std::to_integer<std::size_t>(bytes[0]) | std::to_integer<std::size_t>(bytes[1]) << 8;
    bytes = bytes.subspan(2);
    const Bytes chunk = bytes.first(std::min(announced, bytes.size()));
    bytes = bytes.subspan(chunk.size());
    try {
      if (const auto message = assembler.feed(chunk)) {
        if (message->empty() || message->size() > max_message_bytes) {
          std::abort();
        }
        decode_device(message->span());
        decode_server(message->span());
      }
    } catch (const ams::Error&) {
      return;
    }
    if (assembler.buffered_bytes() > ams::lane_count * max_message_bytes) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const Bytes bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'd':
      decode_device(bytes);
      break;
    case 's':
      decode_server(bytes);
      break;
    default:
      assemble(bytes);
      break;
  }
  return 0;
}
