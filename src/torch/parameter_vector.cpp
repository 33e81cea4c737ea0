#include "ams/torch/parameter_vector.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "ams/core/error.hpp"
#include "tensor_roles.hpp"

namespace ams {
namespace {

void require_size(const char* what, std::size_t given, std::size_t needed) {
  if (given != needed) {
    throw Error(ErrorCode::invalid_argument, std::string(what) + ": " + std::to_string(given) +
                                                 " given, " + std::to_string(needed) + " needed");
  }
}

std::vector<NetworkTensor> only_trainable(std::vector<NetworkTensor> tensors) {
  std::erase_if(tensors, [](const NetworkTensor& t) { return !t.tensor.requires_grad(); });
  return tensors;
}

std::vector<NetworkTensor> only_statistics(std::vector<NetworkTensor> tensors) {
  std::erase_if(tensors, [](const NetworkTensor& t) { return !is_batch_norm_statistic(t); });
  return tensors;
}

template <class Named, class Name, class Value>
std::vector<NetworkTensor> collect(const Named& named, Name name, Value value) {
  std::vector<NetworkTensor> tensors;
  for (const auto& item : named) tensors.push_back({name(item), value(item)});
  return tensors;
}

std::vector<NetworkTensor> collect(const torch::OrderedDict<std::string, torch::Tensor>& named) {
  return collect(
      named, [](const auto& i) { return i.key(); }, [](const auto& i) { return i.value(); });
}

template <class NamedTensorList>
std::vector<NetworkTensor> collect_script(const NamedTensorList& named) {
  return collect(
      named, [](const auto& i) { return i.name; }, [](const auto& i) { return i.value; });
}

}  // namespace

std::vector<NetworkTensor> trainable_parameters(const torch::nn::Module& module) {
  return only_trainable(parameters_with_roles(module));
}
std::vector<NetworkTensor> trainable_parameters(const torch::jit::Module& module) {
  return only_trainable(parameters_with_roles(module));
}
std::vector<NetworkTensor> batch_norm_statistics(const torch::nn::Module& module) {
  return only_statistics(collect(module.named_buffers()));
}
std::vector<NetworkTensor> batch_norm_statistics(const torch::jit::Module& module) {
  return only_statistics(collect_script(module.named_buffers()));
}

ParameterVector::ParameterVector(const Network& network, bool with_statistics)
    : ParameterVector(only_trainable(network.parameters()), with_statistics
                                                                ? only_statistics(network.buffers())
                                                                : std::vector<NetworkTensor>{}) {}

ParameterVector::ParameterVector(std::vector<NetworkTensor> parameters,
                                 std::vector<NetworkTensor> statistics) {
  if (parameters.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "the network has no parameter that requires a gradient");
  }
  const torch::Device device = parameters.front().tensor.device();
  std::vector<TensorSpec> specs;
  std::set<const void*> seen;
  const auto take = [&](NetworkTensor& item, TensorKind kind) {
    const torch::Tensor& tensor = item.tensor;
    if (!seen.insert(tensor.unsafeGetTensorImpl()).second) return;
    if (tensor.scalar_type() != torch::kFloat || tensor.layout() != torch::kStrided ||
        tensor.device() != device) {
      throw Error(ErrorCode::invalid_argument,
                  "tensor '" + item.name + "' is " + tensor.toString() +
                      "; needed are dense float32 tensors that are all on one device");
    }
    specs.push_back({item.name, tensor.sizes().vec(), kind, item.role});
    tensors_.push_back(std::move(item));
  };
  for (NetworkTensor& item : parameters) take(item, TensorKind::parameter);
  for (NetworkTensor& item : statistics) take(item, TensorKind::statistic);
  manifest_ = std::make_shared<const Manifest>(std::move(specs));

  const torch::NoGradGuard no_gradients;
  const auto options = torch::TensorOptions().dtype(torch::kFloat).device(device);
  values_ = torch::empty({static_cast<std::int64_t>(manifest_->dimension())}, options);
  gradients_ = torch::zeros_like(values_);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorSpec& spec = manifest_->tensors()[i];
    torch::Tensor view =
        values_
            .narrow(0, static_cast<std::int64_t>(spec.offset), static_cast<std::int64_t>(spec.size))
            .view(spec.shape);
    view.copy_(tensors_[i].tensor);
    tensors_[i].tensor.set_data(view);
  }
  set_required_gradients(std::vector<bool>(tensors_.size(), true));
}

void ParameterVector::load(std::span<const float> values) {
  require_size("parameter values", values.size(), manifest_->dimension());
  const torch::NoGradGuard no_gradients;
  if (values_.is_cpu()) {
    std::memcpy(values_.data_ptr<float>(), values.data(), values.size_bytes());
  } else {
    values_.copy_(torch::from_blob(const_cast<float*>(values.data()), values_.sizes()));
  }
}

std::vector<float> ParameterVector::copy() const {
  const torch::Tensor host = values_.cpu();
  const float* data = host.data_ptr<float>();
  return {data, data + host.numel()};
}

void ParameterVector::set_required_gradients(const std::vector<bool>& required) {
  require_size("flags of required gradients", required.size(), tensors_.size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorSpec& spec = manifest_->tensors()[i];
    torch::Tensor& tensor = tensors_[i].tensor;
    const bool wanted = required[i] && spec.kind == TensorKind::parameter;
    tensor.set_requires_grad(wanted);
    tensor.mutable_grad() = wanted ? gradient_view(i) : torch::Tensor();
  }
  zero_gradients();
}

torch::Tensor ParameterVector::gradient_view(std::size_t tensor) const {
  const TensorSpec& spec = manifest_->tensors()[tensor];
  return gradients_
      .narrow(0, static_cast<std::int64_t>(spec.offset), static_cast<std::int64_t>(spec.size))
      .view(spec.shape);
}

void ParameterVector::gather_gradients() {
  const torch::NoGradGuard no_gradients;
  const auto* values = values_.data_ptr<float>();
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorSpec& spec = manifest_->tensors()[i];
    torch::Tensor& tensor = tensors_[i].tensor;
    if (tensor.const_data_ptr() != values + spec.offset) {
      throw Error(ErrorCode::invalid_argument,
                  "tensor '" + spec.name +
                      "' is no view of its parameter vector any more; move and convert the network "
                      "before the vector is made");
    }
    if (!tensor.requires_grad()) continue;
    torch::Tensor& gradient = tensor.mutable_grad();
    torch::Tensor view = gradient_view(i);
    if (!gradient.defined()) {
      view.zero_();
    } else if (gradient.const_data_ptr() != view.const_data_ptr()) {
      view.copy_(gradient);
    } else {
      continue;
    }
    gradient = view;
  }
}

void ParameterVector::zero_gradients() {
  const torch::NoGradGuard no_gradients;
  gradients_.zero_();
}

}  // namespace ams
