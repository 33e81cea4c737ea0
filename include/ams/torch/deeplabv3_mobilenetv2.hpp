#pragma once

#include <memory>

#include "ams/torch/network.hpp"

namespace ams {

/// The paper's student (section 4.1): DeepLabV3 (Chen et al., arXiv 1706.05587) on MobileNetV2 x1.0
/// (Sandler et al., arXiv 1801.04381) up to its 320-channel block, output stride 16 with the last
/// three blocks dilated by 2; head of image pooling and one 1x1 convolution, no atrous branches and
/// no decoder. 2,113,043 parameters at 19 classes. Logits at a sixteenth of the input size (rounded
/// up); corners are not aligned when they are brought to the labels' size.
std::shared_ptr<Network> make_deeplabv3_mobilenetv2(int num_classes);

}  // namespace ams
