#include "ams/core/phi_score.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "label_check.hpp"

namespace ams {

std::optional<double> label_disagreement(const LabelMap& prediction, const LabelMap& truth,
                                         const ClassSubset& classes) {
  require_same_size(prediction, truth);
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

HardLabelCrossEntropy::HardLabelCrossEntropy(ClassSubset classes, double floor)
    : classes_(std::move(classes)) {
  if (!(floor > 0 && floor < 1)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("cross-entropy floor is {}; allowed is (0, 1)", floor));
  }
  wrong_pixel_loss_ = -std::log(floor);
}

std::optional<double> HardLabelCrossEntropy::operator()(const LabelMap& prediction,
                                                        const LabelMap& truth) const {
  std::optional<double> loss = label_disagreement(prediction, truth, classes_);
  if (loss) *loss *= wrong_pixel_loss_;
  return loss;
}

}  // namespace ams
