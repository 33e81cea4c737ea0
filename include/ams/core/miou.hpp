#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ams/core/class_subset.hpp"
#include "ams/core/frame.hpp"

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

}  // namespace ams
