#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ams/core/frame.hpp"

namespace ams {

/// What one buffer of samples may cost its receiver.
struct SampleDecoderLimits {
  std::size_t max_bytes = std::size_t{8} << 20;  ///< of bitstream
  std::size_t max_frames = 256;
  int max_width = 2048;                                ///< pixels
  int max_height = 2048;                               ///< pixels
  /// Of all decoded frames together: 85 of 1024 x 512, the largest that devices send by default. A
  /// picture that claims more is refused before anything is allocated for it.
  std::size_t max_rgb_bytes = std::size_t{128} << 20;
};

/// Decodes one buffer of samples: an H.264 Annex B bitstream of exactly `expected_frames` access
/// units, all of one size, as encode_samples() writes it. Frames come in presentation order, with
/// capture_seconds 0.
///
/// The bytes are hostile: their structure is checked and everything is counted against the limits
/// before the decoder sees them, pictures have at most 32 slices, and a picture that the decoder
/// had to guess in part is an error. Decodes in one thread. Thread-safe.
///
/// Errors: limit_exceeded (names the limit), malformed_data (not such a bitstream, damaged, or
/// another number of frames), invalid_argument (expected_frames is 0).
std::vector<Frame> decode_samples(std::span<const std::byte> bitstream, std::size_t expected_frames,
                                  const SampleDecoderLimits& limits = {});

}  // namespace ams
