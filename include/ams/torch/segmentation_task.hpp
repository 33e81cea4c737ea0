#pragma once

#include <optional>
#include <vector>

#include "ams/segmentation/label_map.hpp"
#include "ams/torch/network_trainer.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// Semantic segmentation as make_segmentation_trainer() describes it, for samples of type
/// LabelledFrame. `align_corners` is the network's. Targets are int64 [N, height, width]: the place
/// of the pixel's class in the selection, -100 for a pixel that does not count.
TrainingTask segmentation_task(const StudentSpec& spec, int ignore_id, bool align_corners,
                               double class_balance = 0);

/// Softmax cross-entropy of logits [N, C, h, w] over the classes `selected` (empty: all), at the
/// targets' size, averaged over the pixels that count; undefined when none does. class_balance: as
/// SegmentationTrainerOptions.
torch::Tensor segmentation_loss(const torch::Tensor& logits, const torch::Tensor& targets,
                                const std::vector<int>& selected, bool align_corners,
                                double class_balance = 0);

/// mIoU of the argmax over the classes that occur in the targets, of all samples together; nothing
/// when no pixel counts. Arguments as segmentation_loss().
std::optional<double> segmentation_score(const torch::Tensor& logits, const torch::Tensor& targets,
                                         const std::vector<int>& selected, bool align_corners);

}  // namespace ams
