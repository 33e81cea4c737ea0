#include "ams/video/pixels.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

using Rgb = std::array<std::uint8_t, 3>;

/// Every pixel its own; padding of 7 bytes that must not be seen.
struct Pixels {
  int width = 6, height = 4;
  std::size_t stride_bytes;
  std::vector<std::uint8_t> bytes;

  Pixels(std::size_t pixel_bytes, const std::vector<int>& order) {
    stride_bytes = static_cast<std::size_t>(width) * pixel_bytes + 7;
    bytes.assign(stride_bytes * static_cast<std::size_t>(height) - 7, 0xEE);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          const std::size_t at = static_cast<std::size_t>(y) * stride_bytes +
                                 static_cast<std::size_t>(x) * pixel_bytes +
                                 static_cast<std::size_t>(order[c]);
          bytes[at] = rgb(x, y)[c];
        }
      }
    }
  }
  static Rgb rgb(int x, int y) {
    return {static_cast<std::uint8_t>(40 * x), static_cast<std::uint8_t>(60 * y),
            static_cast<std::uint8_t>(10 * x + 20 * y)};
  }
};

Rgb pixel(const Frame& frame, int x, int y) {
  const auto* const at = &frame.rgb[static_cast<std::size_t>(3 * (y * frame.width + x))];
  return {at[0], at[1], at[2]};
}

/// One colour, as NV12.
Rgb of_nv12(std::uint8_t y, std::uint8_t u, std::uint8_t v, bool full_range, bool apart) {
  std::vector<std::uint8_t> bytes(16 * 8 + 16 * 4, y);
  for (std::size_t i = 16 * 8; i < bytes.size(); i += 2) bytes[i] = u, bytes[i + 1] = v;
  PixelView view{.format = PixelFormat::nv12,
                 .width = 16,
                 .height = 8,
                 .pixels = bytes.data(),
                 .full_range = full_range};
  std::vector<std::uint8_t> chroma;
  if (apart) {
    chroma.assign(bytes.begin() + 16 * 8, bytes.end());
    bytes.resize(16 * 8);
    view.pixels = bytes.data();
    view.chroma = chroma.data();
  }
  const Frame frame = PixelReader().read(view);
  CHECK(frame.width == 16);
  CHECK(frame.height == 8);
  return pixel(frame, 5, 5);
}

void check_near(const Rgb& found, const Rgb& wanted) {
  for (std::size_t c = 0; c < 3; ++c) {
    CAPTURE(c);
    CHECK(std::abs(int{found[c]} - int{wanted[c]}) <= 3);
  }
}

}  // namespace

TEST_CASE("every layout of RGB is read exactly, without padding and alpha") {
  PixelReader reader;
  for (int times = 0; times < 2; ++times) {
    for (const auto& [format, pixel_bytes, order] :
         {std::tuple{PixelFormat::rgb24, std::size_t{3}, std::vector{0, 1, 2}},
          {PixelFormat::bgr24, 3, {2, 1, 0}},
          {PixelFormat::rgba, 4, {0, 1, 2}},
          {PixelFormat::bgra, 4, {2, 1, 0}}}) {
      const int number = static_cast<int>(format);  // clang 14 captures no structured binding
      CAPTURE(number);
      const Pixels picture(pixel_bytes, order);
      const Frame frame = reader.read({.format = format,
                                       .width = picture.width,
                                       .height = picture.height,
                                       .pixels = picture.bytes.data(),
                                       .stride_bytes = picture.stride_bytes});
      REQUIRE(frame.rgb.size() == std::size_t{3} * 6 * 4);
      for (int y = 0; y < picture.height; ++y) {
        for (int x = 0; x < picture.width; ++x) CHECK(pixel(frame, x, y) == Pixels::rgb(x, y));
      }
    }
  }
}

TEST_CASE("NV12 in both ranges, in one piece and in two") {
  for (const bool apart : {false, true}) {
    check_near(of_nv12(16, 128, 128, false, apart), {0, 0, 0});
    check_near(of_nv12(235, 128, 128, false, apart), {255, 255, 255});
    check_near(of_nv12(16, 128, 128, true, apart), {16, 16, 16});
    check_near(of_nv12(81, 90, 240, false, apart), {255, 0, 0});  // red in BT.601
    check_near(of_nv12(76, 85, 255, true, apart), {254, 0, 0});
  }
}

TEST_CASE("what cannot be a picture is refused") {
  PixelReader reader;
  const std::vector<std::uint8_t> bytes(64 * 64 * 4);
  const PixelView good{
      .format = PixelFormat::bgra, .width = 8, .height = 8, .pixels = bytes.data()};
  const auto refused = [&](auto&& change) {
    PixelView view = good;
    change(view);
    return error_of([&] { reader.read(view); }) == "invalid_argument";
  };
  CHECK_FALSE(refused([](PixelView&) {}));
  CHECK(refused([](PixelView& v) { v.pixels = nullptr; }));
  CHECK(refused([](PixelView& v) { v.width = 0; }));
  CHECK(refused([](PixelView& v) { v.height = -1; }));
  CHECK(refused([](PixelView& v) { v.width = 16385; }));
  CHECK(refused([](PixelView& v) { v.stride_bytes = 31; }));
  CHECK(refused([](PixelView& v) { v.stride_bytes = ~std::size_t{0}; }));
  CHECK(refused([](PixelView& v) { v.format = static_cast<PixelFormat>(9); }));
  CHECK(refused([](PixelView& v) { v.format = PixelFormat::nv12, v.width = 7; }));
  CHECK(refused([](PixelView& v) { v.format = PixelFormat::nv12, v.chroma_stride_bytes = 3; }));
}
