#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ams/core/error.hpp"

/// Files that survive a crash and a power cut.
namespace ams {

/// Writes beside `path` and renames: a reader, also one after a crash, finds the old file or the
/// whole new one. Creates the folder. Throws Error(io_error).
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// After a rename to `path`: else a power cut could bring back what was there before. Throws
/// Error(io_error).
void sync_folder_of(const std::filesystem::path& path);

/// The whole file, or nothing when there is none. Throws Error(io_error), and Error(limit_exceeded)
/// for a file of more than `max_bytes`.
std::optional<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                                std::size_t max_bytes);

}  // namespace ams
