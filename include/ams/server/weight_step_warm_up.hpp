#pragma once

#include <cstddef>

#include "ams/core/update_codec.hpp"

namespace ams {

/// How a session writes the update that follows `updates` others: as `options` say, except that
/// weight_step_multiplier grows to that from 1, doubling with each update. All of a student moves
/// about as far at first, and coarse steps would leave nearly all of it out; a warm-up, as
/// Y. Lin et al., "Deep Gradient Compression", ICLR 2018, section 3.3, has one.
EncodeOptions warmed_up(EncodeOptions options, std::size_t updates);

}  // namespace ams
