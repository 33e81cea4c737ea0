#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "ams/runtime/files.hpp"

namespace ams {

/// Throws Error(io_error) unless write_file_atomically() could write `path` now: hours of work
/// should not end in a file that cannot be written. Creates the folder.
void require_writable(const std::filesystem::path& path);

/// With the folders that it lies in; it may be there. Throws Error(io_error).
void create_folder(const std::filesystem::path& path);

/// 16 hexadecimal digits, as reports show digests.
std::string hex(std::uint64_t value);

}  // namespace ams
