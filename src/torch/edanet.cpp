#include "ams/torch/edanet.hpp"

#include <array>
#include <string>
#include <vector>

#include "ams/torch/takes_own_values.hpp"
#include "layers.hpp"

namespace ams {
namespace {

namespace nn = torch::nn;
using layers::Activation;
using layers::ConvNorm;
using layers::convolution;
using torch::Tensor;

constexpr std::int64_t growth = 40;

/// A strided convolution beside max pooling; one batch norm and ReLU over both.
class DownsamplingImpl : public nn::Module, public PreparesInference {
 public:
  DownsamplingImpl(std::int64_t in, std::int64_t out) : convolved_(out - in) {
    conv_ = register_module("conv", nn::Conv2d(convolution(in, out - in, 3, 3, 2)));
    norm_ = nn::BatchNorm2d(out);
    register_module("bn_act", nn::Sequential(norm_));
  }

  Tensor forward(const Tensor& x) {
    if (folded_.weight.defined() && !torch::GradMode::is_enabled())
      return folded_forward(x, folded_);
    if (!is_training() && layers::fold_pays(conv_->weight, *norm_))
      return folded_forward(x, fold());
    const Tensor convolved = torch::conv2d(x, conv_->weight, {}, 2, 1);
    return layers::normalize(norm_, torch::cat({convolved, pool(x)}, 1)).relu_();
  }

  void prepare_inference() override {
    const torch::NoGradGuard no_gradients;
    folded_ = fold();
  }

 private:
  struct Folded {
    Tensor weight, bias, pool_scale, pool_shift;
  };

  /// Rounded up, as the convolution's output is.
  static Tensor pool(const Tensor& x) {
    return torch::max_pool2d(x, 2, 2, 0, 1, /*ceil_mode=*/true);
  }

  Folded fold() const {
    const layers::Affine affine = layers::frozen_affine(*norm_);
    const auto pooled = affine.scale.size(0) - convolved_;
    return {conv_->weight * affine.scale.narrow(0, 0, convolved_).view({-1, 1, 1, 1}),
            affine.shift.narrow(0, 0, convolved_),
            affine.scale.narrow(0, convolved_, pooled).view({1, -1, 1, 1}),
            affine.shift.narrow(0, convolved_, pooled).view({1, -1, 1, 1})};
  }

  static Tensor folded_forward(const Tensor& x, const Folded& folded) {
    const Tensor convolved = torch::conv2d(x, folded.weight, folded.bias, 2, 1);
    const Tensor pooled = torch::addcmul(folded.pool_shift, pool(x), folded.pool_scale);
    return torch::cat({convolved, pooled}, 1).relu_();
  }

  std::int64_t convolved_;
  nn::Conv2d conv_{nullptr};
  nn::BatchNorm2d norm_{nullptr};
  Folded folded_;
};
TORCH_MODULE(Downsampling);

/// A point-wise convolution and two asymmetric ones, the second dilated; its output goes before its
/// input.
class DenseModuleImpl : public nn::Module {
 public:
  DenseModuleImpl(std::int64_t in, std::int64_t dilation)
      : reduce_(convolution(in, growth, 1, 1), Activation::relu),
        column_(convolution(growth, growth, 3, 1)),
        row_(convolution(growth, growth, 1, 3), Activation::relu),
        dilated_column_(convolution(growth, growth, 3, 1, 1, dilation)),
        dilated_row_(convolution(growth, growth, 1, 3, 1, dilation), Activation::relu) {
    register_module("conv", nn::Sequential(reduce_, column_, row_, dilated_column_, dilated_row_));
  }

  Tensor forward(const Tensor& x) {
    const Tensor y = row_(column_(reduce_(x)));
    return torch::cat({dilated_row_(dilated_column_(y)), x}, 1);
  }

 private:
  ConvNorm reduce_;
  nn::Conv2d column_;
  ConvNorm row_;
  nn::Conv2d dilated_column_;
  ConvNorm dilated_row_;
};
TORCH_MODULE(DenseModule);

template <std::size_t n>
nn::Sequential dense_modules(std::int64_t in, const std::array<int, n>& dilations) {
  nn::Sequential modules;
  for (const int dilation : dilations) {
    modules->push_back(DenseModule(in, dilation));
    in += growth;
  }
  return modules;
}

class DenseStageImpl : public nn::Module {
 public:
  explicit DenseStageImpl(nn::Sequential modules)
      : modules_(register_module("layers", std::move(modules))) {}
  Tensor forward(const Tensor& x) { return modules_->forward(x); }

 private:
  nn::Sequential modules_;
};
TORCH_MODULE(DenseStage);

class EdanetImpl : public nn::Module, public TakesOwnValues {
 public:
  explicit EdanetImpl(int num_classes) {
    stage1_ = register_module("stage1", Downsampling(3, 15));
    stage2_down_ = register_module("stage2_d", Downsampling(15, 60));
    stage2_ = register_module("stage2", DenseStage(dense_modules(60, std::array{1, 1, 1, 2, 2})));
    stage3_down_ =
        register_module("stage3_d", ConvNorm(convolution(260, 130, 3, 3, 2), Activation::relu));
    stage3_ = register_module("stage3",
                              DenseStage(dense_modules(130, std::array{2, 2, 4, 4, 8, 8, 16, 16})));
    project_ = register_module("project", nn::Conv2d(convolution(450, num_classes, 1, 1)));
  }

  Tensor forward(const Tensor& x) {
    return layers::project(project_, stage3_(stage3_down_(stage2_(stage2_down_(stage1_(x))))));
  }

  std::vector<Tensor> own_parameters() const override {
    std::vector<Tensor> parameters;
    for (const Tensor* own : own()) parameters.push_back(*own);
    return parameters;
  }

  Tensor forward_each(const Tensor& x, const std::vector<Tensor>& values) override {
    const layers::OwnValues in_place(own(), values);
    return forward(x);
  }

 private:
  std::vector<Tensor*> own() const {
    auto& self = const_cast<EdanetImpl&>(*this);
    return layers::own_parameters(self, *self.project_);
  }

  Downsampling stage1_{nullptr};
  Downsampling stage2_down_{nullptr};
  DenseStage stage2_{nullptr};
  ConvNorm stage3_down_{nullptr};
  DenseStage stage3_{nullptr};
  nn::Conv2d project_{nullptr};
};

}  // namespace

std::shared_ptr<Network> make_edanet(int num_classes) {
  return wrap_module(std::make_shared<EdanetImpl>(num_classes), /*align_corners=*/true);
}

}  // namespace ams
