#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/handle.hpp"
#include "ams/runtime/frame_codec.hpp"
#include "ams/video/sample_decoder.hpp"
#include "ams/video/sample_encoder.hpp"

namespace ams {

/// How a device's samples leave it, and what a server takes.
struct H264CodecOptions {
  SampleEncoderOptions encoder = {};  ///< target_bps holds as far as servers decode so many bytes
  int max_width = 1024;               ///< largest size of samples, pixels
  int max_height = 512;
  SampleDecoderLimits decoder = {};
};

/// Frames of type Frame as H.264, encode_samples() and decode_samples().
class H264Codec final : public FrameCodec {
 public:
  explicit H264Codec(H264CodecOptions options = {}) : options_(options) {}

  /// The frame, no larger than max_width x max_height; never enlarged, that would only cost bits.
  Handle reduce(const Handle& frame) const override;

  /// Frames of another size than the newest one are brought to its size. Throws as
  /// encode_samples().
  Bytes encode(std::span<const Handle> frames, double period_seconds) const override;

  /// Throws as decode_samples().
  std::vector<Handle> decode(std::span<const std::byte> bitstream,
                             std::span<const double> capture_seconds) const override;

 private:
  H264CodecOptions options_;
};

}  // namespace ams
