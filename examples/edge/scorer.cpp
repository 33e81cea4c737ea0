#include "edge/scorer.hpp"

#include <boost/asio/post.hpp>
#include <chrono>
#include <thread>
#include <utility>

#include "ams/core/frame.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/segmentation/segmentation_task.hpp"
#include "common/files.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

constexpr int max_waiting = 64;

std::unique_ptr<TaskScore> score_of(const Clip& clip) {
  return SegmentationTask(ClassSubset(clip.info().eval_classes, clip.info().ignore_id)).score();
}

}  // namespace

Scorer::Scorer(const Clip& clip, const EdgeStudent& student, const ModelState& initial,
               const Options& options)
    : clip_(clip),
      labels_(clip.labels_path()),
      adapted_(score_of(clip)),
      baseline_(score_of(clip)) {
  if (options.compare) {
    baseline_predictor_ = student.make_predictor();
    baseline_predictor_->load(initial.values());
  }
  if (options.record.empty()) return;
  create_folder(options.record);
  const StudentSpec& spec = student.spec;
  const double fps = 1 / clip.info().label_period_seconds();
  adapted_track_.emplace(options.record / "adapted.mkv", spec.input_width, spec.input_height, fps);
  if (options.compare) {
    baseline_track_.emplace(options.record / "baseline.mkv", spec.input_width, spec.input_height,
                            fps);
  }
}

std::optional<std::size_t> Scorer::label_of(std::size_t frame_index) const {
  const auto stride = static_cast<std::size_t>(clip_.info().label_stride);
  if (frame_index % stride != 0 || frame_index / stride >= labels_.size()) return std::nullopt;
  return frame_index / stride;
}

std::optional<double> Scorer::result(const TaskScore& score, std::string_view name) {
  for (const auto& [known, value] : score.summary()) {
    if (known == name) return value;
  }
  return std::nullopt;
}

void Scorer::add(Handle frame, Handle prediction, std::size_t label_index) {
  while (waiting_ > max_waiting) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ++waiting_;
  boost::asio::post(worker_, [this, frame = std::move(frame), prediction = std::move(prediction),
                              label_index]() mutable {
    try {
      score(frame, std::move(prediction), label_index);
    } catch (const std::exception& error) {
      log::error("scoring_failed", {{"message", error.what()}});
    }
    --waiting_;
  });
}

void Scorer::finish() {
  worker_.join();
  if (adapted_track_ && adapted_track_->size() > 0) adapted_track_->finish();
  if (baseline_track_ && baseline_track_->size() > 0) baseline_track_->finish();
}

Scorer::Live Scorer::live() const {
  const std::lock_guard lock(mutex_);
  return live_;
}

void Scorer::score(const Handle& frame, Handle prediction, std::size_t label_index) {
  if (!prediction) prediction = latest_;
  if (!prediction) return;
  const Handle truth = Handle::make(labels_.at(label_index));
  const double seconds = frame.as<Frame>().capture_seconds;
  Live live;
  live.adapted = adapted_->add(prediction, truth, seconds);
  if (adapted_track_) adapted_track_->add(prediction.as<LabelMap>());
  if (baseline_predictor_) {
    const Handle before = baseline_predictor_->predict(frame);
    live.baseline = baseline_->add(before, truth, seconds);
    if (baseline_track_) baseline_track_->add(before.as<LabelMap>());
  }
  latest_ = std::move(prediction);
  const std::lock_guard lock(mutex_);
  live_ = live;
}

}  // namespace ams
