#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/segmentation/class_subset.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

/// Fraction of pixels, in [0, 1], on which two label maps differ. Only pixels count on which both
/// name a class of the subset. Nothing when there is no such pixel. Throws Error(invalid_argument)
/// unless both maps have the same width and height and that many ids.
std::optional<double> label_disagreement(const LabelMap& prediction, const LabelMap& truth,
                                         const ClassSubset& classes);

/// The segmentation task's loss on hard labels: softmax cross-entropy of a one-hot prediction whose
/// probabilities are not let below a floor (without one, a single wrong pixel would make it
/// infinite).
///
/// A right pixel costs -ln(1) = 0 and a wrong one -ln(floor), so the mean is
///     loss = -ln(floor) * label_disagreement,  in [0, -ln(floor)].
/// The floor only sets the unit. 0.01 gives [0, 4.605]: a wrong pixel costs what a network pays
/// that gives the true class a chance of one in a hundred, so that figures compare with a student's
/// training loss. phi_target and eta_r of sampling_rate.hpp are in this unit.
class HardLabelCrossEntropy {
 public:
  static constexpr double default_floor = 0.01;

  /// floor in (0, 1), else Error(invalid_argument).
  explicit HardLabelCrossEntropy(ClassSubset classes, double floor = default_floor);

  /// The loss; nothing when the maps have no pixel in common that counts. Errors as
  /// label_disagreement.
  std::optional<double> operator()(const LabelMap& prediction, const LabelMap& truth) const;

  /// -ln(floor): the loss of one wrong pixel, and the largest loss.
  double wrong_pixel_loss() const noexcept { return wrong_pixel_loss_; }

 private:
  ClassSubset classes_;
  double wrong_pixel_loss_;
};

inline std::optional<double> label_disagreement(const LabelMap& prediction, const LabelMap& truth,
                                                const ClassSubset& classes) {
  detail::require_same_size(prediction, truth);
  std::uint64_t counted = 0;
  std::uint64_t different = 0;
  for (std::size_t i = 0; i < truth.ids.size(); ++i) {
    const std::uint8_t t = truth.ids[i];
    const std::uint8_t p = prediction.ids[i];
    const bool counts = classes.contains(t) && classes.contains(p);
    counted += counts;
    different += counts && t != p;
  }
  if (counted == 0) return std::nullopt;
  return static_cast<double>(different) / static_cast<double>(counted);
}

inline HardLabelCrossEntropy::HardLabelCrossEntropy(ClassSubset classes, double floor)
    : classes_(std::move(classes)) {
  if (!(floor > 0 && floor < 1)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("cross-entropy floor is {}; allowed is (0, 1)", floor));
  }
  wrong_pixel_loss_ = -std::log(floor);
}

inline std::optional<double> HardLabelCrossEntropy::operator()(const LabelMap& prediction,
                                                               const LabelMap& truth) const {
  std::optional<double> loss = label_disagreement(prediction, truth, classes_);
  if (loss) *loss *= wrong_pixel_loss_;
  return loss;
}

}  // namespace ams
