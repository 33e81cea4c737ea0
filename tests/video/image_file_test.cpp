#include "ams/video/image_file.hpp"

#include "ams/video/video_reader.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

TEST_CASE("a JPEG is near the frame, in the range and the size that viewers expect") {
  const Scratch scratch;
  for (const int height : {48, 47}) {
    CAPTURE(height);
    Frame frame = scene(64, height, 3);
    for (int i = 0; i < 16 * 3; ++i) frame.rgb[static_cast<std::size_t>(i)] = 255;  // white
    const std::vector<std::byte> bytes = encode_jpeg(frame);
    const auto path = scratch / "picture.jpg";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    VideoReader reader(path.string());
    const auto back = reader.next();
    REQUIRE(back.has_value());
    CHECK(back->width == 64);
    CHECK(back->height == height);
    CHECK(psnr(*back, frame) > 28);
    CHECK(back->rgb[3 * 4] > 240);
  }
  CHECK(error_of([] { encode_jpeg(Frame{}); }) == "invalid_argument");
}
