#include <algorithm>
#include <memory>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/video/h264_codec.hpp"
#include "ams/video/scaling.hpp"

namespace ams {

Handle H264Encoder::reduce(const Handle& frame) const {
  const Frame& full = frame.as<Frame>();
  if (full.width <= options_.max_width && full.height <= options_.max_height) return frame;
  return Handle::make(scale_frame(full, std::min(options_.max_width, full.width),
                                  std::min(options_.max_height, full.height)));
}

Bytes H264Encoder::encode(std::span<const Handle> frames, double period_seconds) const {
  if (frames.empty()) throw Error(ErrorCode::invalid_argument, "H264Encoder: no frame to encode");
  // A camera may have changed its picture's size within a buffer.
  const int width = frames.back().as<Frame>().width, height = frames.back().as<Frame>().height;
  std::vector<FramePtr> same_size;
  same_size.reserve(frames.size());
  for (const Handle& handle : frames) {
    FramePtr frame = handle.share<Frame>();
    if (frame->width != width || frame->height != height) {
      frame = std::make_shared<const Frame>(scale_frame(*frame, width, height));
    }
    same_size.push_back(std::move(frame));
  }
  SampleEncoderOptions encoder = options_.encoder;
  // No more than servers decode, however long the device was alone.
  const double max_bps = 0.9 * 8 * static_cast<double>(options_.decoder.max_bytes) / period_seconds;
  encoder.target_bps = std::min(encoder.target_bps, max_bps);
  return encode_samples(same_size, period_seconds, encoder);
}

std::vector<Handle> H264Encoder::decode(std::span<const std::byte>, std::span<const double>) const {
  throw Error(ErrorCode::unavailable, "H264Encoder: a device decodes no samples; use H264Codec");
}

}  // namespace ams
