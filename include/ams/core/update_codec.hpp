#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

/// How the coordinates and values of an update are written. Each profile is a codec of its own behind the
/// functions below; the header that names versions and digests is common to all (docs/format.md).
enum class UpdateProfile : std::uint8_t {
  reference = 1,  ///< the paper's: fp16 values and a compressed bit-vector of their places (section 3.1.2)
};

struct EncodeOptions {
  UpdateProfile profile = UpdateProfile::reference;
  int zstd_level = 19;  ///< 1 (fast) to 19 (small)
};

/// What an update says of itself.
struct UpdateInfo {
  UpdateProfile profile = UpdateProfile::reference;
  Digest manifest_digest = 0;
  ModelVersion base;
  ModelVersion next;
  std::size_t coordinates = 0;  ///< number of values sent
};

/// Writes trained[i] for every i in `coordinates` as an update that follows `held`, and moves `held` to the
/// new version with the values that a device will decode, so that server and device never drift apart.
/// `trained`: manifest.dimension() values. Throws Error(invalid_argument) on a wrong size or a value that
/// the profile cannot carry (not finite, or beyond the range of fp16), with its tensor's name; `held` is
/// then unchanged.
std::vector<std::byte> encode_update(ModelState& held, std::span<const float> trained,
                                     const CoordinateSet& coordinates, const EncodeOptions& options = {});

/// Checks the whole update, digests included, then moves `held` to the new version. There is no
/// decoded-but-unsafe state: on any Error (malformed_data, unsupported_version, manifest_mismatch,
/// base_version_mismatch, digest_mismatch, limit_exceeded) `held` is exactly what it was.
/// Work and memory are bounded by bytes.size() and the dimension of the manifest.
UpdateInfo apply_update(std::span<const std::byte> bytes, ModelState& held);

/// Reads the header alone, to route or log an update. Says nothing about the rest of the bytes.
UpdateInfo inspect_update(std::span<const std::byte> bytes);

/// The whole vector, exact (float32), compressed, for a device whose version the server does not know, and
/// for saving a state to a file.
std::vector<std::byte> encode_snapshot(const ModelState& state, int zstd_level = 3);

/// Throws as apply_update does. The result has the given manifest.
ModelState decode_snapshot(std::span<const std::byte> bytes, std::shared_ptr<const Manifest> manifest);

}  // namespace ams
