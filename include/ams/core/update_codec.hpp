#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/compact_state.hpp"
#include "ams/core/codec/envelope.hpp"
#include "ams/core/codec/model_state_access.hpp"
#include "ams/core/codec/profile.hpp"
#include "ams/core/codec/snapshot.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/encode_options.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

/// What an update says of itself. inspect_update leaves 0 what a lean header does not tell: all
/// digests and the number of values of profile `compact`.
struct UpdateInfo {
  UpdateProfile profile = UpdateProfile::reference;
  Digest manifest_digest = 0;
  ModelVersion base;
  ModelVersion next;
  std::size_t coordinates = 0;  ///< number of values sent
};

/// Writes trained[i], as closely as the profile does, for every i in `coordinates` as an update
/// that follows `held`, and moves `held` to the new version with the values that a device will
/// decode, so that server and device never drift apart. The set may be empty (only the version
/// number moves on) or name every coordinate. `trained`: manifest.dimension() values; those outside
/// the set are not read. Throws Error(invalid_argument) on a wrong size or option, an empty state,
/// or a value that is not finite, with its tensor's name; Error(limit_exceeded) when
/// held.version().number is the largest. `held` is then unchanged. O(coordinates + dimension).
std::vector<std::byte> encode_update(ModelState& held, std::span<const float> trained,
                                     const CoordinateSet& coordinates,
                                     const EncodeOptions& options = {});

/// Checks the whole update, digests included, then moves `held` to the new version. There is no
/// decoded-but-unsafe state: on any Error (malformed_data, unsupported_version, manifest_mismatch,
/// base_version_mismatch, digest_mismatch, limit_exceeded; invalid_argument for an empty `held`)
/// `held` is exactly what it was. Work and memory are bounded by bytes.size() and the dimension of
/// the manifest. A lean header cannot tell another base from another model:
/// base_version_mismatch names both.
UpdateInfo apply_update(std::span<const std::byte> bytes, ModelState& held);

/// Reads the header alone, to route or log an update. Says nothing about the rest of the bytes, and
/// the header itself is not proven: only apply_update checks the digests. Throws
/// Error(malformed_data or unsupported_version).
UpdateInfo inspect_update(std::span<const std::byte> bytes);

namespace detail {

inline UpdateInfo info_of(const envelope::Header& header) {
  return {.profile = header.profile->id,
          .manifest_digest = header.manifest_digest,
          .base = header.base,
          .next = header.next,
          .coordinates = header.coordinates};
}

inline void check_held(const ModelState& held) {
  if (!held.manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "the model state is empty; it needs a manifest");
  }
}

/// The digest of the state after the changes, in O(changes).
inline Digest digest_after(const ModelState& held, const Changes& changes) {
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

}  // namespace detail

inline std::vector<std::byte> encode_update(ModelState& held, std::span<const float> trained,
                                            const CoordinateSet& coordinates,
                                            const EncodeOptions& options) {
  detail::check_held(held);
  validate(options);
  const detail::Profile* profile = detail::find_profile(static_cast<std::uint8_t>(options.profile));
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

  std::vector<std::byte> bytes(detail::envelope::header_bytes(*profile));
  detail::Changes changes = profile->encode_body(held, trained, coordinates, options, bytes);
  const ModelVersion next = {held.version().number + 1, detail::digest_after(held, changes)};
  detail::envelope::write_header(bytes.data(), *profile, held, next, changes.coordinates.size());
  detail::append_le(bytes, profile->envelope == detail::Envelope::lean
                               ? detail::envelope::proof(bytes, held.manifest(), next.digest)
                               : byte_digest(bytes));
  ModelStateAccess::move_to(held, changes.coordinates, changes.values, std::move(changes.compact),
                            next);
  return bytes;
}

inline UpdateInfo apply_update(std::span<const std::byte> bytes, ModelState& held) {
  detail::check_held(held);
  const detail::Profile& profile = detail::envelope::read_profile(bytes);
  const bool lean = profile.envelope == detail::Envelope::lean;
  const auto content = bytes.first(bytes.size() - detail::envelope::trailer_bytes);
  const auto trailer = detail::load_le<Digest>(bytes.data() + content.size());
  if (!lean && trailer != byte_digest(content)) {
    throw Error(
        ErrorCode::digest_mismatch,
        fmt::format("the {} bytes of the update are damaged: they do not have the digest that "
                    "they end with",
                    bytes.size()));
  }
  detail::envelope::Header header = detail::envelope::read_header(profile, bytes);
  detail::envelope::check_base(header, held);

  detail::Changes changes = profile.decode_body(
      held, content.subspan(detail::envelope::header_bytes(profile)), header.coordinates);
  const Digest digest = detail::digest_after(held, changes);
  if (lean) {
    if (trailer != detail::envelope::proof(content, held.manifest(), digest)) {
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
  return detail::info_of(header);
}

inline UpdateInfo inspect_update(std::span<const std::byte> bytes) {
  return detail::info_of(
      detail::envelope::read_header(detail::envelope::read_profile(bytes), bytes));
}

}  // namespace ams
