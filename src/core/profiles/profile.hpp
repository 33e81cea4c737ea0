#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
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
  std::shared_ptr<const CompactState> compact = nullptr;  ///< null: as before
};

/// Which fields stand before and behind the body.
enum class Envelope : std::uint8_t {
  full,  ///< every version and digest in full
  lean,  ///< the base's number and 32 bits of its digest; one proof of everything at the end
};

/// How one profile writes the body of an update. Versions, digests, the manifest and the checksum
/// are the business of update_codec.cpp, which also moves the state: a profile only reads it.
struct Profile {
  UpdateProfile id;
  std::string_view name;
  Envelope envelope;

  /// Appends the body to `bytes` and returns the changes that decode_body will return for it.
  /// Throws Error(invalid_argument) for a value that is not finite.
  Changes (*encode_body)(const ModelState& held, std::span<const float> trained,
                         const CoordinateSet& coordinates, const EncodeOptions& options,
                         std::vector<std::byte>& bytes);

  /// Decodes the whole of `body`: distinct coordinates with finite values, `count` (<= dimension)
  /// of them in a full envelope; a lean one has no count. Throws Error(malformed_data); work and
  /// memory are bounded by body.size() and the dimension.
  Changes (*decode_body)(const ModelState& held, std::span<const std::byte> body,
                         std::size_t count);
};

/// Throws Error(invalid_argument).
void check(const CompactOptions& options);

extern const Profile reference_profile;  // reference.cpp
extern const Profile compact_profile;    // compact.cpp

/// All profiles of this build.
std::span<const Profile* const> profiles() noexcept;

/// "1 (reference), 2 (compact)", for messages.
std::string profile_list();

/// The profile with this number in the header; null when this build has none.
const Profile* find_profile(std::uint8_t id) noexcept;

}  // namespace ams::detail
