#include "ams/core/update_codec.hpp"

#include <limits>

#include <fmt/format.h>

#include "ams/core/error.hpp"
#include "byte_io.hpp"
#include "model_state_access.hpp"
#include "profiles/profile.hpp"
#include "zstd_frame.hpp"

// The format is described byte by byte in docs/format.md. A change of what is written here is a new
// format version.

namespace ams {
namespace {

using detail::load_le;
using detail::Profile;

constexpr std::uint32_t magic = 0x55534d41;  // "AMSU"
constexpr std::uint8_t format_version = 1;
constexpr std::size_t header_bytes = 44;
constexpr std::size_t trailer_bytes = 8;

struct Header {
  std::uint8_t profile;
  std::uint16_t reserved;
  Digest manifest_digest;
  ModelVersion base;
  ModelVersion next;
  std::uint32_t coordinates;
};

/// The fields as they stand; only what tells an update from other bytes is checked.
Header read_header(std::span<const std::byte> bytes) {
  if (bytes.size() < header_bytes + trailer_bytes) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes are no update; the shortest has {}", bytes.size(),
                            header_bytes + trailer_bytes));
  }
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
  return {.profile = load_le<std::uint8_t>(p + 5),
          .reserved = load_le<std::uint16_t>(p + 6),
          .manifest_digest = load_le<Digest>(p + 8),
          .base = {load_le<std::uint32_t>(p + 16), load_le<Digest>(p + 24)},
          .next = {load_le<std::uint32_t>(p + 20), load_le<Digest>(p + 32)},
          .coordinates = load_le<std::uint32_t>(p + 40)};
}

/// Checks what can be checked without the state; returns the update's profile.
const Profile& check_header(const Header& header) {
  const Profile* profile = detail::find_profile(header.profile);
  if (!profile) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("the update has profile {}; this build reads {} (reference)",
                            header.profile, static_cast<int>(UpdateProfile::reference)));
  }
  if (header.reserved != 0) {
    throw Error(
        ErrorCode::malformed_data,
        fmt::format("the reserved field of the update is {:#06x}; it must be 0", header.reserved));
  }
  if (header.next.number != std::uint64_t{header.base.number} + 1) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the update leads from version {} to {}; it must lead to the next",
                            header.base.number, header.next.number));
  }
  return *profile;
}

UpdateInfo info_of(const Header& header) {
  return {.profile = static_cast<UpdateProfile>(header.profile),
          .manifest_digest = header.manifest_digest,
          .base = header.base,
          .next = header.next,
          .coordinates = header.coordinates};
}

void check_held(const ModelState& held) {
  if (!held.manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "the model state is empty; it needs a manifest");
  }
}

/// The digest of the state after the changes, in O(changes).
Digest digest_after(const ModelState& held, const CoordinateSet& coordinates,
                    std::span<const float> values) {
  Digest digest = held.version().digest;
  const float* before = held.values().data();
  const float* after = values.data();
  coordinates.for_each([&](std::uint32_t i) {
    digest += coordinate_digest(i, *after++) - coordinate_digest(i, before[i]);
  });
  return digest;
}

}  // namespace

std::vector<std::byte> encode_update(ModelState& held, std::span<const float> trained,
                                     const CoordinateSet& coordinates,
                                     const EncodeOptions& options) {
  check_held(held);
  detail::check_zstd_level(options.zstd_level);
  const Profile* profile = detail::find_profile(static_cast<std::uint8_t>(options.profile));
  if (!profile) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("there is no update profile {}", static_cast<int>(options.profile)));
  }
  const std::size_t dimension = held.manifest().dimension();
  if (trained.size() != dimension || coordinates.dimension() != dimension) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{} trained values and a set over {} coordinates were given for a model "
                    "of {}",
                    trained.size(), coordinates.dimension(), dimension));
  }
  if (held.version().number == std::numeric_limits<std::uint32_t>::max()) {
    throw Error(
        ErrorCode::limit_exceeded,
        fmt::format("version {} is the last; start again from a snapshot with a lower number",
                    held.version().number));
  }

  std::vector<std::byte> bytes(header_bytes);
  const std::vector<float> values =
      profile->encode_body(held, trained, coordinates, options, bytes);
  const ModelVersion base = held.version();
  const ModelVersion next = {base.number + 1, digest_after(held, coordinates, values)};

  std::byte* p = bytes.data();
  detail::store_le(p, magic);
  detail::store_le(p + 4, format_version);
  detail::store_le(p + 5, static_cast<std::uint8_t>(options.profile));
  detail::store_le(p + 6, std::uint16_t{0});
  detail::store_le(p + 8, held.manifest().digest());
  detail::store_le(p + 16, base.number);
  detail::store_le(p + 20, next.number);
  detail::store_le(p + 24, base.digest);
  detail::store_le(p + 32, next.digest);
  detail::store_le(p + 40, static_cast<std::uint32_t>(coordinates.size()));
  detail::append_le(bytes, byte_digest(bytes));

  ModelStateAccess::move_to(held, coordinates, values, next);
  return bytes;
}

UpdateInfo apply_update(std::span<const std::byte> bytes, ModelState& held) {
  check_held(held);
  const Header header = read_header(bytes);
  const auto content = bytes.first(bytes.size() - trailer_bytes);
  if (load_le<Digest>(bytes.data() + content.size()) != byte_digest(content)) {
    throw Error(
        ErrorCode::digest_mismatch,
        fmt::format("the {} bytes of the update are damaged: they do not have the digest that "
                    "they end with",
                    bytes.size()));
  }
  const Profile& profile = check_header(header);
  const Manifest& manifest = held.manifest();
  if (header.manifest_digest != manifest.digest()) {
    throw Error(ErrorCode::manifest_mismatch,
                fmt::format("the update is for manifest {:016x}; this model has {:016x}",
                            header.manifest_digest, manifest.digest()));
  }
  if (header.base != held.version()) {
    throw Error(ErrorCode::base_version_mismatch,
                fmt::format("the update follows version {} with digest {:016x}; held is version {} "
                            "with digest {:016x}",
                            header.base.number, header.base.digest, held.version().number,
                            held.version().digest));
  }
  if (header.coordinates > manifest.dimension()) {
    throw Error(ErrorCode::limit_exceeded,
                fmt::format("the update changes {} coordinates of a model that has {}",
                            header.coordinates, manifest.dimension()));
  }

  const detail::Changes changes =
      profile.decode_body(held, content.subspan(header_bytes), header.coordinates);
  const Digest digest = digest_after(held, changes.coordinates, changes.values);
  if (digest != header.next.digest) {
    throw Error(ErrorCode::digest_mismatch,
                fmt::format("the update would lead to digest {:016x}; it names {:016x}", digest,
                            header.next.digest));
  }
  ModelStateAccess::move_to(held, changes.coordinates, changes.values, header.next);
  return info_of(header);
}

UpdateInfo inspect_update(std::span<const std::byte> bytes) {
  const Header header = read_header(bytes);
  check_header(header);
  return info_of(header);
}

}  // namespace ams
