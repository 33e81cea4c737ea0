#include "edge/play_frames.hpp"

#include <utility>

#include "ams/core/frame.hpp"
#include "common/clock.hpp"
#include "common/shape.hpp"

namespace ams {

void play_frames(const EdgeFlags& flags, VideoSource& video, DeviceHost& device, Scorer* scorer,
                 Outputs& outputs, Reporter& reporter, PlayCounters& play) {
  while (auto next = video.next()) {
    const double seconds = next->frame.capture_seconds;
    if (flags.stop_after_seconds > 0 && seconds >= flags.stop_after_seconds) return;
    const Handle frame = Handle::make(std::move(next->frame));
    if (play.frames == 0) {
      const auto [width, height] = flags.student.input_size();
      tell_of_changed_shape(frame.as<Frame>().width, frame.as<Frame>().height, "--input", width,
                            height, " (for ams-server too)");
    }
    play.frames_dropped += next->index - play.frames;  // a newer one of a live source had come
    play.frames = next->index + 1;
    play.video_seconds = seconds;
    const double lag = now_seconds() - next->due_seconds;
    if (lag > 1 / video.fps()) ++play.frames_late;

    Handle prediction;
    if (lag > flags.max_lag_seconds) {
      ++play.frames_dropped;  // too late to be of use to anybody: the next one may be in time
    } else {
      prediction = device.predict(frame);
      const double latency_seconds = now_seconds() - next->due_seconds;
      play.add_latency(latency_seconds);
      outputs.add(next->index, latency_seconds, play.model_version, frame, prediction);
    }
    device.offer(seconds, frame);
    if (scorer != nullptr) {
      if (const auto label = scorer->label_of(next->index)) scorer->add(frame, prediction, *label);
    }
    reporter.status(play);
    if (outputs.closed()) return;
  }
}

}  // namespace ams
