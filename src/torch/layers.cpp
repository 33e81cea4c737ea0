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
  if (norm.weight.dim() > 1) return false;  // OwnValues: the pictures share the convolution alone
  return !torch::GradMode::is_enabled() || convolution_weight.requires_grad() ||
         !norm.weight.requires_grad();
}

torch::Tensor normalize(torch::nn::BatchNorm2d& norm, const torch::Tensor& x) {
  if (norm->weight.dim() == 1) return norm(x);
  const Affine affine = frozen_affine(*norm);
  const auto broadcast = [&x](const torch::Tensor& t) {
    return t.to(x.scalar_type()).view({x.size(0), -1, 1, 1});
  };
  return torch::addcmul(broadcast(affine.shift), x, broadcast(affine.scale));
}

torch::Tensor project(torch::nn::Conv2d& convolution, const torch::Tensor& x) {
  if (convolution->weight.dim() == 4) return convolution(x);
  const std::int64_t n = x.size(0), out = convolution->weight.size(1);
  const torch::Tensor pixels = x.permute({0, 2, 3, 1}).reshape({n, -1, x.size(1)});
  const torch::Tensor weight = convolution->weight.view({n, out, -1}).transpose(1, 2);
  const torch::Tensor& bias = convolution->bias;
  const torch::Tensor outputs = bias.defined()
                                    ? torch::baddbmm(bias.view({n, 1, out}), pixels, weight)
                                    : torch::bmm(pixels, weight);
  return outputs.view({n, x.size(2), x.size(3), out}).permute({0, 3, 1, 2});
}

std::vector<torch::Tensor*> own_parameters(torch::nn::Module& module, torch::nn::Conv2dImpl& head) {
  std::vector<torch::Tensor*> parameters;
  for (const auto& part : module.modules()) {
    if (auto* norm = part->as<torch::nn::BatchNorm2dImpl>())
      parameters.insert(parameters.end(), {&norm->weight, &norm->bias});
  }
  parameters.push_back(&head.weight);
  if (head.bias.defined()) parameters.push_back(&head.bias);
  return parameters;
}

OwnValues::OwnValues(std::vector<torch::Tensor*> parameters, std::vector<torch::Tensor> values)
    : parameters_(std::move(parameters)), others_(std::move(values)) {
  TORCH_CHECK(parameters_.size() == others_.size(), others_.size(), " own values for ",
              parameters_.size(), " parameters");
  swap();
}

OwnValues::~OwnValues() {
  swap();
}

void OwnValues::swap() noexcept {
  for (std::size_t i = 0; i < parameters_.size(); ++i) std::swap(*parameters_[i], others_[i]);
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
    return activate(normalize(norm_, convolve(x, conv_->weight, {})), activation_);
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
