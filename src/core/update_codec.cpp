#include "ams/core/update_codec.hpp"

#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ams/core/error.hpp"
#include "byte_io.hpp"
#include "compact_state.hpp"
#include "model_state_access.hpp"
#include "profiles/profile.hpp"
#include "zstd_frame.hpp"

// The format is described byte by byte in docs/format.md. A change of what is written here is a new
// format version.

namespace ams {
namespace {

using detail::load_le;
using detail::Profile;

using detail::Changes;
using detail::Envelope;

constexpr std::uint32_t magic = 0x55534d41;  // "AMSU"
constexpr std::uint8_t format_version = 1;
constexpr std::size_t full_header_bytes = 44;
constexpr std::size_t lean_header_bytes = 14;
constexpr std::size_t trailer_bytes = 8;

std::size_t header_bytes(const Profile& profile) {
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
std::uint32_t base_tag(const ModelState& held) {
  return static_cast<std::uint32_t>(mix64(held.manifest().digest() ^ held.version().digest));
}

/// What a lean update ends with: a digest of its bytes, of the model that it is for and of what it
/// leads to.
Digest proof(std::span<const std::byte> content, const Manifest& manifest, Digest next) {
  return mix64(mix64(byte_digest(content) ^ manifest.digest()) ^ next);
}

void check_length(std::span<const std::byte> bytes, std::size_t header) {
  if (bytes.size() < header + trailer_bytes) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes are no update; the shortest has {}", bytes.size(),
                            header + trailer_bytes));
  }
}

/// What tells an update from other bytes, and its profile.
const Profile& read_profile(std::span<const std::byte> bytes) {
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
  const Profile* profile = detail::find_profile(id);
  if (!profile) {
    throw Error(
        ErrorCode::unsupported_version,
        fmt::format("the update has profile {}; this build reads {}", id, detail::profile_list()));
  }
  check_length(bytes, header_bytes(*profile));
  return *profile;
}

/// Checks what can be checked without the state.
Header read_header(const Profile& profile, std::span<const std::byte> bytes) {
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

UpdateInfo info_of(const Header& header) {
  return {.profile = header.profile->id,
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
Digest digest_after(const ModelState& held, const Changes& changes) {
  Digest digest = held.version().digest;
  const float* before = held.values().data();
  const float* after = changes.values.data();
  changes.coordinates.for_each([&](std::uint32_t i) {
    digest += coordinate_digest(i, *after++) - coordinate_digest(i, before[i]);
  });
  if (changes.compact) {
    const auto& compact = ModelStateAccess::compact(held);
    digest += changes.compact->digest() - (compact ? compact->digest() : 0);
  }
  return digest;
}

/// Whether the update is for what is held, as far as its header tells.
void check_base(const Header& header, const ModelState& held) {
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
void write_header(std::byte* p, const Profile& profile, const ModelState& held, ModelVersion next,
                  std::size_t coordinates) {
  detail::store_le(p, magic);
  detail::store_le(p + 4, format_version);
  detail::store_le(p + 5, static_cast<std::uint8_t>(profile.id));
  if (profile.envelope == Envelope::lean) {
    detail::store_le(p + 6, held.version().number);
    detail::store_le(p + 10, base_tag(held));
    return;
  }
  detail::store_le(p + 6, std::uint16_t{0});
  detail::store_le(p + 8, held.manifest().digest());
  detail::store_le(p + 16, held.version().number);
  detail::store_le(p + 20, next.number);
  detail::store_le(p + 24, held.version().digest);
  detail::store_le(p + 32, next.digest);
  detail::store_le(p + 40, static_cast<std::uint32_t>(coordinates));
}

}  // namespace

void validate(const EncodeOptions& options) {
  detail::check_zstd_level(options.zstd_level);
  if (!detail::find_profile(static_cast<std::uint8_t>(options.profile))) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("there is no update profile {}: {} are allowed",
                            static_cast<int>(options.profile), detail::profile_list()));
  }
  detail::check(options.compact);
}

std::string_view to_string(UpdateProfile profile) {
  const Profile* found = detail::find_profile(static_cast<std::uint8_t>(profile));
  return found ? found->name : "unknown";
}

std::span<const std::string_view> update_profile_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> result;
    for (const Profile* profile : detail::profiles()) result.push_back(profile->name);
    return result;
  }();
  return names;
}

UpdateProfile update_profile(std::string_view name) {
  for (const Profile* profile : detail::profiles()) {
    if (profile->name == name) return profile->id;
  }
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("there is no update profile {}: {} are allowed", name, detail::profile_list()));
}

std::vector<std::byte> encode_update(ModelState& held, std::span<const float> trained,
                                     const CoordinateSet& coordinates,
                                     const EncodeOptions& options) {
  check_held(held);
  validate(options);
  const Profile* profile = detail::find_profile(static_cast<std::uint8_t>(options.profile));
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

  std::vector<std::byte> bytes(header_bytes(*profile));
  Changes changes = profile->encode_body(held, trained, coordinates, options, bytes);
  const ModelVersion next = {held.version().number + 1, digest_after(held, changes)};
  write_header(bytes.data(), *profile, held, next, changes.coordinates.size());
  detail::append_le(bytes, profile->envelope == Envelope::lean
                               ? proof(bytes, held.manifest(), next.digest)
                               : byte_digest(bytes));
  ModelStateAccess::move_to(held, changes.coordinates, changes.values, std::move(changes.compact),
                            next);
  return bytes;
}

UpdateInfo apply_update(std::span<const std::byte> bytes, ModelState& held) {
  check_held(held);
  const Profile& profile = read_profile(bytes);
  const bool lean = profile.envelope == Envelope::lean;
  const auto content = bytes.first(bytes.size() - trailer_bytes);
  const auto trailer = load_le<Digest>(bytes.data() + content.size());
  if (!lean && trailer != byte_digest(content)) {
    throw Error(
        ErrorCode::digest_mismatch,
        fmt::format("the {} bytes of the update are damaged: they do not have the digest that "
                    "they end with",
                    bytes.size()));
  }
  Header header = read_header(profile, bytes);
  check_base(header, held);

  Changes changes =
      profile.decode_body(held, content.subspan(header_bytes(profile)), header.coordinates);
  const Digest digest = digest_after(held, changes);
  if (lean) {
    if (trailer != proof(content, held.manifest(), digest)) {
      throw Error(ErrorCode::digest_mismatch,
                  fmt::format("the {} bytes of the update are damaged or lead elsewhere: they do "
                              "not have the proof that they end with",
                              bytes.size()));
    }
    header.manifest_digest = held.manifest().digest();
    header.base = held.version();
    header.next.digest = digest;
    header.coordinates = static_cast<std::uint32_t>(changes.coordinates.size());
  } else if (digest != header.next.digest) {
    throw Error(ErrorCode::digest_mismatch,
                fmt::format("the update would lead to digest {:016x}; it names {:016x}", digest,
                            header.next.digest));
  }
  ModelStateAccess::move_to(held, changes.coordinates, changes.values, std::move(changes.compact),
                            header.next);
  return info_of(header);
}

UpdateInfo inspect_update(std::span<const std::byte> bytes) {
  return info_of(read_header(read_profile(bytes), bytes));
}

}  // namespace ams
