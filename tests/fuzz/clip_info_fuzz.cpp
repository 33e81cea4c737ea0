// Reads hostile clip.json. What is taken, is written as a text that means the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ams/core/error.hpp"
#include "ams/video/clip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ams::ClipInfo info;
  try {
    info = ams::parse_clip_info({reinterpret_cast<const char*>(data), size});
  } catch (const ams::Error&) {
    return 0;
  }
  const std::string text = ams::format_clip_info(info);
  if (ams::format_clip_info(ams::parse_clip_info(text)) != text) std::abort();
  return 0;
}
