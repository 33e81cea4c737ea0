#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/segmentation/class_subset.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/segmentation/miou.hpp"

namespace ams {

/// Pixel counts by true and by predicted class, and the intersection over union that follows. All
/// results are fractions in [0, 1].
///
/// A pixel counts when its true class is in the subset; ignored pixels and other classes do not. A
/// predictor takes its argmax over the subset only; should a prediction be outside it all the same
/// (the ignore id, too), it is a miss of the true class (a false negative) and a false positive of
/// none.
///
/// A plain value. Not thread-safe.
///
///     ConfusionMatrix confusion(ClassSubset({0, 2, 8, 10, 13}));
///     confusion.add(student_labels, teacher_labels);
///     if (auto miou = confusion.mean_iou()) std::printf("%.1f%%\n", 100 * *miou);
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(ClassSubset classes);

  /// Counts a frame's pixels; one pass, no allocation. Throws Error(invalid_argument) unless both
  /// maps have the same width and height and that many ids; nothing has changed then.
  void add(const LabelMap& prediction, const LabelMap& truth);

  /// Sums counts, or takes away those that were added before. Throws Error(invalid_argument), and
  /// nothing has changed then, when the classes differ or a count would fall below zero.
  ConfusionMatrix& operator+=(const ConfusionMatrix& other);
  ConfusionMatrix& operator-=(const ConfusionMatrix& other);

  void clear() noexcept;

  const ClassSubset& classes() const noexcept { return classes_; }

  /// Pixels of the i-th class of the subset that were predicted as its j-th; j = classes().size():
  /// as something outside the subset. i < size(), j <= size(), else Error(invalid_argument).
  std::uint64_t count(std::size_t truth_index, std::size_t prediction_index) const;

  /// Number of pixels that counted.
  std::uint64_t pixels() const noexcept;

  /// Intersection over union of the i-th class of the subset; nothing when it occurs neither in the
  /// ground truth nor in the predictions on pixels that count. i < size(), else
  /// Error(invalid_argument).
  std::optional<double> iou(std::size_t class_index) const;

  /// Mean over the classes that occur; nothing when none does. O(classes^2).
  std::optional<double> mean_iou() const;

  friend bool operator==(const ConfusionMatrix&, const ConfusionMatrix&) = default;

 private:
  std::size_t columns() const noexcept { return classes_.size() + 1; }

  ClassSubset classes_;
  std::vector<std::uint64_t>
      counts_;  // rows: truth; columns: prediction, the last one is "outside"
};

struct SlidingMiouOptions {
  double window_seconds = 10;  ///< > 0, finite
  double start_up_seconds =
      0;  ///< frames before this time are left out of the averages (250 in the paper)
};

/// mIoU of a video so far, by the three definitions. Nothing where no frame had a pixel that
/// counts.
struct MiouSummary {
  std::optional<double> sliding;      ///< the paper's: mean over frames of the window's mIoU
  std::optional<double> per_frame;    ///< mean over frames of the frame's own mIoU
  std::optional<double> whole_video;  ///< mIoU of all frames' counts together
  std::uint64_t frames = 0;           ///< frames that the averages are over (start-up left out)
};

/// The paper's accuracy measure: for every frame, the confusion matrix summed over the last
/// window_seconds of video, its IoU averaged over the classes that occur; then the mean over
/// frames.
///
/// The window of a frame at time t holds the frames with times in (t - window_seconds, t]. Frames
/// of the start-up count in the windows of later frames, and nowhere else. Memory: one confusion
/// matrix per frame in the window. A plain value. Not thread-safe.
///
///     SlidingMiou miou(ClassSubset({0, 2, 8, 10, 13}));
///     for (...) miou.add(student_labels, teacher_labels, frame.capture_seconds);
///     report(miou.summary().sliding);
class SlidingMiou {
 public:
  /// Throws Error(invalid_argument).
  explicit SlidingMiou(ClassSubset classes, SlidingMiouOptions options = {});

  /// Takes the next frame and returns the window's mIoU at its time (nothing when no pixel of the
  /// window counts). Times are finite and do not go back. Throws Error(invalid_argument), also as
  /// ConfusionMatrix::add; nothing has changed then. O(pixels + classes^2).
  std::optional<double> add(const LabelMap& prediction, const LabelMap& truth, double time_seconds);

  /// The window's mIoU at the latest frame.
  std::optional<double> current() const { return window_.mean_iou(); }

  /// The window's counts, for the IoU of each class.
  const ConfusionMatrix& window() const noexcept { return window_; }

  MiouSummary summary() const;

 private:
  struct FrameCounts {
    double time_seconds;
    ConfusionMatrix counts;
  };
  struct Mean {
    double sum = 0;
    std::uint64_t count = 0;
    void add(std::optional<double> value);
    std::optional<double> value() const;
  };

  SlidingMiouOptions options_;
  ConfusionMatrix window_;
  ConfusionMatrix whole_video_;
  std::deque<FrameCounts> frames_;  // those in the window, oldest first
  Mean sliding_;
  Mean per_frame_;
  std::uint64_t scored_frames_ = 0;
};

namespace detail::miou {

inline std::uint64_t load_word(const std::uint8_t* p) {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline std::uint64_t repeat(std::uint8_t byte) {
  return byte * 0x0101010101010101u;
}

}  // namespace detail::miou

inline ConfusionMatrix::ConfusionMatrix(ClassSubset classes)
    : classes_(std::move(classes)), counts_(classes_.size() * columns()) {}

inline void ConfusionMatrix::add(const LabelMap& prediction, const LabelMap& truth) {
  detail::require_same_size(prediction, truth);
  const std::size_t n = truth.ids.size();
  const std::uint8_t* const t = truth.ids.data();
  const std::uint8_t* const p = prediction.ids.data();
  const auto count = [&](std::uint8_t truth_id, std::uint8_t predicted_id, std::uint64_t pixels) {
    const std::uint8_t row = classes_.index(truth_id);
    if (row == ClassSubset::outside) return;
    const std::size_t column = std::min<std::size_t>(classes_.index(predicted_id), classes_.size());
    counts_[row * columns() + column] += pixels;
  };
  // Label maps are mostly large even areas: eight pixels that are all alike count in one step.
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    if (detail::miou::load_word(t + i) == detail::miou::repeat(t[i]) &&
        detail::miou::load_word(p + i) == detail::miou::repeat(p[i])) {
      count(t[i], p[i], 8);
    } else {
      for (std::size_t j = i; j < i + 8; ++j) count(t[j], p[j], 1);
    }
  }
  for (; i < n; ++i) count(t[i], p[i], 1);
}

inline ConfusionMatrix& ConfusionMatrix::operator+=(const ConfusionMatrix& other) {
  if (!(classes_ == other.classes_)) {
    throw Error(ErrorCode::invalid_argument,
                "confusion matrices are over different classes; sums need the same subset");
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  return *this;
}

inline ConfusionMatrix& ConfusionMatrix::operator-=(const ConfusionMatrix& other) {
  if (!(classes_ == other.classes_)) {
    throw Error(ErrorCode::invalid_argument,
                "confusion matrices are over different classes; differences need the same subset");
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] < other.counts_[i]) {
      throw Error(ErrorCode::invalid_argument,
                  "confusion matrix to take away has larger counts; only what was added before can "
                  "be taken away");
    }
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] -= other.counts_[i];
  return *this;
}

inline void ConfusionMatrix::clear() noexcept {
  std::fill(counts_.begin(), counts_.end(), 0);
}

inline std::uint64_t ConfusionMatrix::count(std::size_t truth_index,
                                            std::size_t prediction_index) const {
  if (truth_index >= classes_.size() || prediction_index > classes_.size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("confusion matrix cell ({}, {}); allowed are rows below {} and columns "
                            "up to {}",
                            truth_index, prediction_index, classes_.size(), classes_.size()));
  }
  return counts_[truth_index * columns() + prediction_index];
}

inline std::uint64_t ConfusionMatrix::pixels() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t c : counts_) sum += c;
  return sum;
}

inline std::optional<double> ConfusionMatrix::iou(std::size_t class_index) const {
  const std::uint64_t both = count(class_index, class_index);
  std::uint64_t either = 0;
  for (std::size_t j = 0; j < columns(); ++j) either += counts_[class_index * columns() + j];
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (i != class_index) either += counts_[i * columns() + class_index];
  }
  if (either == 0) return std::nullopt;
  return static_cast<double>(both) / static_cast<double>(either);
}

inline std::optional<double> ConfusionMatrix::mean_iou() const {
  double sum = 0;
  int occurring = 0;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (const std::optional<double> value = iou(i)) {
      sum += *value;
      ++occurring;
    }
  }
  if (occurring == 0) return std::nullopt;
  return sum / occurring;
}

inline void SlidingMiou::Mean::add(std::optional<double> value) {
  if (!value) return;
  sum += *value;
  ++count;
}

inline std::optional<double> SlidingMiou::Mean::value() const {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

inline SlidingMiou::SlidingMiou(ClassSubset classes, SlidingMiouOptions options)
    : options_(options), window_(std::move(classes)), whole_video_(window_) {
  if (!(std::isfinite(options_.window_seconds) && options_.window_seconds > 0)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("mIoU: window_seconds is {}; allowed is a finite value > 0",
                            options_.window_seconds));
  }
  if (!std::isfinite(options_.start_up_seconds)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("mIoU: start_up_seconds is {}; allowed is a finite value",
                            options_.start_up_seconds));
  }
}

inline std::optional<double> SlidingMiou::add(const LabelMap& prediction, const LabelMap& truth,
                                              double time_seconds) {
  if (!std::isfinite(time_seconds) ||
      (!frames_.empty() && time_seconds < frames_.back().time_seconds)) {
    throw Error(ErrorCode::invalid_argument,
                frames_.empty()
                    ? fmt::format("mIoU: frame time is {}; it must be finite", time_seconds)
                    : fmt::format("mIoU: frame time is {} after {}; times are finite and do not go "
                                  "back",
                                  time_seconds, frames_.back().time_seconds));
  }
  ConfusionMatrix counts(window_.classes());
  counts.add(prediction, truth);
  frames_.push_back({time_seconds, std::move(counts)});
  // Nothing throws from here on: what leaves the window was added to it.
  const ConfusionMatrix& frame = frames_.back().counts;
  window_ += frame;
  while (frames_.size() > 1 &&
         frames_.front().time_seconds <= time_seconds - options_.window_seconds) {
    window_ -= frames_.front().counts;
    frames_.pop_front();
  }
  const std::optional<double> sliding = window_.mean_iou();
  if (time_seconds >= options_.start_up_seconds) {
    whole_video_ += frame;
    sliding_.add(sliding);
    per_frame_.add(frame.mean_iou());
    ++scored_frames_;
  }
  return sliding;
}

inline MiouSummary SlidingMiou::summary() const {
  return {sliding_.value(), per_frame_.value(), whole_video_.mean_iou(), scored_frames_};
}

}  // namespace ams
