#include "ams/video/h264_codec.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "support.hpp"

using namespace ams;
using namespace ams::test;

TEST_CASE("frames are reduced to the largest size, and never enlarged") {
  const H264Codec codec({.max_width = 64, .max_height = 32});
  const Handle small = Handle::make(scene(64, 32, 0));
  CHECK(codec.reduce(small).owner() == small.owner());
  const Handle large = codec.reduce(Handle::make(scene(128, 30, 0)));
  CHECK(large.as<Frame>().width == 64);
  CHECK(large.as<Frame>().height == 30);
}

TEST_CASE("a buffer comes back with its times, in the size of its newest frame") {
  const H264Codec codec({.encoder = {.target_bps = 2e6, .preset = "veryfast"}});
  std::vector<Handle> frames;
  for (int i = 0; i < 3; ++i) {
    frames.push_back(Handle::make(i == 0 ? scene(96, 96, i) : scene(64, 48, i)));
  }
  const std::vector<double> times = {1.5, 2.5, 4};
  const Bytes bytes = codec.encode(frames, 3);
  const std::vector<Handle> decoded = codec.decode(bytes.span(), times);
  REQUIRE(decoded.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const Frame& frame = decoded[i].as<Frame>();
    CHECK(frame.width == 64);
    CHECK(frame.height == 48);
    CHECK(frame.capture_seconds == times[i]);
  }
  CHECK(error_of([&] { codec.encode({}, 3); }) == "invalid_argument");
  CHECK(error_of([&] {
          codec.decode(bytes.span(), std::vector<double>{1, 2});
        }) == "malformed_data");
  // A device's half encodes the same.
  const H264Encoder encoder({.encoder = {.target_bps = 2e6, .preset = "veryfast"}});
  CHECK(encoder.encode(frames, 3) == bytes);
  CHECK(error_of([&] { encoder.decode(bytes.span(), times); }) == "unavailable");
  CHECK(error_of([&] { codec.encode(std::vector{Handle::make(7)}, 3); }) == "invalid_argument");
}

TEST_CASE("no more bytes than a server decodes, however high the bitrate") {
  const H264Codec codec({.encoder = {.target_bps = 1e9, .preset = "veryfast", .min_qp = 0},
                         .decoder = {.max_bytes = 20000}});
  Random random(1);
  std::vector<Handle> frames;
  for (int i = 0; i < 8; ++i) {
    Frame frame = scene(128, 128, i);
    for (std::uint8_t& byte : frame.rgb) byte = static_cast<std::uint8_t>(random.below(256));
    frames.push_back(Handle::make(frame));
  }
  const Bytes bytes = codec.encode(frames, 8);
  CHECK(bytes.size() <= 20000);
  CHECK(codec.decode(bytes.span(), std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}).size() == 8);
}
