#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/handle.hpp"

namespace ams {

/// How sampled frames travel (section 3.2): a buffer of frames to bytes, and back. H264Codec
/// (video) is the real one. Thread-safe. All may throw Error.
class FrameCodec {
 public:
  virtual ~FrameCodec() = default;

  /// Device: a frame as it is kept until its buffer leaves, e.g. scaled down.
  virtual Handle reduce(const Handle& frame) const { return frame; }

  /// Device: at least one byte. period_seconds: the time that the frames stand for.
  virtual Bytes encode(std::span<const Handle> frames, double period_seconds) const = 0;

  /// Server: as many frames as capture times. The bytes are hostile until decoded.
  virtual std::vector<Handle> decode(std::span<const std::byte> bitstream,
                                     std::span<const double> capture_seconds) const = 0;
};

}  // namespace ams
