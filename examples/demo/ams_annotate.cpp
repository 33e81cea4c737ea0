// ams-annotate: makes the video that shows what adaptation does: a clip, its teacher, and recorded
// predictions of the student as it was and as it was adapted, side by side.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/segmentation/label_resize.hpp"
#include "ams/segmentation/miou.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/image_file.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/video_reader.hpp"
#include "ams/video/video_writer.hpp"
#include "common/files.hpp"
#include "common/program.hpp"
#include "common/signals.hpp"
#include "demo/annotator/annotator.hpp"

namespace {

using namespace ams;

struct Flags {
  std::string clip, baseline, adapted, out, picture;
  std::size_t first_label = 0;
  double picture_at_seconds = -1;
  double window_seconds = 10;
  double speed = 1;
  double crf = 23;
  int panel_width = 640;
  bool legend = true;
} flags;

constexpr const char* purpose =
    "Makes an annotated video of a clip: the video, its teacher's labels, and what a student\n"
    "saw before and after it was adapted, side by side, with the mIoU of the last 10 s.\n\n"
    "  ams-annotate --clip out/demo/street-7-150 --baseline out/demo/recorded/baseline.mkv \\\n"
    "               --adapted out/demo/recorded/adapted.mkv --out annotated.mp4\n\n"
    "Predictions are label tracks as ams-edge --record writes them: Matroska, FFV1, 8-bit grey, "
    "class\n"
    "ids; their frame j belongs to the clip's label frame j (plus --first-label). The video ends "
    "with the\n"
    "shortest track. It has one picture per label frame.";

/// A student's recorded predictions and their score so far.
class Recording {
 public:
  Recording(const std::string& path, const Clip& clip, double window_seconds)
      : track_(path),
        miou_(ClassSubset(clip.info().eval_classes, clip.info().ignore_id),
              {.window_seconds = window_seconds}) {}

  std::size_t size() const { return track_.size(); }
  const LabelMap& labels() const { return labels_; }
  MiouSummary summary() const { return miou_.summary(); }

  AnnotationContent advance(std::size_t index, const LabelMap& truth, double seconds) {
    labels_ = track_.at(index);
    const auto miou =
        miou_.add(labels_, resize_nearest(truth, labels_.width, labels_.height), seconds);
    return {&labels_, miou};
  }

 private:
  LabelTrackReader track_;
  SlidingMiou miou_;
  LabelMap labels_;
};

int annotate() {
  if (flags.out.empty() && flags.picture.empty()) {
    throw Error(ErrorCode::invalid_argument, "nothing to write: give --out or --picture");
  }
  if (!flags.picture.empty()) require_writable(flags.picture);
  const Clip clip = Clip::open(flags.clip);
  const ClipInfo& info = clip.info();
  VideoReader video(clip.video_path().string());
  LabelTrackReader teacher(clip.labels_path());
  if (flags.first_label >= teacher.size()) {
    throw Error(ErrorCode::invalid_argument, "--first-label " + std::to_string(flags.first_label) +
                                                 ": the clip has " +
                                                 std::to_string(teacher.size()) + " label frames");
  }

  std::vector<AnnotationPanel> panels{{.title = "Video"},
                                      {.title = "Teacher", .subtitle = info.labels_by}};
  if (panels[1].subtitle.size() > 36) panels[1].subtitle.clear();
  std::vector<Recording> recordings;
  if (!flags.baseline.empty()) {
    panels.push_back({"Un-customised student", "", {242, 176, 84}, true});
    recordings.emplace_back(flags.baseline, clip, flags.window_seconds);
  }
  panels.push_back({"Adapted student", "", {92, 214, 150}, true});
  recordings.emplace_back(flags.adapted, clip, flags.window_seconds);

  std::size_t end = teacher.size();
  for (const Recording& recording : recordings)
    end = std::min(end, flags.first_label + recording.size());

  AnnotatorOptions look;
  look.heading = info.name;
  std::replace(look.heading.begin(), look.heading.end(), '_', ' ');
  look.classes = info.classes;
  look.shown_classes = info.eval_classes;
  look.panel_width = flags.panel_width;
  look.duration_seconds = clip.label_seconds(end - 1) + info.label_period_seconds();
  char title[64];
  std::snprintf(title, sizeof(title), "mIoU %%, last %g s", flags.window_seconds);
  look.chart_title = title;
  look.legend = flags.legend;
  Annotator annotator(panels, info.width, info.height, look);

  Signals signals(Signals::Hangup::stops);
  signals.begin();
  std::optional<VideoWriter> writer;
  if (!flags.out.empty()) {
    require_writable(flags.out);
    VideoWriterOptions coding;
    coding.fps = std::clamp(flags.speed / info.label_period_seconds(), 0.01, 1000.0);
    coding.crf = flags.crf;
    coding.preset = "faster";
    writer.emplace(flags.out, annotator.width(), annotator.height(), coding);
  }

  const double picture_at =
      flags.picture_at_seconds >= 0 ? flags.picture_at_seconds : 0.8 * clip.label_seconds(end - 1);
  bool picture_due = !flags.picture.empty();
  const auto stride = static_cast<std::size_t>(info.label_stride);
  std::size_t composed = 0;
  for (std::size_t frame_index = 0; auto frame = video.next(); ++frame_index) {
    signals.throw_if_stopped();
    if (frame_index % stride != 0) continue;
    const std::size_t index = frame_index / stride;
    if (index < flags.first_label) continue;
    if (index >= end) break;
    const LabelMap truth = teacher.at(index);
    std::vector<AnnotationContent> contents{{}, {&truth, {}}};
    for (Recording& recording : recordings) {
      contents.push_back(
          recording.advance(index - flags.first_label, truth, frame->capture_seconds));
    }
    const Frame picture = annotator.compose(*frame, contents);
    if (writer) writer->add(picture);
    ++composed;
    if (picture_due && (frame->capture_seconds >= picture_at || index + 1 == end)) {
      write_png(flags.picture, picture);
      picture_due = false;
    }
  }
  if (composed == 0)
    throw Error(ErrorCode::malformed_data, flags.clip + ": its video ends before its labels begin");
  if (writer) writer->finish();

  const auto figure = [](const MiouSummary& summary) {
    return summary.sliding ? 100 * *summary.sliding : 0;
  };
  if (writer)
    std::printf("%s: %zu pictures of %d x %d", flags.out.c_str(), composed, annotator.width(),
                annotator.height());
  else
    std::printf("%zu label frames", composed);
  if (recordings.size() > 1)
    std::printf("; mIoU un-customised %.1f %%", figure(recordings.front().summary()));
  std::printf("; mIoU adapted %.1f %%\n", figure(recordings.back().summary()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_signals();
  CLI::App app(purpose);
  app.add_option("--clip", flags.clip, "folder with video.mp4, labels.mkv and clip.json")
      ->required();
  app.add_option("--adapted", flags.adapted, "label track of the adapted student")->required();
  app.add_option("--baseline", flags.baseline, "label track of the student that was never adapted");
  app.add_option("--first-label", flags.first_label,
                 "label frame of the clip that the tracks begin with")
      ->capture_default_str();
  app.add_option("--out", flags.out, "annotated video to write (H.264, MP4)");
  app.add_option("--picture", flags.picture,
                 "a single picture to write (PNG), the video besides or alone");
  app.add_option("--picture-at", flags.picture_at_seconds,
                 "its time in seconds (default: four fifths into the video)");
  app.add_option("--window", flags.window_seconds, "seconds that the mIoU is over")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  app.add_option("--speed", flags.speed, "plays this much faster than life")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 100.0));
  app.add_option("--panel-width", flags.panel_width, "pixels of one of the panels")
      ->capture_default_str()
      ->check(CLI::Range(160, 1920));
  app.add_option("--crf", flags.crf, "quality: 18 nearly lossless, 28 small")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 51.0));
  app.add_flag("--legend,!--no-legend", flags.legend, "colours of the classes at the bottom")
      ->default_str("on");
  options::add_common(app);
  return options::run(app, argc, argv, annotate);
}
