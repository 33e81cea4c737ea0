#include "tensor_roles.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>

namespace ams {
namespace {

namespace nn = torch::nn;

template <class... Types>
bool is_any(const nn::Module& module) {
  return (... || (module.as<Types>() != nullptr));
}

bool is_normalization(const nn::Module& module) {
  return is_any<nn::BatchNorm1dImpl, nn::BatchNorm2dImpl, nn::BatchNorm3dImpl,
                nn::InstanceNorm1dImpl, nn::InstanceNorm2dImpl, nn::InstanceNorm3dImpl,
                nn::GroupNormImpl, nn::LayerNormImpl>(module);
}

/// By the name of the Python class, which is all that TorchScript keeps of it: scale and shift have
/// one shape, other than the parameters of what is more than a normalisation.
bool is_normalization(const torch::jit::Module& module) {
  static constexpr std::array<std::string_view, 5> names = {"BatchNorm", "InstanceNorm",
                                                            "GroupNorm", "LayerNorm", "RMSNorm"};
  const auto type = module.type()->name();
  if (!type) return false;
  const bool is_called_so = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return std::string_view(type->name()).find(name) != std::string_view::npos;
  });
  if (!is_called_so) return false;
  std::vector<torch::Tensor> own;
  for (const auto& tensor : module.parameters(/*recurse=*/false)) own.push_back(tensor);
  return std::all_of(own.begin(), own.end(), [&](const torch::Tensor& tensor) {
    return tensor.sizes() == own.front().sizes();
  });
}

/// Finds roles from modules in registration order; tensors are told apart by their identity, as one
/// may have several names.
class Roles {
 public:
  void add_module(bool normalization, const std::vector<torch::Tensor>& own_parameters) {
    if (normalization) {
      for (const torch::Tensor& tensor : own_parameters) {
        roles_[tensor.unsafeGetTensorImpl()] = TensorRole::normalization;
      }
    } else if (std::any_of(own_parameters.begin(), own_parameters.end(),
                           [](const torch::Tensor& t) { return t.requires_grad(); })) {
      head_ = own_parameters;
    }
  }

  NetworkTensor named(std::string name, torch::Tensor tensor) const {
    TensorRole role = TensorRole::weight;
    const auto found = roles_.find(tensor.unsafeGetTensorImpl());
    if (found != roles_.end()) role = found->second;
    for (const torch::Tensor& head : head_) {
      if (head.is_same(tensor)) role = TensorRole::head;
    }
    return {std::move(name), std::move(tensor), role};
  }

 private:
  std::map<const void*, TensorRole> roles_;
  std::vector<torch::Tensor> head_;
};

}  // namespace

std::vector<NetworkTensor> parameters_with_roles(const nn::Module& module) {
  Roles roles;
  for (const auto& part :
       const_cast<nn::Module&>(module).named_modules("", /*include_self=*/false)) {
    roles.add_module(is_normalization(*part.value()), part.value()->parameters(/*recurse=*/false));
  }
  if (module.children().empty()) {
    roles.add_module(is_normalization(module), module.parameters(/*recurse=*/false));
  }
  std::vector<NetworkTensor> tensors;
  for (const auto& item : module.named_parameters()) {
    tensors.push_back(roles.named(item.key(), item.value()));
  }
  return tensors;
}

std::vector<NetworkTensor> parameters_with_roles(const torch::jit::Module& module) {
  Roles roles;
  std::vector<torch::Tensor> own;
  bool normalization = false;
  for (const auto& part : module.named_modules()) {
    // The tensors of a parametrization (weight_norm, ...) are its module's, which comes before.
    if (part.name.find("parametrizations") == std::string::npos) {
      roles.add_module(normalization, own);
      own.clear();
      normalization = is_normalization(part.value);
    }
    for (const auto& tensor : part.value.parameters(/*recurse=*/false)) own.push_back(tensor);
  }
  roles.add_module(normalization, own);
  std::vector<NetworkTensor> tensors;
  for (const auto& item : module.named_parameters()) {
    tensors.push_back(roles.named(item.name, item.value));
  }
  return tensors;
}

}  // namespace ams
