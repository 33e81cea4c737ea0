#include "ams/video/h264_codec.hpp"

#include <utility>

#include "ams/core/frame.hpp"

namespace ams {

std::vector<Handle> H264Codec::decode(std::span<const std::byte> bitstream,
                                      std::span<const double> capture_seconds) const {
  std::vector<Frame> frames = decode_samples(bitstream, capture_seconds.size(), options().decoder);
  std::vector<Handle> handles;
  handles.reserve(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].capture_seconds = capture_seconds[i];
    handles.push_back(Handle::make(std::move(frames[i])));
  }
  return handles;
}

}  // namespace ams
