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

/// A device's half: frames of type Frame to H.264, encode_samples(). It needs x264 and libswscale,
/// and none of libav's decoders and containers.
class H264Encoder : public FrameCodec {
 public:
  explicit H264Encoder(H264CodecOptions options = {}) : options_(options) {}

  /// The frame, no larger than max_width x max_height; never enlarged, that would only cost bits.
  Handle reduce(const Handle& frame) const override;

  /// Frames of another size than the newest one are brought to its size. Throws as
  /// encode_samples().
  Bytes encode(std::span<const Handle> frames, double period_seconds) const override;

  /// Throws Error(unavailable): a device decodes no samples.
  std::vector<Handle> decode(std::span<const std::byte> bitstream,
                             std::span<const double> capture_seconds) const override;

 protected:
  const H264CodecOptions& options() const noexcept { return options_; }

 private:
  H264CodecOptions options_;
};

/// Both halves.
class H264Codec final : public H264Encoder {
 public:
  using H264Encoder::H264Encoder;

  /// decode_samples(). Throws as that.
  std::vector<Handle> decode(std::span<const std::byte> bitstream,
                             std::span<const double> capture_seconds) const override;
};

}  // namespace ams
