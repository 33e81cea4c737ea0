// Opens hostile label tracks and reads every label frame.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ams/core/error.hpp"
#include "ams/video/label_track.hpp"
#include "scratch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto file = scratch() / "labels.mkv";
  write_file(file, std::as_bytes(std::span(data, size)));
  const ams::LabelTrackLimits limits{
      .max_width = 128, .max_height = 128, .max_frames = 16, .max_compressed_bytes = 65536};
  try {
    ams::LabelTrackReader reader(file, limits);
    if (reader.size() > limits.max_frames || reader.width() > limits.max_width ||
        reader.height() > limits.max_height) {
      std::abort();
    }
    for (std::size_t i = 0; i < reader.size(); ++i) {
      try {
        const ams::LabelMap labels = reader.at(i);
        if (labels.width != reader.width() || labels.height != reader.height()) std::abort();
      } catch (const ams::Error&) {
      }
    }
  } catch (const ams::Error&) {
  }
  return 0;
}
