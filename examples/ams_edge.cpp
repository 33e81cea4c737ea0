// ams-edge: a device. Plays a video at its own rate, segments every frame with its student, and
// lets a server adapt that student. Flags and wiring; what it does is in ams::DeviceHost.

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>

#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/video/h264_codec.hpp"
#include "common/clock.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/signals.hpp"
#include "common/trace.hpp"
#include "edge/flags.hpp"
#include "edge/reporter.hpp"
#include "edge/saved_state.hpp"
#include "edge/scorer.hpp"
#include "edge/video_source.hpp"

namespace {

using namespace ams;

constexpr double max_goodbye_seconds = 10;  ///< for what the goodbye's own limits do not cover

EdgeFlags flags;

/// A camera runs for weeks: the report keeps the latest.
void remember(std::vector<double>& latencies, double seconds) {
  constexpr std::size_t most = 1'000'000;
  latencies.push_back(seconds);
  if (latencies.size() > most) latencies.erase(latencies.begin(), latencies.begin() + most / 2);
}

/// The device's own loop: every frame when it is due, none waits for the network or for an update.
void play_frames(VideoSource& video, DeviceHost& device, Scorer* scorer, Reporter& reporter,
                 PlayCounters& play) {
  const double frame_period = 1 / video.fps();
  while (auto next = video.next()) {
    const double seconds = next->frame.capture_seconds;
    if (flags.stop_after_seconds > 0 && seconds >= flags.stop_after_seconds) return;
    const Handle frame = Handle::make(std::move(next->frame));
    play.frames_dropped += next->index - play.frames;  // a newer one of a live source had come
    play.frames = next->index + 1;
    play.video_seconds = seconds;
    const double lag = now_seconds() - next->due_seconds;
    if (lag > frame_period) ++play.frames_late;

    Handle prediction;
    if (lag > flags.max_lag_seconds) {
      ++play.frames_dropped;  // too late to be of use to anybody: the next one may be in time
    } else {
      prediction = device.predict(frame);
      remember(play.latency_seconds, now_seconds() - next->due_seconds);
    }
    device.offer(seconds, frame);
    if (scorer != nullptr) {
      if (const auto label = scorer->label_of(next->index)) scorer->add(frame, prediction, *label);
    }
    reporter.status(play);
  }
}

int play() {
  flags.check();
  for (const auto& file : {flags.timeline, flags.report}) {
    if (!file.empty()) require_writable(file);
  }
  set_compute_threads(std::max(1, flags.threads));
  const StopSignals signals;
  std::optional<Clip> clip;
  std::vector<int> default_classes;
  if (!flags.clip.empty()) {
    clip = Clip::open(flags.clip);
    default_classes.assign(clip->info().eval_classes.begin(), clip->info().eval_classes.end());
  }
  const StudentSpec spec = flags.student.spec(default_classes);
  const StudentValues student = load_student_values(spec);
  const ModelState initial(student.manifest, student.values);
  DeviceParts parts{.initial = starting_state(flags.state, initial, student),
                    .active = make_predictor(spec),
                    .inactive = make_predictor(spec),
                    .codec = std::make_shared<H264Codec>(flags.codec_options())};
  parts.task = make_segmentation_task(spec);
  std::optional<TraceFile> trace;
  if (!flags.trace.empty()) {
    trace.emplace(flags.trace);
    parts.on_stage = [&trace](Stage stage, double seconds, std::uint64_t number) {
      trace->write(flags.client.device_id, stage, seconds, number);
    };
  }
  if (!flags.state.empty()) {
    parts.save = [&](const ModelState& state) {
      write_saved_state(flags.state, state, student.fingerprint);
    };
  }
  ThreadExecutor executor;
  WebSocketDeviceTransport link(flags.link_options(), executor);
  DeviceHost device(std::move(parts), flags.client_options(student.fingerprint), executor, link,
                    &log::logger());
  std::optional<Scorer> scorer;
  if (clip) scorer.emplace(*clip, spec, initial, Scorer::Options{flags.compare, flags.record});
  Scorer* const scorer_or_none = scorer ? &*scorer : nullptr;
  VideoSource video(clip ? clip->video_path().string() : flags.video, signals.token());
  Reporter reporter(flags, device, scorer_or_none);
  PlayCounters counters;

  // Whatever goes wrong, what the server has sent is taken over and every file that can be written
  // is written; then the first failure is told.
  std::exception_ptr failure;
  std::string failure_text;
  const auto attempt = [&](auto&& step) {
    try {
      step();
    } catch (const std::exception& error) {
      if (failure) {
        log::error("failed", {{"message", error.what()}});
      } else {
        failure = std::current_exception();
        failure_text = error.what();
      }
    }
  };
  executor.set_tick([&] { device.on_time(); });
  link.start(device);
  device.start();
  attempt([&] { play_frames(video, device, scorer_or_none, reporter, counters); });
  device.leave(failure                            ? "the video cannot be read on"
               : signals.token().stop_requested() ? "stopped by a signal"
                                                  : "end of the video");
  device.wait_until_left(max_goodbye_seconds);
  link.stop();
  executor.stop();
  if (scorer) attempt([&] { scorer->finish(); });
  reporter.status(counters, true);
  attempt([&] { reporter.write(counters, video.name(), clip, failure_text); });
  if (failure) std::rethrow_exception(failure);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  block_stop_signals();
  CLI::App app(
      "A device: segments every frame of a video with its student at the video's own rate, sends "
      "samples to an\nams-server, and takes over the updates that come back without missing a "
      "frame.\n\n"
      "  ams-edge --server 127.0.0.1:8443 --ca tls/certificate.pem --token-file token \\\n"
      "           --student edanet --weights edanet.safetensors --video camera:0 --state "
      "device.state");
  flags.add_to(app);
  options::add_common(app);
  return options::run(app, argc, argv, play);
}
