// ams-label: makes a clip folder from a video, its labels given by a teacher network.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>

#include "ams/core/error.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/video_reader.hpp"
#include "common/files.hpp"
#include "common/options.hpp"

namespace {

using namespace ams;

std::string video_path, size = "1024x512", output;
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

int label() {
  tune_allocator_for_training();
  set_compute_threads(
      threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  if (std::filesystem::exists(output)) {
    if (!replace)
      throw Error(ErrorCode::io_error,
                  "'" + output + "' is there already; --replace makes it anew");
    if (!std::filesystem::exists(std::filesystem::path(output) / "clip.json")) {
      throw Error(ErrorCode::io_error,
                  "'" + output + "' is not a clip folder, so it is not replaced");
    }
  }
  const auto [max_width, max_height] = options::parse_size(size);
  VideoReader probe(video_path);
  VideoReaderOptions scaled;
  scaled.width = std::min(max_width, probe.width()) & ~1;
  scaled.height = std::min(max_height, probe.height()) & ~1;
  VideoReader video(video_path, scaled);
  const NetworkTeacherSpec spec = teacher.network();
  const int classes = spec.num_classes;
  const auto network = make_network_teacher(spec);

  ClipInfo info;
  info.name = std::filesystem::path(video_path).stem().string();
  info.fps = video.fps();
  info.label_stride = std::max(1, static_cast<int>(std::lround(video.fps() / labels_per_second)));
  info.classes = class_names;
  if (info.classes.empty()) {
    for (int id = 0; id < classes; ++id) {
      info.classes.push_back(classes == 19 ? cityscapes_names[id] : "class " + std::to_string(id));
    }
  }
  info.labels_by = teacher.text();
  for (int id = 0; id < classes; ++id) info.eval_classes.push_back(static_cast<std::uint8_t>(id));

  // The labels decide which classes are common, and clip.json is written with them: label first,
  // then write. In between they wait in a file: a long video's would not fit into memory.
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(classes));
  std::filesystem::path target = std::filesystem::absolute(output).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  create_folder(target.parent_path());
  const std::string scratch = target.string() + ".labels.partial.mkv";
  std::optional<LabelTrackWriter> labels;
  const double duration = probe.duration_seconds().value_or(0);
  for (std::size_t index = 0; auto frame = video.next(); ++index) {
    if (max_seconds > 0 && frame->capture_seconds >= max_seconds) break;
    if (index % static_cast<std::size_t>(info.label_stride) != 0) continue;
    const double seconds = frame->capture_seconds;
    const Handle label = network->label(Handle::make(std::move(*frame)), seconds);
    const auto& map = label.as<LabelMap>();
    if (!labels) labels.emplace(scratch, map.width, map.height, 1 / info.label_period_seconds());
    labels->add(map);
    for (std::uint8_t id : map.ids) {
      if (id < counts.size()) ++counts[id];
    }
    if (!quiet)
      std::fprintf(stderr, "\rlabelling %.0f of %.0f s ", seconds, duration);
  }
  if (!quiet) std::fputc('\n', stderr);
  if (!labels) throw Error(ErrorCode::malformed_data, "'" + video_path + "' has no frame to label");
  labels->finish();
  info.eval_classes = most_common(counts);

  LabelTrackReader labelled(scratch);
  // With --replace the old clip stays until the new one is complete.
  const std::filesystem::path fresh = replace ? target.string() + ".new" : target.string();
  if (replace) std::filesystem::remove_all(fresh);
  ClipWriter writer(fresh, info);
  VideoReader again(video_path, scaled);
  std::size_t next_label = 0;
  while (auto frame = again.next()) {
    if (max_seconds > 0 && frame->capture_seconds >= max_seconds) break;
    if (writer.wants_labels()) {
      if (next_label == labelled.size()) break;
      writer.add(*frame, labelled.at(next_label++));
    } else {
      writer.add(*frame);
    }
  }
  writer.finish();
  if (replace) {
    std::filesystem::remove_all(target);
    std::filesystem::rename(fresh, target);
  }
  std::filesystem::remove(scratch);
  std::printf("%s: %zu labelled frames, scored on", output.c_str(), labelled.size());
  for (auto id : info.eval_classes) std::printf(" '%s'", info.classes[id].c_str());
  std::printf("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Makes a clip folder (video.mp4, labels.mkv, clip.json) from a video and a teacher network, "
      "to score students\n"
      "against and to play with ams-edge --clip.\n\n"
      "  ams-label --video drive.mp4 --teacher fddwnet:fddwnet_cityscapes.safetensors --out "
      "clips/drive");
  app.add_option("--video", video_path, "video file")->required();
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
  app.add_option("--size", size, "largest size of the clip's video")->capture_default_str();
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
