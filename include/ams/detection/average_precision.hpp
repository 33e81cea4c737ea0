#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/detection/box.hpp"

namespace ams {

/// Average precision over the classes that occur in the truth, in [0, 1]. Nothing where none does.
struct PrecisionSummary {
  std::optional<double> ap50;     ///< a box is found at an IoU of 0.5 or more
  std::optional<double> ap50_95;  ///< mean over IoUs of 0.5, 0.55, ..., 0.95
};

namespace detail {

constexpr std::size_t ap_levels = 10;  ///< IoU of 0.5 + 0.05 level

/// What the predictions of one picture found.
struct BoxMatches {
  struct Detection {
    float score;
    std::uint16_t class_id;
    std::uint16_t found;  ///< bit k: it found a true box at level k
  };
  std::vector<Detection> detections;  ///< in order of class, then of falling score
  std::vector<std::uint32_t> truths;  ///< number of true boxes of each class
};

inline BoxMatches match_boxes(const BoxSet& prediction, const BoxSet& truth,
                              std::size_t class_count, std::size_t max_detections) {
  check_boxes(prediction, class_count, "the prediction");
  check_boxes(truth, class_count, "the truth");
  std::vector<Box> sorted = prediction.boxes;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Box& a, const Box& b) {
    return a.class_id != b.class_id ? a.class_id < b.class_id : a.score > b.score;
  });
  BoxMatches matches;
  matches.truths.resize(class_count);
  for (const Box& box : truth.boxes) ++matches.truths[box.class_id];

  std::vector<std::uint16_t> is_taken(truth.boxes.size());  // bit k: at level k
  std::size_t of_class = 0;
  for (std::size_t d = 0; d < sorted.size(); ++d) {
    const Box& box = sorted[d];
    of_class = d > 0 && sorted[d - 1].class_id == box.class_id ? of_class + 1 : 0;
    if (of_class >= max_detections) continue;
    std::array<double, ap_levels> best{};
    std::array<std::size_t, ap_levels> best_truth;
    best_truth.fill(truth.boxes.size());
    for (std::size_t t = 0; t < truth.boxes.size(); ++t) {
      if (truth.boxes[t].class_id != box.class_id) continue;
      const double iou = box_iou(box, truth.boxes[t]);
      for (std::size_t k = 0; k < ap_levels; ++k) {
        const double least = std::max(0.5 + 0.05 * static_cast<double>(k), best[k]);
        if (iou < least || (is_taken[t] >> k & 1U) != 0) continue;
        best[k] = iou;
        best_truth[k] = t;
      }
    }
    std::uint16_t found = 0;
    for (std::size_t k = 0; k < ap_levels; ++k) {
      if (best_truth[k] == truth.boxes.size()) continue;
      const auto bit = static_cast<std::uint16_t>(1U << k);
      found = static_cast<std::uint16_t>(found | bit);
      is_taken[best_truth[k]] = static_cast<std::uint16_t>(is_taken[best_truth[k]] | bit);
    }
    matches.detections.push_back({box.score, box.class_id, found});
  }
  return matches;
}

/// AP of one class at each level; nothing where no picture has a true box of the class.
template <class Pictures>
std::optional<std::array<double, ap_levels>> precision_of_class(const Pictures& pictures,
                                                                std::size_t class_id) {
  std::uint64_t truths = 0;
  std::vector<BoxMatches::Detection> detections;
  for (const BoxMatches& picture : pictures) {
    truths += picture.truths[class_id];
    for (const BoxMatches::Detection& detection : picture.detections)
      if (detection.class_id == class_id) detections.push_back(detection);
  }
  if (truths == 0) return std::nullopt;
  std::stable_sort(detections.begin(), detections.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });

  std::array<double, ap_levels> result{};
  std::vector<double> recall(detections.size()), precision(detections.size());
  for (std::size_t k = 0; k < ap_levels; ++k) {
    double right = 0;
    for (std::size_t d = 0; d < detections.size(); ++d) {
      right += detections[d].found >> k & 1U;
      recall[d] = right / static_cast<double>(truths);
      precision[d] = right / static_cast<double>(d + 1);
    }
    for (std::size_t d = detections.size(); d > 1; --d)
      precision[d - 2] = std::max(precision[d - 2], precision[d - 1]);
    double sum = 0;
    std::size_t d = 0;
    for (int point = 0; point <= 100; ++point) {
      while (d < detections.size() && recall[d] < 0.01 * point) ++d;
      if (d == detections.size()) break;
      sum += precision[d];
    }
    result[k] = sum / 101;
  }
  return result;
}

inline PrecisionSummary summarize(
    const std::vector<std::optional<std::array<double, ap_levels>>>& classes) {
  double sum50 = 0, sum = 0, count = 0;
  for (const auto& of_class : classes) {
    if (!of_class) continue;
    ++count;
    sum50 += of_class->front();
    for (const double value : *of_class) sum += value / static_cast<double>(ap_levels);
  }
  if (count == 0) return {};
  return {sum50 / count, sum / count};
}

template <class Pictures>
PrecisionSummary summarize(const Pictures& pictures, std::size_t class_count) {
  std::vector<std::optional<std::array<double, ap_levels>>> classes;
  for (std::size_t c = 0; c < class_count; ++c) classes.push_back(precision_of_class(pictures, c));
  return summarize(classes);
}

inline void check_precision_options(std::size_t class_count, std::size_t max_detections) {
  if (class_count < 1 || class_count > 65535)
    refuse(fmt::format("average precision of {} classes; allowed are 1 to 65535", class_count));
  if (max_detections < 1) refuse("average precision: max_detections is 0; it must be at least 1");
}

}  // namespace detail

/// Average precision of a set of pictures, as COCO defines it: within a picture each box of the
/// prediction, the surest first, finds the free true box of its class with the largest IoU; the
/// precision is the mean over 101 levels of recall, each with the best precision at that recall or
/// more; classes count alike. Of each class and picture the max_detections surest boxes count.
///
/// A plain value. Not thread-safe. Memory grows by 8 bytes a box: SlidingPrecision is for videos
/// without end.
///
///     AveragePrecision precision(2);
///     precision.add(student_boxes, teacher_boxes);
///     if (auto ap50 = precision.summary().ap50) std::printf("%.1f%%\n", 100 * *ap50);
class AveragePrecision {
 public:
  /// class_count: 1 to 65535; max_detections: 1 or more (COCO's: 100). Throws
  /// Error(invalid_argument).
  explicit AveragePrecision(std::size_t class_count, std::size_t max_detections = 100)
      : class_count_(class_count), max_detections_(max_detections) {
    detail::check_precision_options(class_count, max_detections);
  }

  /// Takes the next picture. Throws Error(invalid_argument) as check_boxes(); nothing has changed
  /// then.
  void add(const BoxSet& prediction, const BoxSet& truth) {
    pictures_.push_back(detail::match_boxes(prediction, truth, class_count_, max_detections_));
  }

  PrecisionSummary summary() const { return detail::summarize(pictures_, class_count_); }

  /// Of one class. class_id < class_count, else Error(invalid_argument).
  PrecisionSummary of_class(std::size_t class_id) const {
    if (class_id >= class_count_) {
      detail::refuse(fmt::format("average precision of class {}; allowed are 0 to {}", class_id,
                                 class_count_ - 1));
    }
    return detail::summarize({detail::precision_of_class(pictures_, class_id)});
  }

  /// Number of pictures.
  std::size_t pictures() const noexcept { return pictures_.size(); }

 private:
  std::size_t class_count_, max_detections_;
  std::vector<detail::BoxMatches> pictures_;
};

struct SlidingPrecisionOptions {
  double window_seconds = 10;        ///< > 0, finite
  std::size_t max_detections = 100;  ///< of a class and picture, 1 or more
};

/// Average precision of a video as it goes: for every frame that of the last window_seconds; then
/// the mean over frames. The window of a frame at time t holds the frames with times in
/// (t - window_seconds, t]. A plain value. Not thread-safe.
class SlidingPrecision {
 public:
  /// class_count: 1 to 65535. Throws Error(invalid_argument).
  explicit SlidingPrecision(std::size_t class_count, SlidingPrecisionOptions options = {})
      : class_count_(class_count), options_(options) {
    detail::check_precision_options(class_count, options.max_detections);
    if (!(std::isfinite(options.window_seconds) && options.window_seconds > 0)) {
      detail::refuse(
          fmt::format("average precision: window_seconds is {}; allowed is a finite value > 0",
                      options.window_seconds));
    }
  }

  /// Takes the next frame and gives what the window has now. Times are finite and do not go back.
  /// Throws Error(invalid_argument), also as check_boxes(); nothing has changed then.
  PrecisionSummary add(const BoxSet& prediction, const BoxSet& truth, double time_seconds) {
    if (!std::isfinite(time_seconds) ||
        (!frames_.empty() && time_seconds < times_seconds_.back())) {
      detail::refuse(
          fmt::format("average precision: frame time is {}; times are finite and do not go back",
                      time_seconds));
    }
    frames_.push_back(
        detail::match_boxes(prediction, truth, class_count_, options_.max_detections));
    times_seconds_.push_back(time_seconds);
    while (frames_.size() > 1 && times_seconds_.front() <= time_seconds - options_.window_seconds) {
      frames_.pop_front();
      times_seconds_.pop_front();
    }
    const PrecisionSummary window = detail::summarize(frames_, class_count_);
    if (window.ap50) {
      sum50_ += *window.ap50;
      sum50_95_ += *window.ap50_95;
      ++count_;
    }
    return window;
  }

  /// The mean over frames whose window has a true box.
  PrecisionSummary summary() const {
    if (count_ == 0) return {};
    return {sum50_ / static_cast<double>(count_), sum50_95_ / static_cast<double>(count_)};
  }

 private:
  std::size_t class_count_;
  SlidingPrecisionOptions options_;
  std::deque<detail::BoxMatches> frames_;
  std::deque<double> times_seconds_;
  double sum50_ = 0, sum50_95_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace ams
