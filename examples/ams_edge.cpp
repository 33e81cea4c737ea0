// ams-edge: a device. Plays a video at its own rate, segments every frame with its student, and
// lets a server adapt that student. Flags and wiring; what it does is in ams::Device.

#include <exception>
#include <memory>
#include <optional>

#include "ams/device/device.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/signals.hpp"
#include "common/trace.hpp"
#include "edge/edge_student.hpp"
#include "edge/flags.hpp"
#include "edge/outputs.hpp"
#include "edge/play_frames.hpp"
#include "edge/reporter.hpp"
#include "edge/scorer.hpp"
#include "edge/video_source.hpp"

namespace {

using namespace ams;

/// For what the goodbye's own limits do not cover; at the video's end, and after a signal.
constexpr double max_goodbye_seconds = 10, max_hasty_goodbye_seconds = 2;

EdgeFlags flags;

int play() {
  flags.check();
  for (const auto& file : {flags.timeline, flags.report, flags.state}) {
    if (!file.empty()) require_writable(file);
  }
  Signals signals(Signals::Hangup::stops);
  std::optional<Clip> clip;
  std::vector<int> default_classes;
  if (!flags.clip.empty()) {
    clip = Clip::open(flags.clip);
    default_classes.assign(clip->info().eval_classes.begin(), clip->info().eval_classes.end());
  }
  const EdgeStudent opened = open_edge_student(flags, default_classes);
  const StudentSpec& spec = opened.spec;
  const StudentValues& student = opened.values;
  const ModelState initial(student.manifest, student.values);
  DeviceParts parts{.initial = initial,
                    .active = opened.make_predictor(),
                    .inactive = opened.make_predictor(),
                    .codec = nullptr,
                    .task = difference_task(spec)};
  PlayCounters counters;
  parts.on_prediction = [&counters](const Handle&, const Handle&, ModelVersion version) {
    counters.model_version = version.number;
  };
  std::optional<TraceFile> trace;
  if (!flags.trace.empty()) {
    trace.emplace(flags.trace);
    parts.on_stage = [&trace](Stage stage, double seconds, std::uint64_t number) {
      trace->write(flags.client.device_id, stage, seconds, number);
    };
  }
  Device device(std::move(parts),
                {.link = flags.link_options(),
                 .codec = flags.codec_options(),
                 .client = flags.client_options(student.fingerprint),
                 .state = flags.state},
                log::logger());
  std::optional<Scorer> scorer;
  if (clip) scorer.emplace(*clip, opened, initial, Scorer::Options{flags.compare, flags.record});
  Scorer* const scorer_or_none = scorer ? &*scorer : nullptr;
  VideoSource video(clip ? clip->video_path().string() : flags.video, flags.video_options(),
                    signals.token());
  counters.live = video.live();
  Outputs outputs(flags, spec, clip, video);
  Reporter reporter(flags, device.host(), scorer_or_none, outputs, opened.runtime);

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
  signals.begin();
  device.start();
  attempt([&] {
    play_frames(flags, video, device.host(), scorer_or_none, outputs, reporter, counters);
  });
  const bool is_hasty = signals.token().stop_requested();
  device.close(failure            ? "the video cannot be read on"
               : is_hasty         ? "stopped by a signal"
               : outputs.closed() ? "nobody reads standard output any more"
                                  : "end of the video",
               is_hasty ? max_hasty_goodbye_seconds : max_goodbye_seconds);
  counters.video_losses = video.times_lost();
  if (scorer) attempt([&] { scorer->finish(); });
  outputs.finish();
  reporter.status(counters, true);
  attempt([&] { reporter.write(counters, video.name(), clip, failure_text); });
  if (failure) std::rethrow_exception(failure);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_signals();
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
