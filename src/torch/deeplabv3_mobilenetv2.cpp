#include "ams/torch/deeplabv3_mobilenetv2.hpp"

#include <array>

#include "layers.hpp"

namespace ams {
namespace {

namespace nn = torch::nn;
using layers::Activation;
using layers::ConvNorm;
using layers::convolution;
using torch::Tensor;

/// Expansion (but at ratio 1), depth-wise convolution, linear projection; residual where shapes
/// allow.
class InvertedResidualImpl : public nn::Module {
 public:
  InvertedResidualImpl(std::int64_t in, std::int64_t out, std::int64_t ratio, std::int64_t stride,
                       std::int64_t dilation)
      : residual_(stride == 1 && in == out) {
    const std::int64_t hidden = in * ratio;
    if (ratio != 1) {
      expand_ =
          register_module("expand", ConvNorm(convolution(in, hidden, 1, 1), Activation::relu6));
    }
    depthwise_ = register_module(
        "depthwise",
        ConvNorm(convolution(hidden, hidden, 3, 3, stride, dilation, hidden), Activation::relu6));
    project_ =
        register_module("project", ConvNorm(convolution(hidden, out, 1, 1), Activation::none));
  }

  Tensor forward(const Tensor& x) {
    const Tensor y = project_(depthwise_(expand_.is_empty() ? x : expand_(x)));
    return residual_ ? x + y : y;
  }

 private:
  bool residual_;
  ConvNorm expand_{nullptr};
  ConvNorm depthwise_{nullptr};
  ConvNorm project_{nullptr};
};
TORCH_MODULE(InvertedResidual);

/// A row of table 2 of the MobileNetV2 paper.
struct BlockRow {
  int ratio, channels, repeats, stride;
  int dilation;  ///< of all but the row's first block, which has that of the row before
};

// The first 160-channel block would go to output stride 32 and keeps the size instead; the three
// blocks after it are dilated, so that they see as far as they would have.
constexpr std::array<BlockRow, 7> rows{{{1, 16, 1, 1, 1},
                                        {6, 24, 2, 2, 1},
                                        {6, 32, 3, 2, 1},
                                        {6, 64, 4, 2, 1},
                                        {6, 96, 3, 1, 1},
                                        {6, 160, 3, 1, 2},
                                        {6, 320, 1, 1, 2}}};

class DeeplabImpl : public nn::Module {
 public:
  explicit DeeplabImpl(int num_classes) {
    backbone_->push_back(ConvNorm(convolution(3, 32, 3, 3, 2), Activation::relu6));
    std::int64_t in = 32;
    int dilation = 1;
    for (const BlockRow& row : rows) {
      for (int i = 0; i < row.repeats; ++i) {
        backbone_->push_back(
            InvertedResidual(in, row.channels, row.ratio, i == 0 ? row.stride : 1, dilation));
        in = row.channels;
        dilation = row.dilation;
      }
    }
    register_module("backbone", backbone_);
    image_pooling_ =
        register_module("image_pooling", ConvNorm(convolution(in, 256, 1, 1), Activation::relu));
    pointwise_ =
        register_module("pointwise", ConvNorm(convolution(in, 256, 1, 1), Activation::relu));
    join_ = register_module("join", ConvNorm(convolution(512, 256, 1, 1), Activation::relu));
    logits_ = register_module("logits", nn::Conv2d(nn::Conv2dOptions(256, num_classes, 1)));
  }

  Tensor forward(const Tensor& x) {
    const Tensor features = backbone_->forward(x);
    const Tensor image = image_pooling_(features.mean({2, 3}, /*keepdim=*/true));
    const Tensor pooled = image.expand({-1, -1, features.size(2), features.size(3)});
    return logits_(join_(torch::cat({pooled, pointwise_(features)}, 1)));
  }

 private:
  nn::Sequential backbone_;
  ConvNorm image_pooling_{nullptr};
  ConvNorm pointwise_{nullptr};
  ConvNorm join_{nullptr};
  nn::Conv2d logits_{nullptr};
};

}  // namespace

std::shared_ptr<Network> make_deeplabv3_mobilenetv2(int num_classes) {
  return wrap_module(std::make_shared<DeeplabImpl>(num_classes));
}

}  // namespace ams
