#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ams::detail {

/// Throws Error(invalid_argument) unless 1 <= level <= 19.
void check_zstd_level(int level);

/// Appends `content` as one Zstandard frame that states its content size.
void append_zstd_frame(std::vector<std::byte>& bytes, std::span<const std::byte> content,
                       int level);

/// The content size that a frame states. Throws Error(malformed_data) unless `bytes` is exactly one
/// Zstandard frame, with its content size stated. `what` names the bytes in messages. Decodes
/// nothing.
std::size_t zstd_content_size(std::span<const std::byte> bytes, const char* what);

/// The content of a frame whose stated size the caller has read and found acceptable: the only
/// memory that grows with the data is those `content_size` bytes, whatever window the frame asks
/// for. Throws Error(malformed_data).
std::vector<std::byte> zstd_decompress(std::span<const std::byte> bytes, std::size_t content_size,
                                       const char* what);

}  // namespace ams::detail
