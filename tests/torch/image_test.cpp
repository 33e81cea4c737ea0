#include "ams/torch/image.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

#include "ams/core/random.hpp"
#include "ams/segmentation/frame_resize.hpp"

using namespace ams;

TEST_CASE("devices without libtorch scale frames to the same bytes") {
  Random random(7);
  const auto side = [&](int most) {
    return 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(most)));
  };
  for (int round = 0; round < 40; ++round) {
    Frame frame{side(400), side(300), {}, 0};
    const bool extreme = round % 2 == 1;
    for (int i = 0; i < 3 * frame.width * frame.height; ++i) {
      const auto value = random.below(256);
      frame.rgb.push_back(static_cast<std::uint8_t>(extreme ? 255 * (value % 2) : value));
    }
    const int width = side(400), height = side(300);
    CAPTURE(frame.width);
    CAPTURE(frame.height);
    CAPTURE(width);
    CAPTURE(height);
    const torch::Tensor theirs = scaled_rgb(frame, width, height);
    const Frame ours = resize_area(frame, width, height);
    REQUIRE(ours.rgb.size() == static_cast<std::size_t>(theirs.numel()));
    CHECK(std::equal(ours.rgb.begin(), ours.rgb.end(), theirs.data_ptr<std::uint8_t>()));
  }
}
