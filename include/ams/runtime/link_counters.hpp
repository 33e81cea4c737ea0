#pragma once

#include <cstdint>

namespace ams {

/// Bytes that crossed the TCP socket, everything included: TLS handshake and records, HTTP upgrade,
/// WebSocket framing, pings, chunk headers, messages. Only TCP and IP headers are left out.
/// Named by direction, so that both ends of a link report the same figures.
struct LinkCounters {
  std::uint64_t uplink_bytes = 0;    ///< device to server
  std::uint64_t downlink_bytes = 0;  ///< server to device
};

}  // namespace ams
