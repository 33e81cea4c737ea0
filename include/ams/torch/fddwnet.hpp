#pragma once

#include <memory>

#include "ams/torch/network.hpp"

namespace ams {

/// FDDWNet (Liu et al., arXiv 1911.00632): 773,682 parameters at 19 classes. Input sizes are
/// multiples of 8; logits at the input size. Tensor names are those of the public PyTorch weights.
std::shared_ptr<Network> make_fddwnet(int num_classes);

}  // namespace ams
