#pragma once

#include <zstd.h>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams::detail {

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

inline void append_zstd_frame(std::vector<std::byte>& bytes, std::span<const std::byte> content,
                              int level) {
  const std::size_t begin = bytes.size();
  bytes.resize(begin + ZSTD_compressBound(content.size()));
  const std::size_t size = ZSTD_compress(bytes.data() + begin, bytes.size() - begin, content.data(),
                                         content.size(), level);
  if (ZSTD_isError(size)) {
    throw Error(ErrorCode::unavailable, fmt::format("zstd cannot compress {} bytes: {}",
                                                    content.size(), ZSTD_getErrorName(size)));
  }
  bytes.resize(begin + size);
}

inline std::size_t zstd_content_size(std::span<const std::byte> bytes, const char* what) {
  // Checked here because libzstd would also take skippable frames and, where it was built so, the
  // frames of versions before 0.8.
  if (bytes.size() < 4 || load_le<std::uint32_t>(bytes.data()) != ZSTD_MAGICNUMBER) {
    throw Error(ErrorCode::malformed_data, fmt::format("the {} are not a Zstandard frame", what));
  }
  const std::size_t frame_size = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
  if (ZSTD_isError(frame_size)) {
    throw Error(ErrorCode::malformed_data, fmt::format("the {} are not a whole Zstandard frame: {}",
                                                       what, ZSTD_getErrorName(frame_size)));
  }
  if (frame_size != bytes.size()) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the {} take {} bytes, but their Zstandard frame ends after {}", what,
                            bytes.size(), frame_size));
  }
  const unsigned long long content_size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (content_size == ZSTD_CONTENTSIZE_UNKNOWN || content_size == ZSTD_CONTENTSIZE_ERROR) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the Zstandard frame of the {} does not state its content size", what));
  }
  if (content_size > SIZE_MAX) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the Zstandard frame of the {} states {} bytes", what, content_size));
  }
  return static_cast<std::size_t>(content_size);
}

inline std::vector<std::byte> zstd_decompress(std::span<const std::byte> bytes,
                                              std::size_t content_size, const char* what) {
  std::vector<std::byte> content(content_size);
  // One call into a buffer of the full size: libzstd then uses that buffer as its window.
  const std::size_t size =
      ZSTD_decompress(content.data(), content.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size)) {
    throw Error(
        ErrorCode::malformed_data,
        fmt::format("the Zstandard frame of the {} is damaged: {}", what, ZSTD_getErrorName(size)));
  }
  if (size != content_size) {
    throw Error(
        ErrorCode::malformed_data,
        fmt::format("the Zstandard frame of the {} holds {} bytes, not the {} that it states", what,
                    size, content_size));
  }
  return content;
}

}  // namespace ams::detail
