#include "zstd_frame.hpp"

#include <cstdint>

#include <fmt/format.h>
#include <zstd.h>

#include "ams/core/error.hpp"
#include "byte_io.hpp"

namespace ams::detail {

void check_zstd_level(int level) {
  if (level < 1 || level > 19) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("zstd_level is {}: 1 to 19 is allowed", level));
  }
}

void append_zstd_frame(std::vector<std::byte>& bytes, std::span<const std::byte> content,
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

std::size_t zstd_content_size(std::span<const std::byte> bytes, const char* what) {
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

std::vector<std::byte> zstd_decompress(std::span<const std::byte> bytes, std::size_t content_size,
                                       const char* what) {
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
