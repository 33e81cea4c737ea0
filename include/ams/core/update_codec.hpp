#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

/// How the coordinates and values of an update are written. Each profile is a codec of its own
/// behind the functions below (docs/format.md). Profiles may follow each other on one stream.
enum class UpdateProfile : std::uint8_t {
  /// The paper's (section 3.1.2): fp16 values, rounded to nearest even, and a bit-vector of their
  /// places, both compressed. A value of 65520 or more in magnitude, which fp16 has no number for
  /// (running variances reach it), is sent as float32, exactly.
  reference = 1,

  /// From a kilobit a second on: differences against what the device holds, in steps of a power of two,
  /// under an adaptive range coder that remembers from update to update how often and how far each
  /// coordinate moves. A coordinate of the set that moves by less than half a step (dead_zone) is
  /// not sent.
  compact = 2,
};

/// How finely profile `compact` writes. A step is a power of two; every tensor has one.
struct CompactOptions {
  /// The step is the power of two nearest to relative_step times the root mean square of the
  /// differences, over the parameters of the update's set with the same role. Statistics are on many
  /// scales: each tensor of them has its own, and a sixteenth of that. 2^-20 to 2^20.
  double relative_step = 1;

  /// Times as large for weights (TensorRole::weight): with two, updates of the whole model have half
  /// the bytes and are less accurate where scenes change (docs/trials.md). 2^-20 to 2^20.
  double weight_step_multiplier = 1;

  /// Exponents of the steps of some groups in place of that; -100 to 104.
  struct StepExponents {
    std::optional<int> weight, normalization, head, statistic;
  };
  StepExponents step_exponents = {};

  /// A parameter that would move by fewer steps than this stays where it is: above rounding's 0.5 a
  /// smaller update, which loses the smallest moves. 0.5 to 4. Statistics are rounded all the same.
  double dead_zone = 0.5;
};

struct EncodeOptions {
  UpdateProfile profile = UpdateProfile::reference;
  /// 1 (fast) to 19 (slow). Places and values of trained coordinates are close to noise: on random
  /// sets of 1 to 20% of the coordinates the levels differ by a few percent, and 1 often wins.
  int zstd_level = 1;
  CompactOptions compact = {};
};

/// Throws Error(invalid_argument), naming the field and what is allowed.
void validate(const EncodeOptions& options);

/// "reference" and "compact".
std::string_view to_string(UpdateProfile profile);
std::span<const std::string_view> update_profile_names();

/// The profile of this name. Throws Error(invalid_argument) that lists what is allowed.
UpdateProfile update_profile(std::string_view name);

/// What an update says of itself. inspect_update leaves 0 what a lean header does not tell: all
/// digests and the number of values of profile `compact`.
struct UpdateInfo {
  UpdateProfile profile = UpdateProfile::reference;
  Digest manifest_digest = 0;
  ModelVersion base;
  ModelVersion next;
  std::size_t coordinates = 0;  ///< number of values sent
};

/// Writes trained[i], as closely as the profile does, for every i in `coordinates` as an update that
/// follows `held`, and moves `held` to the new version with the values that a device will decode, so
/// that server and device never drift apart. The set may be empty (only the version number moves on)
/// or name every coordinate. `trained`: manifest.dimension() values; those outside the set are not
/// read. Throws Error(invalid_argument) on a wrong size or option, an empty state, or a value that is
/// not finite, with its tensor's name; Error(limit_exceeded) when held.version().number is the
/// largest. `held` is then unchanged. O(coordinates + dimension).
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

/// The whole state, exact (float32 values, and what `compact` has learned), compressed, for a device whose version the server does not
/// know, and for saving a state to a file. About 3.4 bytes a value. `zstd_level`: 1 (fast) to 19
/// (about 1% smaller, tens of times slower). Throws Error(invalid_argument) on another level or an
/// empty state.
std::vector<std::byte> encode_snapshot(const ModelState& state, int zstd_level = 1);

/// The state that was saved, bit for bit, with the given manifest. Throws as apply_update does, and
/// Error(invalid_argument) for a null manifest.
ModelState decode_snapshot(std::span<const std::byte> bytes,
                           std::shared_ptr<const Manifest> manifest);

}  // namespace ams
