#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ams/torch/network.hpp"

namespace ams {

/// How a program uses a network.
struct NetworkUse {
  std::string name;  ///< for messages
  int num_classes = 0;
  int width = 0;
  int height = 0;
  std::int64_t least_pictures = 1;  ///< in one batch
  std::int64_t most_pictures = 1;   ///< 2 stands for more
  torch::Device device = torch::kCPU;
};

/// Runs the network on pictures as the programs do, and gives what they use in its place:
/// - On a CPU pictures lie in channels-last memory. A network that cannot take it (view() of a
///   feature map) gets contiguous pictures.
/// - One output channel of 2 classes is the logit of class 1. It becomes the logits 0 and itself:
///   their softmax is its sigmoid.
/// Throws Error(invalid_argument) when the network fails, gives NaN, or something other than float
/// logits [N, num_classes, h <= height, w <= width].
std::shared_ptr<Network> adapt_network(std::shared_ptr<Network> network, const NetworkUse& use);

}  // namespace ams
