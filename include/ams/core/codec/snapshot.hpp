#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/compact_state.hpp"
#include "ams/core/codec/model_state_access.hpp"
#include "ams/core/codec/zstd_frame.hpp"
#include "ams/core/encode_options.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/model_state.hpp"

// The format is described byte by byte in docs/format.md. A change of what is written here is a new
// format version.

namespace ams {

/// The whole state, exact (float32 values, and what `compact` has learned), compressed, for a
/// device whose version the server does not know, and for saving a state to a file. About 3.4 bytes
/// a value. `zstd_level`: 1 (fast) to 19 (about 1% smaller, tens of times slower). Throws
/// Error(invalid_argument) on another level or an empty state.
std::vector<std::byte> encode_snapshot(const ModelState& state, int zstd_level = 1);

/// The state that was saved, bit for bit, with the given manifest. Throws as apply_update does, and
/// Error(invalid_argument) for a null manifest.
ModelState decode_snapshot(std::span<const std::byte> bytes,
                           std::shared_ptr<const Manifest> manifest);

namespace detail::snapshot {

inline constexpr std::uint32_t magic = 0x53534d41;  // "AMSS"
inline constexpr std::uint8_t format_version = 1;
inline constexpr std::size_t header_bytes = 36;
inline constexpr std::size_t trailer_bytes = 8;
inline constexpr const char* values_name = "values of the snapshot";
inline constexpr const char* compact_name = "bytes of codec state";

/// The values' bytes by significance: all lowest bytes, then all second ones, and so on. Exponents
/// are alike from value to value and compress when they stand together; mantissas hardly do
/// anywhere.
inline std::vector<std::byte> split_planes(std::span<const float> values) {
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

inline std::vector<float> join_planes(std::span<const std::byte> planes) {
  const std::size_t n = planes.size() / 4;
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint32_t>(planes[at]); };
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = std::bit_cast<float>(byte(i) | byte(n + i) << 8 | byte(2 * n + i) << 16 |
                                     byte(3 * n + i) << 24);
  }
  return values;
}

inline std::shared_ptr<const CompactState> read_compact(std::span<const std::byte> frame,
                                                        const Manifest& manifest) {
  const std::size_t size = zstd_content_size(frame, compact_name);
  if (size != CompactState::serialised_bytes(manifest)) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the snapshot holds {} bytes of codec state; this model's has {}", size,
                            CompactState::serialised_bytes(manifest)));
  }
  return std::make_shared<const CompactState>(
      CompactState::parse(zstd_decompress(frame, size, compact_name), manifest));
}

}  // namespace detail::snapshot

inline std::vector<std::byte> encode_snapshot(const ModelState& state, int zstd_level) {
  if (!state.manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "the model state is empty; it needs a manifest");
  }
  detail::check_zstd_level(zstd_level);
  std::vector<std::byte> bytes(detail::snapshot::header_bytes);
  std::byte* p = bytes.data();
  detail::store_le(p, detail::snapshot::magic);
  detail::store_le(p + 4, detail::snapshot::format_version);
  detail::store_le(p + 8, state.manifest().digest());
  detail::store_le(p + 16, state.version().number);
  detail::store_le(p + 20, std::uint32_t{0});
  detail::store_le(p + 24, state.version().digest);
  if (const auto& compact = ModelStateAccess::compact(state)) {
    detail::append_zstd_frame(bytes, compact->serialise(), zstd_level);
  }
  detail::store_le(bytes.data() + 32,
                   static_cast<std::uint32_t>(bytes.size() - detail::snapshot::header_bytes));
  detail::append_zstd_frame(bytes, detail::snapshot::split_planes(state.values()), zstd_level);
  detail::append_le(bytes, byte_digest(bytes));
  return bytes;
}

inline ModelState decode_snapshot(std::span<const std::byte> bytes,
                                  std::shared_ptr<const Manifest> manifest) {
  if (!manifest) {
    throw Error(ErrorCode::invalid_argument, "a snapshot needs a manifest, not a null pointer");
  }
  if (bytes.size() < detail::snapshot::header_bytes + detail::snapshot::trailer_bytes) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes are no snapshot; the shortest has {}", bytes.size(),
                            detail::snapshot::header_bytes + detail::snapshot::trailer_bytes));
  }
  const std::byte* p = bytes.data();
  if (detail::load_le<std::uint32_t>(p) != detail::snapshot::magic) {
    throw Error(ErrorCode::malformed_data,
                "the bytes are no snapshot: they do not begin with 'AMSS'");
  }
  if (const auto version = detail::load_le<std::uint8_t>(p + 4);
      version != detail::snapshot::format_version) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("the snapshot has format version {}; this build reads {}", version,
                            detail::snapshot::format_version));
  }
  const auto content = bytes.first(bytes.size() - detail::snapshot::trailer_bytes);
  if (detail::load_le<Digest>(p + content.size()) != byte_digest(content)) {
    throw Error(ErrorCode::digest_mismatch,
                fmt::format("the {} bytes of the snapshot are damaged: they do not have the digest "
                            "that they end with",
                            bytes.size()));
  }
  const std::uint32_t reserved = detail::load_le<std::uint32_t>(p + 4) >> 8;
  if (reserved != 0 || detail::load_le<std::uint32_t>(p + 20) != 0) {
    throw Error(ErrorCode::malformed_data, "a reserved field of the snapshot is not 0");
  }
  const auto manifest_digest = detail::load_le<Digest>(p + 8);
  if (manifest_digest != manifest->digest()) {
    throw Error(ErrorCode::manifest_mismatch,
                fmt::format("the snapshot is for manifest {:016x}; this model has {:016x}",
                            manifest_digest, manifest->digest()));
  }
  const std::size_t compact_size = detail::load_le<std::uint32_t>(p + 32);
  const auto body = content.subspan(detail::snapshot::header_bytes);
  if (compact_size > body.size()) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the snapshot announces {} bytes of codec state and has {} of all",
                            compact_size, body.size()));
  }
  std::shared_ptr<const detail::CompactState> compact;
  if (compact_size != 0)
    compact = detail::snapshot::read_compact(body.first(compact_size), *manifest);

  const auto frame = body.subspan(compact_size);
  const std::size_t size = detail::zstd_content_size(frame, detail::snapshot::values_name);
  if (size / 4 != manifest->dimension() || size % 4 != 0) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the snapshot holds {} bytes of values; {} float32 values need {}",
                            size, manifest->dimension(), 4 * manifest->dimension()));
  }
  std::vector<float> values = detail::snapshot::join_planes(
      detail::zstd_decompress(frame, size, detail::snapshot::values_name));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw Error(
          ErrorCode::malformed_data,
          fmt::format("value {} of the snapshot is {}; every value must be finite", i, values[i]));
    }
  }
  ModelState state(std::move(manifest), std::move(values), detail::load_le<std::uint32_t>(p + 16));
  if (compact) ModelStateAccess::attach(state, std::move(compact));
  if (const auto digest = detail::load_le<Digest>(p + 24); digest != state.version().digest) {
    throw Error(ErrorCode::digest_mismatch,
                fmt::format("the content of the snapshot has digest {:016x}; it names {:016x}",
                            state.version().digest, digest));
  }
  return state;
}

}  // namespace ams
