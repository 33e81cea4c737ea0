#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/update_codec.hpp"

namespace ams::detail {

/// What an update changes: the new value of each coordinate, in the order of the set. Exactly what
/// the device holds afterwards.
struct Changes {
  CoordinateSet coordinates;
  std::vector<float> values;
};

/// How one profile writes the body of an update. Versions, digests, the manifest and the checksum
/// are the business of update_codec.cpp, which also moves the state: a profile only reads it.
struct Profile {
  UpdateProfile id;

  /// Appends the body to `bytes` and returns the values that decode_body will return for it.
  /// Throws Error(invalid_argument) for a value that is not finite.
  std::vector<float> (*encode_body)(const ModelState& held, std::span<const float> trained,
                                    const CoordinateSet& coordinates, const EncodeOptions& options,
                                    std::vector<std::byte>& bytes);

  /// Decodes the whole of `body`: `count` (<= dimension) distinct coordinates with finite values.
  /// Throws Error(malformed_data); work and memory are bounded by body.size() and the dimension.
  Changes (*decode_body)(const ModelState& held, std::span<const std::byte> body,
                         std::size_t count);
};

extern const Profile reference_profile;  // reference.cpp

/// The profile with this number in the header; null when this build has none.
const Profile* find_profile(std::uint8_t id) noexcept;

}  // namespace ams::detail
