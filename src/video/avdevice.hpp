#pragma once

#include <string>

namespace ams::libav {

/// Makes libavdevice's cameras and windows known to libavformat. The library is loaded at the first
/// call: it brings X11, SDL and PulseAudio, which most programs never use. Throws
/// Error(unavailable), which begins with `what` wants it, where it cannot be loaded. Thread-safe.
void register_devices(const std::string& what);

}  // namespace ams::libav
