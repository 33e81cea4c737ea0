#include "ams/video/h264_codec.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/video/scaling.hpp"

namespace ams {

Handle H264Codec::reduce(const Handle& frame) const {
  const Frame& full = frame.as<Frame>();
  if (full.width <= options_.max_width && full.height <= options_.max_height) return frame;
  return Handle::make(scale_frame(full, std::min(options_.max_width, full.width),
                                  std::min(options_.max_height, full.height)));
}

Bytes H264Codec::encode(std::span<const Handle> frames, double period_seconds) const {
  if (frames.empty()) throw Error(ErrorCode::invalid_argument, "H264Codec: no frame to encode");
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

std::vector<Handle> H264Codec::decode(std::span<const std::byte> bitstream,
                                      std::span<const double> capture_seconds) const {
  std::vector<Frame> frames = decode_samples(bitstream, capture_seconds.size(), options_.decoder);
  std::vector<Handle> handles;
  handles.reserve(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].capture_seconds = capture_seconds[i];
    handles.push_back(Handle::make(std::move(frames[i])));
  }
  return handles;
}

}  // namespace ams
