// Decodes hostile buffers of samples: the first byte is the number of frames that a device said,
// the rest is the bitstream. What is decoded keeps to what was said and to the limits.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ams/core/error.hpp"
#include "ams/video/sample_decoder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ams::SampleDecoderLimits limits{.max_bytes = 16384,
                                        .max_frames = 8,
                                        .max_width = 128,
                                        .max_height = 128,
                                        .max_rgb_bytes = std::size_t{1} << 18};
  const std::size_t expected = data[0] % 10;
  try {
    const auto frames =
        ams::decode_samples(std::as_bytes(std::span(data, size)).subspan(1), expected, limits);
    std::size_t rgb_bytes = 0;
    for (const ams::Frame& frame : frames) {
      if (frame.width > limits.max_width || frame.height > limits.max_height) std::abort();
      rgb_bytes += frame.rgb.size();
    }
    if (frames.size() != expected || rgb_bytes > limits.max_rgb_bytes) std::abort();
  } catch (const ams::Error&) {
  }
  return 0;
}
