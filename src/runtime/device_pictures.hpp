#pragma once

#include "ams/core/handle.hpp"
#include "ams/core/model_state.hpp"
#include "ams/runtime/device_status.hpp"
#include "ams/runtime/server_host.hpp"

namespace ams::detail {

/// What a device and its student make of a sample. Slow: two predictions. Throws
/// Error(unavailable) where there is nothing to be seen.
DevicePictures draw(const StudentParts& student, const Handle& sample, const ModelState& held);

}  // namespace ams::detail
