#pragma once

#include <torch/torch.h>

#include <vector>

#include "ams/torch/network.hpp"

namespace ams::layers {

enum class Activation { none, relu, relu6 };

torch::Tensor activate(torch::Tensor x, Activation activation);

/// Scale and shift that a frozen batch norm amounts to: [C], or [N, C] within OwnValues.
struct Affine {
  torch::Tensor scale;
  torch::Tensor shift;
};
Affine frozen_affine(const torch::nn::BatchNorm2dImpl& norm);

/// Whether a frozen batch norm goes into the weights of the convolution before it: cheaper, but the
/// gradient of its scale then asks for that of all weights.
bool fold_pays(const torch::Tensor& convolution_weight, const torch::nn::BatchNorm2dImpl& norm);

/// norm(x). Within OwnValues: each picture with its own scale and shift.
torch::Tensor normalize(torch::nn::BatchNorm2d& norm, const torch::Tensor& x);

/// convolution(x), which is 1 x 1. Within OwnValues: each picture with its own.
torch::Tensor project(torch::nn::Conv2d& convolution, const torch::Tensor& x);

/// The parameters of all batch norms of `module` and those of `head`, where their modules keep
/// them.
std::vector<torch::Tensor*> own_parameters(torch::nn::Module& module, torch::nn::Conv2dImpl& head);

/// While it lives, values [N, ...] are in the place of parameters, one for each; normalize() and
/// project() understand them.
class OwnValues {
 public:
  OwnValues(std::vector<torch::Tensor*> parameters, std::vector<torch::Tensor> values);
  ~OwnValues();
  OwnValues(const OwnValues&) = delete;
  OwnValues& operator=(const OwnValues&) = delete;

 private:
  void swap() noexcept;

  std::vector<torch::Tensor*> parameters_;
  std::vector<torch::Tensor> others_;  // which are not in place now
};

/// Convolution, batch norm, activation; tensors under "0" and "1".
class ConvNormImpl : public torch::nn::Module, public PreparesInference {
 public:
  ConvNormImpl(const torch::nn::Conv2dOptions& options, Activation activation,
               double epsilon = 1e-5);
  torch::Tensor forward(const torch::Tensor& x);
  void prepare_inference() override;

 private:
  torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias) const;

  torch::nn::Conv2d conv_{nullptr};
  torch::nn::BatchNorm2d norm_{nullptr};
  Activation activation_;
  std::vector<std::int64_t> stride_, padding_, dilation_;
  std::int64_t groups_;
  torch::Tensor folded_weight_, folded_bias_;
};
TORCH_MODULE(ConvNorm);

/// Options of a convolution without bias that keeps the size at stride 1 ("same" padding).
torch::nn::Conv2dOptions convolution(std::int64_t in, std::int64_t out, std::int64_t kernel_height,
                                     std::int64_t kernel_width, std::int64_t stride = 1,
                                     std::int64_t dilation = 1, std::int64_t groups = 1);

}  // namespace ams::layers
