#include "layers.hpp"

#include <utility>

namespace ams::layers {

torch::Tensor activate(torch::Tensor x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x.relu_();
    case Activation::relu6:
      return torch::hardtanh_(x, 0, 6);
  }
  return x;
}

Affine frozen_affine(const torch::nn::BatchNorm2dImpl& norm) {
  const torch::Tensor scale = norm.weight * torch::rsqrt(norm.running_var + norm.options.eps());
  return {scale, norm.bias - norm.running_mean * scale};
}

bool fold_pays(const torch::Tensor& convolution_weight, const torch::nn::BatchNorm2dImpl& norm) {
  return !torch::GradMode::is_enabled() || convolution_weight.requires_grad() ||
         !norm.weight.requires_grad();
}

ConvNormImpl::ConvNormImpl(const torch::nn::Conv2dOptions& options, Activation activation,
                           double epsilon)
    : conv_(register_module("0", torch::nn::Conv2d(options))),
      norm_(register_module(
          "1", torch::nn::BatchNorm2d(
                   torch::nn::BatchNorm2dOptions(options.out_channels()).eps(epsilon)))),
      activation_(activation),
      stride_(options.stride()->begin(), options.stride()->end()),
      dilation_(options.dilation()->begin(), options.dilation()->end()),
      groups_(options.groups()) {
  const auto& padding = *std::get<torch::ExpandingArray<2>>(options.padding());
  padding_.assign(padding.begin(), padding.end());
}

torch::Tensor ConvNormImpl::convolve(const torch::Tensor& x, const torch::Tensor& weight,
                                     const torch::Tensor& bias) const {
  return torch::conv2d(x, weight, bias, stride_, padding_, dilation_, groups_);
}

torch::Tensor ConvNormImpl::forward(const torch::Tensor& x) {
  if (folded_weight_.defined() && !torch::GradMode::is_enabled()) {
    return activate(convolve(x, folded_weight_, folded_bias_), activation_);
  }
  if (is_training() || !fold_pays(conv_->weight, *norm_)) {
    return activate(norm_(convolve(x, conv_->weight, {})), activation_);
  }
  const Affine affine = frozen_affine(*norm_);
  return activate(convolve(x, conv_->weight * affine.scale.view({-1, 1, 1, 1}), affine.shift),
                  activation_);
}

void ConvNormImpl::prepare_inference() {
  const torch::NoGradGuard no_gradients;
  const Affine affine = frozen_affine(*norm_);
  folded_weight_ = (conv_->weight * affine.scale.view({-1, 1, 1, 1}))
                       .contiguous(torch::MemoryFormat::ChannelsLast);
  folded_bias_ = affine.shift;
}

torch::nn::Conv2dOptions convolution(std::int64_t in, std::int64_t out, std::int64_t kernel_height,
                                     std::int64_t kernel_width, std::int64_t stride,
                                     std::int64_t dilation, std::int64_t groups) {
  return torch::nn::Conv2dOptions(in, out, {kernel_height, kernel_width})
      .stride(stride)
      .padding({dilation * (kernel_height - 1) / 2, dilation * (kernel_width - 1) / 2})
      .dilation(dilation)
      .groups(groups)
      .bias(false);
}

}  // namespace ams::layers
