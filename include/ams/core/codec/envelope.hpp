#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/compact_profile.hpp"
#include "ams/core/codec/paper_profile.hpp"
#include "ams/core/codec/profile.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/model_state.hpp"

// What stands before and behind the body of an update (docs/format.md). A change of what is written
// here is a new format version.

namespace ams::detail {

/// The profile with this number in the header; null when this build has none.
inline const Profile* find_profile(std::uint8_t id) noexcept {
  static constexpr std::array<const Profile*, 2> all = {&reference_profile, &compact_profile};
  for (const Profile* profile : all) {
    if (static_cast<std::uint8_t>(profile->id) == id) return profile;
  }
  return nullptr;
}

}  // namespace ams::detail

namespace ams::detail::envelope {

inline constexpr std::uint32_t magic = 0x55534d41;  // "AMSU"
inline constexpr std::uint8_t format_version = 1;
inline constexpr std::size_t full_header_bytes = 44;
inline constexpr std::size_t lean_header_bytes = 14;
inline constexpr std::size_t trailer_bytes = 8;

inline std::size_t header_bytes(const Profile& profile) {
  return profile.envelope == Envelope::lean ? lean_header_bytes : full_header_bytes;
}

struct Header {
  const Profile* profile = nullptr;
  Digest manifest_digest = 0;
  ModelVersion base;
  ModelVersion next;
  std::uint32_t coordinates = 0;
  std::uint32_t base_tag = 0;  ///< of a lean header
};

/// 32 bits that tell one base from another before the work of decoding; the proof at the end has
/// all.
inline std::uint32_t base_tag(const ModelState& held) {
  return static_cast<std::uint32_t>(mix64(held.manifest().digest() ^ held.version().digest));
}

/// What a lean update ends with: a digest of its bytes, of the model that it is for and of what it
/// leads to.
inline Digest proof(std::span<const std::byte> content, const Manifest& manifest, Digest next) {
  return mix64(mix64(byte_digest(content) ^ manifest.digest()) ^ next);
}

inline void check_length(std::span<const std::byte> bytes, std::size_t header) {
  if (bytes.size() < header + trailer_bytes) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes are no update; the shortest has {}", bytes.size(),
                            header + trailer_bytes));
  }
}

/// What tells an update from other bytes, and its profile.
inline const Profile& read_profile(std::span<const std::byte> bytes) {
  check_length(bytes, lean_header_bytes);
  const std::byte* p = bytes.data();
  if (load_le<std::uint32_t>(p) != magic) {
    throw Error(ErrorCode::malformed_data,
                "the bytes are no update: they do not begin with 'AMSU'");
  }
  if (const auto version = load_le<std::uint8_t>(p + 4); version != format_version) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("the update has format version {}; this build reads {}", version,
                            format_version));
  }
  const auto id = load_le<std::uint8_t>(p + 5);
  const Profile* profile = find_profile(id);
  if (!profile) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("the update has profile {}; this build reads {}", id, profile_list()));
  }
  check_length(bytes, header_bytes(*profile));
  return *profile;
}

/// Checks what can be checked without the state.
inline Header read_header(const Profile& profile, std::span<const std::byte> bytes) {
  const std::byte* p = bytes.data();
  Header header;
  header.profile = &profile;
  if (profile.envelope == Envelope::lean) {
    header.base.number = load_le<std::uint32_t>(p + 6);
    header.base_tag = load_le<std::uint32_t>(p + 10);
    if (header.base.number == std::numeric_limits<std::uint32_t>::max()) {
      throw Error(
          ErrorCode::malformed_data,
          fmt::format("the update follows version {}, which is the last", header.base.number));
    }
    header.next.number = header.base.number + 1;
    return header;
  }
  if (const auto reserved = load_le<std::uint16_t>(p + 6); reserved != 0) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the reserved field of the update is {:#06x}; it must be 0", reserved));
  }
  header.manifest_digest = load_le<Digest>(p + 8);
  header.base = {load_le<std::uint32_t>(p + 16), load_le<Digest>(p + 24)};
  header.next = {load_le<std::uint32_t>(p + 20), load_le<Digest>(p + 32)};
  header.coordinates = load_le<std::uint32_t>(p + 40);
  if (header.next.number != std::uint64_t{header.base.number} + 1) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the update leads from version {} to {}; it must lead to the next",
                            header.base.number, header.next.number));
  }
  return header;
}

/// Whether the update is for what is held, as far as its header tells.
inline void check_base(const Header& header, const ModelState& held) {
  const Manifest& manifest = held.manifest();
  const ModelVersion version = held.version();
  if (header.profile->envelope == Envelope::lean) {
    if (header.base.number != version.number || header.base_tag != base_tag(held)) {
      throw Error(ErrorCode::base_version_mismatch,
                  fmt::format("the update follows version {} with tag {:08x}; held is version {} "
                              "with tag {:08x}, or it is for another model",
                              header.base.number, header.base_tag, version.number, base_tag(held)));
    }
    return;
  }
  if (header.manifest_digest != manifest.digest()) {
    throw Error(ErrorCode::manifest_mismatch,
                fmt::format("the update is for manifest {:016x}; this model has {:016x}",
                            header.manifest_digest, manifest.digest()));
  }
  if (header.base != version) {
    throw Error(
        ErrorCode::base_version_mismatch,
        fmt::format("the update follows version {} with digest {:016x}; held is version {} "
                    "with digest {:016x}",
                    header.base.number, header.base.digest, version.number, version.digest));
  }
  if (header.coordinates > manifest.dimension()) {
    throw Error(ErrorCode::limit_exceeded,
                fmt::format("the update changes {} coordinates of a model that has {}",
                            header.coordinates, manifest.dimension()));
  }
}

/// The header of an update from `held` to `next`.
inline void write_header(std::byte* p, const Profile& profile, const ModelState& held,
                         ModelVersion next, std::size_t coordinates) {
  store_le(p, magic);
  store_le(p + 4, format_version);
  store_le(p + 5, static_cast<std::uint8_t>(profile.id));
  if (profile.envelope == Envelope::lean) {
    store_le(p + 6, held.version().number);
    store_le(p + 10, base_tag(held));
    return;
  }
  store_le(p + 6, std::uint16_t{0});
  store_le(p + 8, held.manifest().digest());
  store_le(p + 16, held.version().number);
  store_le(p + 20, next.number);
  store_le(p + 24, held.version().digest);
  store_le(p + 32, next.digest);
  store_le(p + 40, static_cast<std::uint32_t>(coordinates));
}

}  // namespace ams::detail::envelope
