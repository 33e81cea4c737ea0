#pragma once

#include <torch/torch.h>

#include <vector>

#include "ams/segmentation/label_map.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// The frame scaled to width x height (area average when smaller, bilinear when larger): uint8
/// [height, width, 3]. Throws Error(invalid_argument) when the frame's bytes do not fit its size.
torch::Tensor scaled_rgb(const Frame& frame, int width, int height);

/// Class ids scaled by nearest neighbour: uint8 [height, width]. Throws as scaled_rgb().
torch::Tensor scaled_labels(const LabelMap& labels, int width, int height);

/// uint8 [height, width, 3] tensors of one size to normalised float32 [N, 3, height, width] in
/// channels-last memory.
torch::Tensor normalized_batch(const std::vector<torch::Tensor>& images,
                               const Normalization& normalization);

/// Argmax of float32 logits [1, C, h, w] in their size; channel c stands for class classes[c]
/// (empty: c), and among equals the first channel wins.
LabelMap argmax_labels(const torch::Tensor& logits, const std::vector<int>& classes);

}  // namespace ams
