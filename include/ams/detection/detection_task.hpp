#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/frame.hpp"
#include "ams/core/handle.hpp"
#include "ams/detection/average_precision.hpp"
#include "ams/detection/box.hpp"
#include "ams/detection/box_bytes.hpp"
#include "ams/detection/box_loss.hpp"
#include "ams/detection/draw_boxes.hpp"
#include "ams/session/task.hpp"

namespace ams {

/// SlidingPrecision as a TaskScore. Results: "ap50" and "ap50_95".
class PrecisionScore final : public TaskScore {
 public:
  /// Throws Error(invalid_argument).
  explicit PrecisionScore(std::size_t class_count, SlidingPrecisionOptions options = {})
      : precision_(class_count, options) {}

  /// Handles of BoxSet. Gives the window's AP at an IoU of 0.5.
  std::optional<double> add(const Handle& prediction, const Handle& label,
                            double capture_seconds) override {
    return precision_.add(prediction.as<BoxSet>(), label.as<BoxSet>(), capture_seconds).ap50;
  }

  std::vector<std::pair<std::string, std::optional<double>>> summary() const override {
    const PrecisionSummary summary = precision_.summary();
    return {{"ap50", summary.ap50}, {"ap50_95", summary.ap50_95}};
  }

 private:
  SlidingPrecision precision_;
};

/// Object detection as a Task: frames are of type Frame, labels and predictions BoxSet, samples
/// BoxedFrame. Its loss on labels is HardBoxLoss, its score SlidingPrecision.
class DetectionTask : public Task {
 public:
  /// classes: their names, by id; 1 to 65535. shown_score, in [0, 1]: boxes of predictions below it
  /// are neither drawn nor compared. Throws Error(invalid_argument).
  explicit DetectionTask(std::vector<std::string> classes, double shown_score = 0.3)
      : classes_(std::move(classes)), shown_score_(shown_score) {
    detail::check_precision_options(classes_.size(), 1);
    if (!(shown_score >= 0 && shown_score <= 1))
      detail::refuse(fmt::format("shown_score is {}; allowed is 0 to 1", shown_score));
  }

  std::string name() const override { return "detection"; }

  /// Throws Error(invalid_argument) as check_boxes().
  Handle sample(const Handle& frame, const Handle& label) const override {
    check_boxes(label.as<BoxSet>(), classes_.size(), "the label");
    return Handle::make(BoxedFrame{frame.as<Frame>(), label.as<BoxSet>()});
  }

  std::vector<std::byte> pack_label(const Handle& label) const override {
    return pack_boxes(label.as<BoxSet>());
  }

  Handle unpack_label(std::span<const std::byte> bytes) const override {
    return Handle::make(unpack_boxes(bytes, classes_.size()));
  }

  std::optional<double> phi(const Handle& previous, const Handle& current) const override {
    return HardBoxLoss()(current.as<BoxedFrame>().label, previous.as<BoxedFrame>().label);
  }

  std::optional<double> difference(const Handle& previous, const Handle& current) const override {
    return box_disagreement(shown(current), shown(previous));
  }

  std::pair<Handle, Handle> frame_and_label(const Handle& sample) const override {
    const auto whole = sample.share<BoxedFrame>();
    return {std::shared_ptr<const Frame>(whole, &whole->frame),
            std::shared_ptr<const BoxSet>(whole, &whole->label)};
  }

  std::size_t size_bytes(const Handle& sample) const override {
    const auto& boxed = sample.as<BoxedFrame>();
    return boxed.frame.rgb.size() + boxed.label.boxes.size() * sizeof(Box);
  }

  std::unique_ptr<TaskScore> score() const override {
    return std::make_unique<PrecisionScore>(classes_.size());
  }

  /// As draw_boxes().
  Frame draw(const Handle& frame, const Handle& label) const override {
    return draw_boxes(frame.as<Frame>(), label.as<BoxSet>(), classes_, shown_score_);
  }

  const std::vector<std::string>& classes() const noexcept { return classes_; }

 private:
  BoxSet shown(const Handle& prediction) const {
    BoxSet set;
    for (const Box& box : prediction.as<BoxSet>().boxes)
      if (static_cast<double>(box.score) >= shown_score_) set.boxes.push_back(box);
    return set;
  }

  std::vector<std::string> classes_;
  double shown_score_;
};

}  // namespace ams
