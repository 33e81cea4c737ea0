#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/encode_options.hpp"
#include "ams/core/model_state.hpp"

namespace ams::detail {

struct CompactState;

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
/// are the business of update_codec.hpp, which also moves the state: a profile only reads it.
struct Profile {
  UpdateProfile id;
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

}  // namespace ams::detail
