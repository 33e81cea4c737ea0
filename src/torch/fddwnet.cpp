#include "ams/torch/fddwnet.hpp"

#include <utility>
#include <vector>

#include "layers.hpp"

namespace ams {
namespace {

namespace nn = torch::nn;
using layers::Activation;
using layers::ConvNorm;
using layers::convolution;
using torch::Tensor;

class DownsamplingImpl : public nn::Module {
 public:
  DownsamplingImpl(std::int64_t in, std::int64_t out)
      : conv_(register_module("conv",
                              ConvNorm(convolution(in, out - in, 3, 3, 2), Activation::relu))) {}

  Tensor forward(const Tensor& x) {
    return torch::cat({conv_(x), torch::max_pool2d(x, 3, 2, 1)}, 1);
  }

 private:
  ConvNorm conv_;
};
TORCH_MODULE(Downsampling);

/// EERM: factorised depth-wise convolutions, the second pair dilated, with a residual.
class UnitImpl : public nn::Module {
 public:
  UnitImpl(std::int64_t channels, std::int64_t dilation) {
    const auto depthwise = [&](std::int64_t height, std::int64_t width, std::int64_t dilated) {
      return ConvNorm(convolution(channels, channels, height, width, 1, dilated, channels),
                      Activation::none);
    };
    const auto pointwise = [&](Activation activation) {
      return ConvNorm(convolution(channels, channels, 1, 1), activation);
    };
    conv_ = register_module(
        "conv", nn::Sequential(depthwise(3, 1, 1), depthwise(1, 3, 1), pointwise(Activation::relu),
                               depthwise(3, 1, dilation), depthwise(1, 3, dilation),
                               pointwise(Activation::none)));
  }

  Tensor forward(const Tensor& x) { return (conv_->forward(x) + x).relu_(); }

 private:
  nn::Sequential conv_{nullptr};
};
TORCH_MODULE(Unit);

class UpsamplingImpl : public nn::Module {
 public:
  UpsamplingImpl(std::int64_t in, std::int64_t out)
      : up_(register_module(
            "up_conv",
            nn::Sequential(
                nn::ConvTranspose2d(
                    nn::ConvTranspose2dOptions(in, out, 3).stride(2).padding(1).output_padding(1)),
                nn::BatchNorm2d(out)))) {}

  Tensor forward(const Tensor& x) { return up_->forward(x).relu_(); }

 private:
  nn::Sequential up_;
};
TORCH_MODULE(Upsampling);

nn::Sequential units(std::int64_t channels, const std::vector<int>& dilations) {
  nn::Sequential all;
  for (const int dilation : dilations) all->push_back(Unit(channels, dilation));
  return all;
}

class FddwnetImpl : public nn::Module {
 public:
  explicit FddwnetImpl(int num_classes)
      : layer1_(register_module("layer1", Downsampling(3, 16))),
        layer2_(register_module("layer2", Downsampling(16, 64))),
        layer3_7_(register_module("layer3_7", units(64, {1, 1, 1, 1, 1}))),
        layer8_(register_module("layer8", Downsampling(64, 128))),
        layer9_16_(register_module("layer9_16", units(128, {1, 2, 5, 9, 1, 2, 5, 9}))),
        layer17_24_(register_module("layer17_24", units(128, {2, 5, 9, 17, 2, 5, 9, 17}))),
        layer25_(register_module("layer25", Upsampling(128, 64))),
        layer26_27_(register_module("layer26_27", units(64, {1, 1}))),
        layer28_(register_module("layer28", Upsampling(64, 16))),
        layer29_30_(register_module("layer29_30", units(16, {1, 1}))),
        layer31_(register_module("layer31", Upsampling(16, num_classes))) {}

  Tensor forward(const Tensor& x) {
    const Tensor early = layer3_7_->forward(layer2_(layer1_(x)));
    Tensor y = layer25_(layer17_24_->forward(layer9_16_->forward(layer8_(early))));
    y = layer28_(layer26_27_->forward(y) + early);
    return layer31_(layer29_30_->forward(y));
  }

 private:
  Downsampling layer1_, layer2_;
  nn::Sequential layer3_7_;
  Downsampling layer8_;
  nn::Sequential layer9_16_, layer17_24_;
  Upsampling layer25_;
  nn::Sequential layer26_27_;
  Upsampling layer28_;
  nn::Sequential layer29_30_;
  Upsampling layer31_;
};

}  // namespace

std::shared_ptr<Network> make_fddwnet(int num_classes) {
  return wrap_module(std::make_shared<FddwnetImpl>(num_classes));
}

}  // namespace ams
