#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"
#include "byte_io.hpp"
#include "compact_state.hpp"
#include "model_state_access.hpp"
#include "zstd_frame.hpp"

// The format is described byte by byte in docs/format.md. A change of what is written here is a new
// format version.

namespace ams {
namespace {

using detail::load_le;

constexpr std::uint32_t magic = 0x53534d41;  // "AMSS"
constexpr std::uint8_t format_version = 1;
constexpr std::size_t header_bytes = 36;
constexpr std::size_t trailer_bytes = 8;
constexpr const char* values_name = "values of the snapshot";
constexpr const char* compact_name = "bytes of codec state";

/// The values' bytes by significance: all lowest bytes, then all second ones, and so on. Exponents
/// are alike from value to value and compress when they stand together; mantissas hardly do
/// anywhere.
std::vector<std::byte> split_planes(std::span<const float> values) {
  const std::size_t n = values.size();
  std::vector<std::byte> planes(4 * n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    planes[i] = static_cast<std::byte>(bits);
    planes[n + i] = static_cast<std::byte>(bits >> 8);
    planes[2 * n + i] = static_cast<std::byte>(bits >> 16);
    planes[3 * n + i] = static_cast<std::byte>(bits >> 24);
  }
  return planes;
}

std::vector<float> join_planes(std::span<const std::byte> planes) {
  const std::size_t n = planes.size() / 4;
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint32_t>(planes[at]); };
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = std::bit_cast<float>(byte(i) | byte(n + i) << 8 | byte(2 * n + i) << 16 |
                                     byte(3 * n + i) << 24);
  }
  return values;
}

std::shared_ptr<const detail::CompactState> read_compact(std::span<const std::byte> frame,
                                                         const Manifest& manifest) {
  const std::size_t size = detail::zstd_content_size(frame, compact_name);
  if (size != detail::CompactState::serialised_bytes(manifest)) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the snapshot holds {} bytes of codec state; this model's has {}", size,
                            detail::CompactState::serialised_bytes(manifest)));
  }
  return std::make_shared<const detail::CompactState>(
      detail::CompactState::parse(detail::zstd_decompress(frame, size, compact_name), manifest));
}

}  // namespace

std::vector<std::byte> encode_snapshot(const ModelState& state, int zstd_level) {
  if (!state.manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "the model state is empty; it needs a manifest");
  }
  detail::check_zstd_level(zstd_level);
  std::vector<std::byte> bytes(header_bytes);
  std::byte* p = bytes.data();
  detail::store_le(p, magic);
  detail::store_le(p + 4, format_version);
  detail::store_le(p + 8, state.manifest().digest());
  detail::store_le(p + 16, state.version().number);
  detail::store_le(p + 20, std::uint32_t{0});
  detail::store_le(p + 24, state.version().digest);
  if (const auto& compact = ModelStateAccess::compact(state)) {
    detail::append_zstd_frame(bytes, compact->serialise(), zstd_level);
  }
  detail::store_le(bytes.data() + 32, static_cast<std::uint32_t>(bytes.size() - header_bytes));
  detail::append_zstd_frame(bytes, split_planes(state.values()), zstd_level);
  detail::append_le(bytes, byte_digest(bytes));
  return bytes;
}

ModelState decode_snapshot(std::span<const std::byte> bytes,
                           std::shared_ptr<const Manifest> manifest) {
  if (!manifest) {
    throw Error(ErrorCode::invalid_argument, "a snapshot needs a manifest, not a null pointer");
  }
  if (bytes.size() < header_bytes + trailer_bytes) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes are no snapshot; the shortest has {}", bytes.size(),
                            header_bytes + trailer_bytes));
  }
  const std::byte* p = bytes.data();
  if (load_le<std::uint32_t>(p) != magic) {
    throw Error(ErrorCode::malformed_data,
                "the bytes are no snapshot: they do not begin with 'AMSS'");
  }
  if (const auto version = load_le<std::uint8_t>(p + 4); version != format_version) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("the snapshot has format version {}; this build reads {}", version,
                            format_version));
  }
  const auto content = bytes.first(bytes.size() - trailer_bytes);
  if (load_le<Digest>(p + content.size()) != byte_digest(content)) {
    throw Error(ErrorCode::digest_mismatch,
                fmt::format("the {} bytes of the snapshot are damaged: they do not have the digest "
                            "that they end with",
                            bytes.size()));
  }
  const std::uint32_t reserved = load_le<std::uint32_t>(p + 4) >> 8;
  if (reserved != 0 || load_le<std::uint32_t>(p + 20) != 0) {
    throw Error(ErrorCode::malformed_data, "a reserved field of the snapshot is not 0");
  }
  const auto manifest_digest = load_le<Digest>(p + 8);
  if (manifest_digest != manifest->digest()) {
    throw Error(ErrorCode::manifest_mismatch,
                fmt::format("the snapshot is for manifest {:016x}; this model has {:016x}",
                            manifest_digest, manifest->digest()));
  }
  const std::size_t compact_size = load_le<std::uint32_t>(p + 32);
  const auto body = content.subspan(header_bytes);
  if (compact_size > body.size()) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the snapshot announces {} bytes of codec state and has {} of all",
                            compact_size, body.size()));
  }
  std::shared_ptr<const detail::CompactState> compact;
  if (compact_size != 0) compact = read_compact(body.first(compact_size), *manifest);

  const auto frame = body.subspan(compact_size);
  const std::size_t size = detail::zstd_content_size(frame, values_name);
  if (size / 4 != manifest->dimension() || size % 4 != 0) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the snapshot holds {} bytes of values; {} float32 values need {}",
                            size, manifest->dimension(), 4 * manifest->dimension()));
  }
  std::vector<float> values = join_planes(detail::zstd_decompress(frame, size, values_name));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw Error(
          ErrorCode::malformed_data,
          fmt::format("value {} of the snapshot is {}; every value must be finite", i, values[i]));
    }
  }
  ModelState state(std::move(manifest), std::move(values), load_le<std::uint32_t>(p + 16));
  if (compact) ModelStateAccess::attach(state, std::move(compact));
  if (const auto digest = load_le<Digest>(p + 24); digest != state.version().digest) {
    throw Error(ErrorCode::digest_mismatch,
                fmt::format("the content of the snapshot has digest {:016x}; it names {:016x}",
                            state.version().digest, digest));
  }
  return state;
}

}  // namespace ams
