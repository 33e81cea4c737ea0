#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 imagines at -O3 that previous_ is read where it holds no label.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/// phi-score (section 3.2): how fast the teacher's output changes. phi_k is the task's own loss
/// with the teacher's output on frame k as the prediction and its output on frame k-1 as the ground
/// truth.
///
/// Label: any movable type (a LabelMap, a shared pointer to one, a set of boxes, ...).
/// Loss: callable as loss(const Label& prediction, const Label& truth), giving double, or
/// std::optional<double> with nothing where two labels cannot be compared.
///
/// A plain value: copyable when Label and Loss are. Not thread-safe.
///
///     HardLabelCrossEntropy loss(ClassSubset({0, 2, 8, 10, 13}));
///     PhiScoreTracker<LabelMap, HardLabelCrossEntropy> phi(loss);
///     for (const Frame& frame : new_samples) phi.add(teacher.label(frame));
///     if (controller.due(now)) {
///       if (auto mean = phi.take_mean()) controller.decide(now, *mean);
///     }
template <class Label, class Loss>
class PhiScoreTracker {
 public:
  explicit PhiScoreTracker(Loss loss) : loss_(std::move(loss)) {}

  /// Takes the teacher's output on the next frame, in the order of capture. Gives phi_k, or nothing
  /// for the first frame and where the loss gives nothing. Throws what the loss throws, and
  /// Error(invalid_argument) when it is not finite; the tracker is then as before the call.
  std::optional<double> add(Label label) {
    std::optional<double> phi;
    if (previous_) phi = loss_(std::as_const(label), std::as_const(*previous_));
    if (phi && !std::isfinite(*phi)) {
      throw Error(ErrorCode::invalid_argument,
                  "phi-score: the loss gave " + std::to_string(*phi) + "; it must be finite");
    }
    previous_ = std::move(label);
    if (phi) {
      sum_ += *phi;
      ++count_;
    }
    return phi;
  }

  /// Mean of the scores since the latest take_mean(); nothing when there are none.
  std::optional<double> mean() const {
    if (count_ == 0) return std::nullopt;
    return sum_ / static_cast<double>(count_);
  }

  /// mean(), and begins a new period: call it when the controller decides. The latest label stays,
  /// so that the next frame is compared with it.
  std::optional<double> take_mean() {
    const std::optional<double> result = mean();
    sum_ = 0;
    count_ = 0;
    return result;
  }

  /// Number of scores since the latest take_mean().
  std::size_t count() const noexcept { return count_; }

  /// Forgets the latest label, so that the next frame is compared with none: after a gap in the
  /// video, or when the labels change size. The scores so far stay.
  void forget_label() noexcept { previous_.reset(); }

  /// Forgets everything.
  void reset() {
    forget_label();
    sum_ = 0;
    count_ = 0;
  }

 private:
  Loss loss_;
  std::optional<Label> previous_;
  double sum_ = 0;
  std::size_t count_ = 0;
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace ams
