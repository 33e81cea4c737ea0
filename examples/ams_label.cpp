// ams-label: makes a clip folder from a video, its labels given by a teacher network.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <thread>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/session/text.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/constant_rate.hpp"
#include "ams/video/frame_times.hpp"
#include "ams/video/scaling.hpp"
#include "ams/video/video_reader.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/options.hpp"
#include "common/shape.hpp"
#include "common/signals.hpp"

namespace {

using namespace ams;

std::string video_path, size = "1024x512", output;
VideoReaderOptions reading;
options::TeacherFlags teacher;
std::vector<std::string> class_names;
int common_classes = 7;
double labels_per_second = 5;
double max_seconds = 0;
bool replace = false;
bool quiet = false;
int threads = 0;

constexpr const char* cityscapes_names[] = {
    "road",         "sidewalk",   "building", "wall",       "fence",  "pole",  "traffic light",
    "traffic sign", "vegetation", "terrain",  "sky",        "person", "rider", "car",
    "truck",        "bus",        "train",    "motorcycle", "bicycle"};

/// The classes that most pixels have, ascending: what a person would choose to score (section 4.1).
std::vector<std::uint8_t> most_common(const std::vector<std::uint64_t>& counts) {
  std::vector<std::uint8_t> ids;
  for (std::size_t id = 0; id < counts.size(); ++id) {
    if (counts[id] > 0) ids.push_back(static_cast<std::uint8_t>(id));
  }
  std::stable_sort(ids.begin(), ids.end(), [&](auto a, auto b) { return counts[a] > counts[b]; });
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(common_classes)));
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// The largest even size within `largest` that keeps the picture's shape, and not larger than it.
std::pair<int, int> fitting_size(int width, int height, std::pair<int, int> largest) {
  const double scale = std::min({1.0, static_cast<double>(largest.first) / width,
                                 static_cast<double>(largest.second) / height});
  const auto even = [&](int side, int limit) {
    const int wanted = 2 * static_cast<int>(std::lround(side * scale / 2));
    return std::max(16, std::min(wanted, limit & ~1));  // 16: as small as a video may be
  };
  return {even(width, std::min(width, largest.first)),
          even(height, std::min(height, largest.second))};
}

/// The rate of the clip: the video's own, or one that suits it where its own varies.
double clip_rate(const VideoReader& video) {
  const bool is_told = reading.fps > 0 && reading.fps == video.fps();
  if (is_told || !std::filesystem::is_regular_file(video_path)) return video.fps();
  const std::vector<double> times = read_frame_times(
      video_path, max_seconds > 0 ? max_seconds : std::numeric_limits<double>::infinity());
  if (times.size() < 2 || !first_uneven_frame(times, video.fps())) return video.fps();
  const double mean_fps = static_cast<double>(times.size() - 1) / times.back();
  if (!first_uneven_frame(times, mean_fps)) return mean_fps;  // the container names another
  const double fps = constant_rate_for(times);
  char text[32];
  std::snprintf(text, sizeof text, "%g", fps);
  log::warning("variable_frame_rate",
               {{"message", "the frame rate of '" + video_path + "' varies; the clip has " + text +
                                " frames a second, each the one that was on show then"}});
  return fps;
}

ClipInfo describe(double fps, const NetworkTeacherSpec& spec) {
  const int classes = spec.num_classes;
  ClipInfo info;
  info.name = printable(std::filesystem::path(video_path).stem().string());
  info.fps = fps;
  info.label_stride = std::max(1, static_cast<int>(std::lround(fps / labels_per_second)));
  info.classes = class_names;
  if (info.classes.empty()) {
    for (int id = 0; id < classes; ++id) {
      info.classes.push_back(classes == 19 ? cityscapes_names[id] : "class " + std::to_string(id));
    }
  }
  if (info.classes.size() != static_cast<std::size_t>(classes)) {
    throw Error(ErrorCode::invalid_argument,
                "--class-names gives " + std::to_string(info.classes.size()) +
                    " names and --teacher-classes is " + std::to_string(classes) +
                    "; both must be as many as the teacher has outputs");
  }
  info.labels_by = printable(teacher.text());
  for (int id = 0; id < classes; ++id) info.eval_classes.push_back(static_cast<std::uint8_t>(id));
  return info;
}

int label() {
  tune_allocator_for_training();
  set_compute_threads(
      threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const NetworkTeacherSpec spec = teacher.network();
  const auto largest = options::parse_size(size);
  Signals signals(Signals::Hangup::stops);
  reading.stop = signals.token();
  VideoReader video(video_path, reading);
  if (video.live() && max_seconds == 0) {
    throw Error(ErrorCode::invalid_argument,
                "'" + video.name() + "' is live and has no end: give --max-seconds");
  }
  const auto [width, height] = fitting_size(video.width(), video.height(), largest);
  tell_of_changed_shape(video.width(), video.height(), "--teacher-input", spec.input_width,
                        spec.input_height);
  const ClipInfo info = describe(clip_rate(video), spec);
  std::filesystem::path target = std::filesystem::absolute(output).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  create_folder(target.parent_path());
  signals.begin();
  ClipWriterOptions writing;
  writing.replace = replace;
  ClipWriter writer(target, info, writing);  // finds out now whether it can be written
  const auto network = make_network_teacher(spec);

  std::vector<std::uint64_t> counts(static_cast<std::size_t>(spec.num_classes));
  std::size_t labelled = 0;
  const double duration = video.duration_seconds().value_or(0);
  const auto take = [&](const Frame& frame) {
    signals.throw_if_stopped();
    if (!writer.wants_labels()) return writer.add(frame);
    const double seconds = frame.capture_seconds;
    const Handle label = network->label(Handle::make(frame), seconds);
    const auto& map = label.as<LabelMap>();
    writer.add(frame, map);
    ++labelled;
    for (std::uint8_t id : map.ids) {
      if (id < counts.size()) ++counts[id];
    }
    if (!quiet) std::fprintf(stderr, "\rlabelling %.0f of %.0f s ", seconds, duration);
  };
  ConstantRate constant(info.fps);
  while (auto frame = video.next()) {
    if (max_seconds > 0 && frame->capture_seconds >= max_seconds) break;
    if (frame->width != width || frame->height != height) {
      frame = scale_frame(*frame, width, height);
    }
    constant.add(std::move(*frame), take);
  }
  signals.throw_if_stopped();
  constant.finish(take);
  if (!quiet) std::fputc('\n', stderr);
  if (labelled == 0) {
    throw Error(ErrorCode::malformed_data, "'" + video_path + "' has no frame to label");
  }
  const std::vector<std::uint8_t> scored = most_common(counts);
  writer.score_on(scored);
  writer.finish();
  std::printf("%s: %zu labelled frames, scored on", output.c_str(), labelled);
  for (auto id : scored) std::printf(" '%s'", info.classes[id].c_str());
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_signals();
  CLI::App app(
      "Makes a clip folder (video.mp4, labels.mkv, clip.json) from a video and a teacher network, "
      "to score students\n"
      "against and to play with ams-edge --clip.\n\n"
      "  ams-label --video drive.mp4 --teacher fddwnet:fddwnet_cityscapes.safetensors --out "
      "clips/drive");
  app.add_option(
         "--video", video_path,
         "video file, whose frame rate may vary, or folder or pattern of pictures (f%03d.png)")
      ->required();
  app.add_option("--fps", reading.fps, "frames a second of pictures and of raw streams")
      ->check(CLI::Range(0.001, 1000.0));
  teacher.add_to(
      app, "fddwnet:<weights.safetensors>, model.pt (TorchScript) or model.pt2 (AOTInductor)");
  app.get_option("--teacher")->required();
  app.add_option("--class-names", class_names,
                 "their names, comma-separated (19: those of Cityscapes)")
      ->delimiter(',');
  app.add_option("--common-classes", common_classes,
                 "score on this many of the most common classes")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--labels-per-second", labels_per_second, "label frames a second of video")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1000.0));
  app.add_option("--size", size, "the clip's video fits into this, in its own shape")
      ->capture_default_str()
      ->check(options::size_between(16, 8192));
  app.add_option("--max-seconds", max_seconds, "take only the beginning of the video")
      ->check(CLI::PositiveNumber);
  app.add_option("--out", output, "clip folder to write")->required();
  app.add_option("--threads", threads, "compute threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--replace", replace, "replace an older clip folder of this name");
  app.add_flag("--quiet", quiet, "no progress on stderr");
  options::add_common(app);
  return options::run(app, argc, argv, label);
}
