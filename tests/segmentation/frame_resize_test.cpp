#include "ams/segmentation/frame_resize.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <span>

#include "ams/core/digest.hpp"
#include "ams/core/random.hpp"
#include "core/expect_error.hpp"

using namespace ams;

namespace {

Frame noise(int width, int height, std::uint64_t seed) {
  Random random(seed);
  Frame frame{width, height, {}, 1.5};
  for (int i = 0; i < 3 * width * height; ++i) {
    frame.rgb.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  return frame;
}

Digest digest(const Frame& frame) {
  return byte_digest(std::as_bytes(std::span(frame.rgb)));
}

}  // namespace

TEST_CASE("the same size is the same frame, and one colour stays it in every size") {
  const Frame frame = noise(7, 5, 1);
  CHECK(resize_area(frame, 7, 5).rgb == frame.rgb);
  Frame plain{31, 17, std::vector<std::uint8_t>(31 * 17 * 3, 201), 2.5};
  for (const auto& [width, height] : {std::pair{1, 1}, {5, 40}, {64, 3}, {31, 100}}) {
    const Frame scaled = resize_area(plain, width, height);
    CHECK(scaled.width == width);
    CHECK(scaled.height == height);
    CHECK(scaled.capture_seconds == 2.5);
    CHECK(scaled.rgb == std::vector<std::uint8_t>(scaled.rgb.size(), 201));
    CHECK(scaled.rgb.size() == std::size_t{3} * static_cast<std::size_t>(width * height));
  }
}

TEST_CASE("smaller is the weighted mean of what an output pixel covers") {
  // Triangles over 2 x 2 pixels of each: 1/8, 3/8, 3/8, 1/8, and at the border 3/7, 3/7, 1/7.
  const Frame frame{4, 1, {0, 0, 0, 70, 70, 70, 140, 140, 140, 210, 210, 210}, 0};
  CHECK(resize_area(frame, 2, 1).rgb == std::vector<std::uint8_t>{50, 50, 50, 160, 160, 160});
}

TEST_CASE("the bytes are the same on every machine") {
  CHECK(digest(resize_area(noise(320, 180, 2), 128, 64)) == 730406813820446950ULL);
  CHECK(digest(resize_area(noise(100, 60, 3), 256, 128)) == 5561483490569701440ULL);
  CHECK(digest(resize_area(noise(90, 200, 4), 128, 64)) == 8827246657996347337ULL);
}

TEST_CASE("sizes below 1 x 1 and wrong numbers of bytes are refused") {
  const Frame frame = noise(4, 4, 5);
  test::expect_error(
      ErrorCode::invalid_argument, [&] { resize_area(frame, 0, 4); }, "1 x 1");
  Frame cut = frame;
  cut.rgb.pop_back();
  test::expect_error(
      ErrorCode::invalid_argument, [&] { resize_area(cut, 2, 2); }, "47 bytes");
}
