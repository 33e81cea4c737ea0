#pragma once

#include <cstdint>
#include <string>
#include <vector>

#ifdef AMS_TEST_PNG
#include <png.h>
#endif

namespace ams::testing {

struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> bytes;  ///< empty when it could not be read
};

/// A PNG file as RGB (channels 3) or gray (channels 1).
inline Picture read_png([[maybe_unused]] const std::string& path, [[maybe_unused]] int channels) {
  Picture picture;
#ifdef AMS_TEST_PNG
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) return picture;
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  picture.bytes.resize(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, picture.bytes.data(), 0, nullptr) == 0) return {};
  picture.width = static_cast<int>(image.width);
  picture.height = static_cast<int>(image.height);
#endif
  return picture;
}

}  // namespace ams::testing
