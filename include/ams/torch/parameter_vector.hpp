#pragma once

#include <torch/torch.h>

#include <memory>
#include <span>
#include <vector>

#include "ams/core/manifest.hpp"
#include "ams/torch/network.hpp"

namespace ams {

/// A network's trainable tensors as one flat float32 vector: its parameters become views of
/// values(), and the gradients that backward() leaves are views of gradients(). On the device where
/// they were. Keep it as long as the network is trained; the network keeps its last values
/// afterwards. Not thread-safe. Move-only: two vectors over the same network would not see each
/// other.
class ParameterVector {
 public:
  /// Throws Error(invalid_argument) when there is no parameter, or one is not float32, not dense or
  /// on another device. A tensor that occurs under two names is taken once, under the first.
  /// `statistics`: batch-norm statistics, laid out after all parameters so that these keep their
  /// places.
  explicit ParameterVector(std::vector<NetworkTensor> parameters,
                           std::vector<NetworkTensor> statistics = {});

  /// The parameters of `network` that require a gradient, and its batch-norm statistics if asked
  /// for.
  explicit ParameterVector(const Network& network, bool with_statistics = false);

  ParameterVector(const ParameterVector&) = delete;
  ParameterVector& operator=(const ParameterVector&) = delete;
  ParameterVector(ParameterVector&&) = default;
  ParameterVector& operator=(ParameterVector&&) = default;
  ~ParameterVector() = default;

  const std::shared_ptr<const Manifest>& manifest() const noexcept { return manifest_; }
  const std::vector<NetworkTensor>& tensors() const noexcept { return tensors_; }  ///< its order
  const torch::Tensor& values() const noexcept { return values_; }                 ///< [dimension]
  const torch::Tensor& gradients() const noexcept { return gradients_; }           ///< [dimension]

  /// Copies to and from the host; sizes as manifest()->dimension(), else Error(invalid_argument).
  void load(std::span<const float> values);
  std::vector<float> copy() const;

  /// One flag a tensor of the manifest: backward() computes no gradient for the others, whose part
  /// of gradients() becomes and stays zero. Statistics never have one. Throws
  /// Error(invalid_argument) on a wrong number of flags.
  void set_required_gradients(const std::vector<bool>& required);

  void zero_gradients();

  /// For gradients that others may have touched since, e.g. a framework that drops them between
  /// steps: a tensor's gradient in memory of its own is copied to its place in gradients() and made
  /// a view again, and one that is gone counts as zeros. Throws Error(invalid_argument) when a
  /// tensor is no view of values() any more (the network was moved to another device, for
  /// instance).
  void gather_gradients();

 private:
  torch::Tensor gradient_view(std::size_t tensor) const;

  std::vector<NetworkTensor> tensors_;  // in the manifest's order
  std::shared_ptr<const Manifest> manifest_;
  torch::Tensor values_;
  torch::Tensor gradients_;
};

/// The tensors of a module that is not wrapped as a Network.
std::vector<NetworkTensor> trainable_parameters(const torch::nn::Module& module);
std::vector<NetworkTensor> trainable_parameters(const torch::jit::Module& module);
std::vector<NetworkTensor> batch_norm_statistics(const torch::nn::Module& module);
std::vector<NetworkTensor> batch_norm_statistics(const torch::jit::Module& module);

}  // namespace ams
