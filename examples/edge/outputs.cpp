#include "edge/outputs.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include "ams/segmentation/palette.hpp"
#include "ams/session/text.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

/// A clip or a bundle names its classes; without one, 19 classes are those of Cityscapes.
std::vector<std::string> class_names(const EdgeFlags& flags, const StudentSpec& spec,
                                     const std::optional<Clip>& clip) {
  const auto count = static_cast<std::size_t>(spec.num_classes);
  if (clip && clip->info().classes.size() == count) return clip->info().classes;
  const StudentBundle* const bundle = flags.student.bundle();
  if (bundle != nullptr && !bundle->class_names.empty()) return bundle->class_names;
  std::vector<std::string> names;
  for (std::size_t id = 0; id < count; ++id) {
    names.push_back(count == street_palette.size() ? std::string(street_palette[id].name)
                                                   : "class " + std::to_string(id));
  }
  return names;
}

std::vector<std::uint8_t> shown_classes(const StudentSpec& spec) {
  if (!spec.selected_classes.empty()) {
    return {spec.selected_classes.begin(), spec.selected_classes.end()};
  }
  std::vector<std::uint8_t> all;
  for (int id = 0; id < spec.num_classes; ++id) all.push_back(static_cast<std::uint8_t>(id));
  return all;
}

/// Short enough to stand on a picture.
std::string heading_of(const std::string& video_name) {
  constexpr std::size_t max_bytes = 32;
  const bool is_path = video_name.find("://") == std::string::npos;
  const std::string name =
      is_path ? std::filesystem::path(video_name).filename().string() : video_name;
  return std::string(cut_text(name, max_bytes));
}

}  // namespace

Outputs::Outputs(const EdgeFlags& flags, const StudentSpec& spec, const std::optional<Clip>& clip,
                 const VideoSource& video)
    : flags_(flags) {
  if (!flags.output.empty()) {
    RecordSinkOptions options;
    options.max_record_bytes = prediction_record_bytes(spec.input_width, spec.input_height);
    sink_.emplace(flags.output, options, &log::logger());
  }
  if (!flags.show.empty()) {
    show_.emplace(Show::Options{.where = flags.show,
                                .heading = heading_of(clip ? clip->info().name : video.name()),
                                .title = flags.student.name(),
                                .classes = class_names(flags, spec, clip),
                                .shown_classes = shown_classes(spec),
                                .width = video.width(),
                                .height = video.height(),
                                .fps = video.fps()});
  }
}

void Outputs::add(std::uint64_t index, double latency_seconds, std::uint32_t model_version,
                  const Handle& frame, const Handle& prediction) {
  if (!sink_ && !show_) return;
  const PredictionInfo info{.frame = index,
                            .capture_seconds = frame.as<Frame>().capture_seconds,
                            .latency_seconds = latency_seconds,
                            .model_version = model_version};
  if (sink_) {
    sink_->put(write_prediction(flags_.prediction_format(), info, prediction.as<LabelMap>()));
  }
  if (show_) show_->add(info, frame, prediction);
}

void Outputs::finish() {
  if (show_) show_->finish();
  if (sink_) sink_->finish();
}

nlohmann::ordered_json Outputs::output_report() const {
  if (!sink_) return {};
  const RecordSinkCounters counters = sink_->counters();
  return {{"to", sink_->where()},
          {"records", counters.records},
          {"written", counters.written},
          {"lost", counters.lost}};
}

nlohmann::ordered_json Outputs::show_report() const {
  if (!show_) return {};
  return {{"to", flags_.show}, {"pictures", show_->pictures()}, {"skipped", show_->skipped()}};
}

}  // namespace ams
