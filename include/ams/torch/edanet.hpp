#pragma once

#include <memory>

#include "ams/torch/network.hpp"

namespace ams {

/// EDANet (Lo et al., arXiv 1809.06323), growth 40: 686,679 parameters at 19 classes. Logits at an
/// eighth of the input size, corners aligned. Tensor names are those of the public PyTorch weights.
std::shared_ptr<Network> make_edanet(int num_classes);

}  // namespace ams
