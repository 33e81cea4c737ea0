#include "ams/video/clip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/segmentation/label_resize.hpp"
#include "ams/session/text_file.hpp"
#include "ams/video/frame_times.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/video_reader.hpp"
#include "ams/video/video_writer.hpp"
#include "json_fields.hpp"

namespace ams {
namespace {

using nlohmann::json;

constexpr std::size_t max_json_bytes = std::size_t{1} << 20;
constexpr std::size_t max_class_name_bytes = 64;
constexpr std::size_t max_classes = 255;
constexpr std::size_t max_scenes = 1000;
constexpr double max_seconds = 1e7;
constexpr std::size_t max_label_frames_checked = 3000;

/// What is wrong with the ids of a label map; nothing where each is a class or the ignore_id.
std::optional<std::string> wrong_id(const LabelMap& labels, const ClipInfo& info) {
  std::array<bool, 256> allowed{};
  std::fill_n(allowed.begin(), info.classes.size(), true);
  allowed[info.ignore_id] = true;
  const auto wrong = std::find_if(labels.ids.begin(), labels.ids.end(),
                                  [&](std::uint8_t id) { return !allowed[id]; });
  if (wrong == labels.ids.end()) return std::nullopt;
  const auto at = wrong - labels.ids.begin();
  return fmt::format(
      "has the id {} at x = {}, y = {}; allowed are 0 to {} (\"classes\") and {} (\"ignore_id\")",
      *wrong, at % labels.width, at / labels.width, info.classes.size() - 1, info.ignore_id);
}

/// Throws Error(malformed_data) unless frame i is shown at i / fps.
void require_constant_rate(const std::string& video, std::span<const double> times, double fps) {
  const double length = static_cast<double>(times.size() - 1);  // in frames
  const auto uneven = first_uneven_frame(times, fps);
  // One part in a hundred, and the millisecond to which some containers round.
  const bool agrees = std::abs(times.back() * fps - length) <= 0.01 * length + 0.001 * fps;
  if (!uneven && agrees) return;
  const double own_fps = length / times.back();
  if (!uneven || !first_uneven_frame(times, own_fps)) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{}: it has {:.6g} frames a second, but clip.json says \"fps\": {:g}; "
                            "write \"fps\": {:.6g}",
                            video, own_fps, fps, own_fps));
  }
  throw Error(
      ErrorCode::malformed_data,
      fmt::format("{}: its frame rate varies: frame {} is shown at {:.3f} s, not at {:.3f} s as "
                  "\"fps\": {:g} has it. A clip needs a constant rate. Make a clip of the video "
                  "with ams-label, or a constant rate with `ffmpeg -i video.mp4 -vf fps={:g} "
                  "constant.mp4` and label its frames",
                  video, *uneven, times[*uneven], static_cast<double>(*uneven) / fps, fps,
                  constant_rate_for(times)));
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::io_error, "cannot open " + path.string());
  std::string text(max_json_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw Error(ErrorCode::io_error, "cannot read " + path.string());
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

ClipInfo parse_clip_info(std::string_view text, const std::string& where) {
  if (text.size() > max_json_bytes) {
    throw Error(ErrorCode::limit_exceeded,
                fmt::format("{}: more than {} bytes", where, max_json_bytes));
  }
  const json object = parse_json_object(text, where);
  const JsonFields fields(object, where);
  ClipInfo info;
  info.name = fields.text_or_empty("name");
  info.fps = fields.number("fps", 0.01, 1000);
  info.label_stride = static_cast<int>(fields.whole("label_stride", 1, 100'000));
  std::set<std::string> names;
  for (const json& name : fields.list("classes", 1, max_classes, "class names")) {
    info.classes.push_back(fields.text("classes", name, 1, max_class_name_bytes));
    if (!is_printable(info.classes.back())) {
      fields.refuse("classes", "has a name with a control character");
    }
    if (!names.insert(info.classes.back()).second) {
      fields.refuse("classes",
                    fmt::format("names \"{}\" twice; names must be distinct", info.classes.back()));
    }
  }
  info.ignore_id =
      static_cast<std::uint8_t>(fields.whole_or("ignore_id", 0, 255, LabelMap::default_ignore_id));
  const auto last_class = static_cast<std::int64_t>(info.classes.size()) - 1;
  for (const json& id : fields.list("eval_classes", 1, info.classes.size(), "class ids")) {
    const auto value = static_cast<std::uint8_t>(fields.whole("eval_classes", id, 0, last_class));
    if (std::find(info.eval_classes.begin(), info.eval_classes.end(), value) !=
        info.eval_classes.end()) {
      fields.refuse("eval_classes", fmt::format("names {} twice; ids must be distinct", value));
    }
    if (value == info.ignore_id) {
      fields.refuse("eval_classes", fmt::format("names {}, which is the ignore_id", value));
    }
    info.eval_classes.push_back(value);
  }
  info.frames = fields.whole_or("frames", 1, 1'000'000'000, 0);
  info.label_frames = fields.whole_or("label_frames", 1, 1'000'000'000, 0);
  info.width = static_cast<int>(fields.whole_or("width", 1, 16384, 0));
  info.height = static_cast<int>(fields.whole_or("height", 1, 16384, 0));
  info.label_width = static_cast<int>(fields.whole_or("label_width", 1, 16384, 0));
  info.label_height = static_cast<int>(fields.whole_or("label_height", 1, 16384, 0));
  info.kind = fields.text_or_empty("kind");
  info.labels_by = fields.text_or_empty("labels_by");
  info.source = fields.text_or_empty("source");
  info.licence = fields.text_or_empty("licence");
  if (fields.find("scenes") != nullptr) {
    for (const json& item : fields.list("scenes", 0, max_scenes, "scenes")) {
      if (!item.is_object())
        fields.refuse("scenes", "must list objects with start_seconds and name");
      const JsonFields scene(item, where + ": \"scenes\"");
      info.scenes.push_back(
          {scene.number("start_seconds", 0, max_seconds),
           scene.text("name", scene.need("name", "a text"), 1, max_class_name_bytes)});
      if (info.scenes.size() > 1 &&
          info.scenes.back().start_seconds <= info.scenes[info.scenes.size() - 2].start_seconds) {
        fields.refuse("scenes", "are not in ascending order of start_seconds");
      }
    }
  }
  if (info.frames > 0 && (info.label_frames - 1) * info.label_stride >= info.frames) {
    fields.refuse("label_frames",
                  fmt::format("is {} at a label_stride of {}, but there are only {} frames",
                              info.label_frames, info.label_stride, info.frames));
  }
  return info;
}

std::string format_clip_info(const ClipInfo& info) {
  nlohmann::ordered_json object;
  const auto text = [&](const char* field, const std::string& value) {
    if (!value.empty()) object[field] = value;
  };
  const auto count = [&](const char* field, std::int64_t value) {
    if (value != 0) object[field] = value;
  };
  text("name", info.name);
  text("kind", info.kind);
  object["fps"] = info.fps;
  count("frames", info.frames);
  count("width", info.width);
  count("height", info.height);
  object["label_stride"] = info.label_stride;
  count("label_frames", info.label_frames);
  count("label_width", info.label_width);
  count("label_height", info.label_height);
  object["ignore_id"] = info.ignore_id;
  object["classes"] = info.classes;
  object["eval_classes"] = info.eval_classes;
  text("labels_by", info.labels_by);
  text("source", info.source);
  text("licence", info.licence);
  for (const ClipScene& scene : info.scenes) {
    object["scenes"].push_back({{"start_seconds", scene.start_seconds}, {"name", scene.name}});
  }
  try {
    std::string out = object.dump(1) + "\n";
    parse_clip_info(out, "clip info");
    return out;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::invalid_argument, std::string("clip info: ") + error.what());
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_argument, error.what());
  }
}

Clip Clip::open(const std::filesystem::path& folder) {
  Clip clip;
  clip.folder_ = folder;
  const std::string where = (folder / "clip.json").string();
  ClipInfo& info = clip.info_;
  info = parse_clip_info(read_text(folder / "clip.json"), where);
  if (info.name.empty())
    info.name = printable(std::filesystem::absolute(folder).lexically_normal().filename().string());
  if (info.name.empty()) info.name = "clip";

  const VideoReader video(clip.video_path().string());
  LabelTrackReader labels(clip.labels_path());
  const auto require = [&](bool agrees, const std::string& says, const std::string& file_says) {
    if (!agrees)
      throw Error(ErrorCode::malformed_data, fmt::format("{}: {}, but {}", where, says, file_says));
  };
  require((info.width == 0 || info.width == video.width()) &&
              (info.height == 0 || info.height == video.height()),
          fmt::format("\"width\" x \"height\" are {} x {}", info.width, info.height),
          fmt::format("video.mp4 is {} x {}", video.width(), video.height()));
  require((info.label_width == 0 || info.label_width == labels.width()) &&
              (info.label_height == 0 || info.label_height == labels.height()),
          fmt::format("\"label_width\" x \"label_height\" are {} x {}", info.label_width,
                      info.label_height),
          fmt::format("labels.mkv is {} x {}", labels.width(), labels.height()));
  const auto label_frames = static_cast<std::int64_t>(labels.size());
  require(info.label_frames == 0 || info.label_frames == label_frames,
          fmt::format("\"label_frames\" is {}", info.label_frames),
          fmt::format("labels.mkv has {}", label_frames));
  const std::vector<double> times = read_frame_times(clip.video_path());
  const auto frames = static_cast<std::int64_t>(times.size());
  require(info.frames == 0 || info.frames == frames, fmt::format("\"frames\" is {}", info.frames),
          fmt::format("video.mp4 has {}", frames));
  require((label_frames - 1) * info.label_stride < frames,
          fmt::format("\"label_stride\" is {}", info.label_stride),
          fmt::format("labels.mkv has {} frames and video.mp4 only {}", label_frames, frames));
  // The last label frame may be missing: tools differ in how they round.
  require(
      frames <= (label_frames + 1) * info.label_stride,
      fmt::format("\"label_stride\" is {}", info.label_stride),
      fmt::format("labels.mkv has {} frames, which label {} of the {} frames of video.mp4; write "
                  "another label_stride, label the rest, or cut the video",
                  label_frames, label_frames * info.label_stride, frames));
  require_constant_rate(clip.video_path().string(), times, info.fps);
  // All of them in usual clips, an even choice of a long one's: opening takes a second or two.
  const std::size_t step = 1 + (labels.size() - 1) / max_label_frames_checked;
  for (std::size_t j = 0; j < labels.size(); j += step) clip.require_allowed_ids(labels.at(j), j);
  info.frames = frames;
  info.width = video.width();
  info.height = video.height();
  info.label_width = labels.width();
  info.label_height = labels.height();
  info.label_frames = label_frames;
  return clip;
}

void Clip::require_allowed_ids(const LabelMap& labels, std::size_t index) const {
  if (const auto wrong = wrong_id(labels, info_)) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{}: label frame {} (frame {} of the video) {}", labels_path().string(),
                            index, index * static_cast<std::size_t>(info_.label_stride), *wrong));
  }
}

std::size_t Clip::label_index(double capture_seconds) const {
  const double period = info_.label_period_seconds();
  const double end = std::max(label_seconds(static_cast<std::size_t>(info_.label_frames)),
                              static_cast<double>(info_.frames - 1) / info_.fps);
  const double slack = 0.01 * period;  // containers round timestamps
  if (!(capture_seconds >= -period / 2 - slack && capture_seconds <= end + slack)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("clip {}: no label for {} s; its labels stand for {} s to {} s",
                            info_.name, capture_seconds, -period / 2, end));
  }
  // By way of the video frame, so that a rounded timestamp does not tip the balance.
  const std::int64_t frame = std::max<std::int64_t>(0, std::llround(capture_seconds * info_.fps));
  const std::int64_t stride = info_.label_stride;
  const std::int64_t index = (2 * frame + stride) / (2 * stride);
  return static_cast<std::size_t>(std::min(index, info_.label_frames - 1));
}

struct ClipWriter::Impl {
  std::filesystem::path folder, partial;
  ClipInfo info;
  ClipWriterOptions options;
  std::optional<VideoWriter> video;
  std::optional<LabelTrackWriter> labels;
  bool finished = false;

  ~Impl() {
    video.reset();
    labels.reset();
    if (finished || partial.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(partial, ignored);
  }

  /// An older folder that is replaced goes when the new one has its name, and not before.
  void give_name() const {
    namespace fs = std::filesystem;
    const auto rename = [](const fs::path& from, const fs::path& to) {
      std::error_code error;
      fs::rename(from, to, error);
      if (error) {
        throw Error(ErrorCode::io_error, "cannot rename " + from.string() + " to " + to.string() +
                                             ": " + error.message());
      }
    };
    std::error_code ignored;
    if (!options.replace || !fs::exists(folder, ignored)) return rename(partial, folder);
    fs::path old = folder;
    do {  // a name that nobody has
      old += ".old";
    } while (fs::exists(old, ignored));
    rename(folder, old);
    try {
      rename(partial, folder);
    } catch (const Error&) {
      fs::rename(old, folder, ignored);
      throw;
    }
    fs::remove_all(old, ignored);
  }

  /// Enlarged by a whole factor where a label track cannot hold it: whoever takes the nearest label
  /// then finds the same one.
  static LabelMap fit_for_track(const LabelMap& map) {
    const int side = std::min(map.width, map.height);
    const int factor = side < 1 ? 1 : (min_label_track_side + side - 1) / side;
    return factor == 1 ? map : resize_nearest(map, factor * map.width, factor * map.height);
  }

  void add(const Frame& frame, const LabelMap* map) {
    const bool wanted = (video ? video->frames() : 0) % info.label_stride == 0;
    if (finished) throw Error(ErrorCode::invalid_argument, "a frame added after finish()");
    if (wanted != (map != nullptr)) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("frame {} of a clip with label_stride {} comes {} labels",
                      video ? video->frames() : 0, info.label_stride, wanted ? "without" : "with"));
    }
    if (!video) {
      VideoWriterOptions settings;
      settings.fps = info.fps;
      settings.crf = options.crf;
      settings.preset = options.preset;
      VideoWriter first(partial / "video.mp4", frame.width, frame.height, settings);
      labels.emplace(partial / "labels.mkv", map->width, map->height, info.fps / info.label_stride);
      video.emplace(std::move(first));
      info.width = frame.width;
      info.height = frame.height;
      info.label_width = map->width;
      info.label_height = map->height;
    }
    if (frame.width != info.width || frame.height != info.height) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a frame of {} x {} in a clip of {} x {}", frame.width, frame.height,
                              info.width, info.height));
    }
    if (map != nullptr) {
      if (const auto wrong = wrong_id(*map, info)) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("the label map of frame {} {}", video->frames(), *wrong));
      }
    }
    // Checks the labels' size before it writes anything, so that both files stay in step.
    if (map != nullptr) labels->add(*map);
    video->add(frame);
  }
};

ClipWriter::ClipWriter(const std::filesystem::path& folder, const ClipInfo& info,
                       const ClipWriterOptions& options)
    : impl_(std::make_unique<Impl>()) {
  impl_->info = info;
  ClipInfo& own = impl_->info;
  own.frames = own.label_frames = own.width = own.height = own.label_width = own.label_height = 0;
  format_clip_info(own);  // refuses what could not be read back
  impl_->folder = std::filesystem::absolute(folder).lexically_normal();
  if (!impl_->folder.has_filename()) impl_->folder = impl_->folder.parent_path();
  impl_->options = options;
  std::error_code error;
  if (std::filesystem::exists(impl_->folder, error)) {
    if (!options.replace) {
      throw Error(ErrorCode::invalid_argument,
                  impl_->folder.string() +
                      " exists; remove it, name another folder, or replace it (--replace)");
    }
    if (!std::filesystem::exists(impl_->folder / "clip.json", error)) {
      throw Error(ErrorCode::invalid_argument,
                  impl_->folder.string() + " is not a clip folder, so it is not replaced");
    }
  }
  std::filesystem::path partial = impl_->folder;
  partial += ".partial";
  std::filesystem::remove_all(partial, error);
  if (!std::filesystem::create_directory(partial, error)) {
    throw Error(ErrorCode::io_error, "cannot create " + partial.string() + ": " + error.message());
  }
  impl_->partial = partial;
}
ClipWriter::~ClipWriter() = default;
ClipWriter::ClipWriter(ClipWriter&&) noexcept = default;
ClipWriter& ClipWriter::operator=(ClipWriter&&) noexcept = default;

bool ClipWriter::wants_labels() const noexcept {
  return (impl_->video ? impl_->video->frames() : 0) % impl_->info.label_stride == 0;
}

void ClipWriter::add(const Frame& frame) {
  impl_->add(frame, nullptr);
}
void ClipWriter::add(const Frame& frame, const LabelMap& labels) {
  const LabelMap fitting = Impl::fit_for_track(labels);
  impl_->add(frame, &fitting);
}

void ClipWriter::finish() {
  Impl& impl = *impl_;
  if (impl.finished) throw Error(ErrorCode::invalid_argument, "finish() called twice");
  if (!impl.video) throw Error(ErrorCode::invalid_argument, "a clip without a frame");
  impl.info.frames = impl.video->frames();
  impl.info.label_frames = static_cast<std::int64_t>(impl.labels->size());
  impl.video->finish();
  impl.labels->finish();
  std::ofstream file(impl.partial / "clip.json", std::ios::binary);
  file << format_clip_info(impl.info);
  file.close();
  if (!file)
    throw Error(ErrorCode::io_error, "cannot write " + (impl.partial / "clip.json").string());
  impl.give_name();
  impl.finished = true;
}

void ClipWriter::score_on(std::vector<std::uint8_t> eval_classes) {
  ClipInfo changed = impl_->info;
  changed.eval_classes = std::move(eval_classes);
  format_clip_info(changed);  // refuses what could not be read back
  impl_->info = std::move(changed);
}

}  // namespace ams
