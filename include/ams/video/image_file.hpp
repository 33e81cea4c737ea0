#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "ams/core/frame.hpp"

namespace ams {

/// Writes a frame as an 8-bit RGB PNG file, whole or not at all. Errors: invalid_argument (frame),
/// io_error.
void write_png(const std::filesystem::path& path, const Frame& frame);

/// A frame as a JPEG file, for people to look at. Errors: invalid_argument (frame), unavailable.
std::vector<std::byte> encode_jpeg(const Frame& frame);

}  // namespace ams
