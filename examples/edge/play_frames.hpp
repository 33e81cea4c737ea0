#pragma once

#include "ams/runtime/device_host.hpp"
#include "edge/flags.hpp"
#include "edge/outputs.hpp"
#include "edge/reporter.hpp"
#include "edge/scorer.hpp"
#include "edge/video_source.hpp"

namespace ams {

/// The device's own loop: every frame when it is due, none waits for the network, an update or a
/// reader of its outputs. Until the video ends, --stop-after-seconds, a stop, or nobody reads
/// standard output any more. scorer: null where there are no labels. Throws as VideoSource::next()
/// and DeviceHost::predict() do.
void play_frames(const EdgeFlags& flags, VideoSource& video, DeviceHost& device, Scorer* scorer,
                 Outputs& outputs, Reporter& reporter, PlayCounters& play);

}  // namespace ams
