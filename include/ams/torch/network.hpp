#pragma once

#include <torch/script.h>
#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/manifest.hpp"
#include "ams/torch/safetensors.hpp"

namespace ams {

/// A tensor of a network with its name. Copies share the network's own tensor.
struct NetworkTensor {
  std::string name;
  torch::Tensor tensor;
  TensorRole role = TensorRole::weight;
};

/// A network that gives logits, whatever framework object it is made of. Not thread-safe.
class Network {
 public:
  virtual ~Network() = default;

  /// float32 [N, 3, H, W] to logits [N, classes, h, w]; h and w may be smaller than H and W, and
  /// whoever needs the full size calls resize_logits(). May throw c10::Error.
  virtual torch::Tensor forward(const torch::Tensor& input) = 0;

  /// How the corner pixels of coarse logits lie over the input (as in torch's interpolate).
  virtual bool align_corners() const { return false; }

  /// In registration order, which is the forward order of the networks of this library. With their
  /// roles: normalization for those of batch, group, layer and instance norm, by the type of the
  /// module (of a TorchScript module by its name); head for those of the last module with
  /// parameters that require a gradient and is no normalisation.
  virtual std::vector<NetworkTensor> parameters() const = 0;
  virtual std::vector<NetworkTensor> buffers() const = 0;

  /// Batch norm: statistics of the batch (true) or the moving ones (false).
  virtual void train(bool on) = 0;

  /// The values are final until the next call: forward() without gradients may use what it derives
  /// from them now. Never called on a network that is trained.
  virtual void prepare_inference() {}

  virtual void to(torch::Device device) = 0;
};

/// A layer that derives something from its values for Network::prepare_inference().
class PreparesInference {
 public:
  virtual ~PreparesInference() = default;
  virtual void prepare_inference() = 0;
};

/// Any module of libtorch's C++ API; `forward` maps [N, 3, H, W] to logits.
std::shared_ptr<Network> wrap_module(std::shared_ptr<torch::nn::Module> module,
                                     std::function<torch::Tensor(const torch::Tensor&)> forward,
                                     bool align_corners = false);

/// Any module of libtorch's C++ API that has `torch::Tensor forward(torch::Tensor)`.
template <class Module>
std::shared_ptr<Network> wrap_module(std::shared_ptr<Module> module, bool align_corners = false) {
  return wrap_module(
      std::static_pointer_cast<torch::nn::Module>(module),
      [m = module.get()](const torch::Tensor& x) { return m->forward(x); }, align_corners);
}

/// A TorchScript module. Its output is a tensor, a tuple or list whose first element is one, or a
/// dictionary with one under "out" (as torchvision's segmentation models) or "logits".
std::shared_ptr<Network> wrap_torchscript(torch::jit::Module module);

/// Opens a TorchScript file. It contains a program: open only what you trust.
/// Throws Error(io_error), and Error(malformed_data) that says what else the file is.
std::shared_ptr<Network> open_torchscript(const std::string& path);

/// The channels of these classes, in this order (empty: all, as they are). Cheapest before
/// resizing, which works on each channel alone.
torch::Tensor select_classes(const torch::Tensor& logits, const std::vector<int>& classes);

/// Logits [N, C, h, w] at height x width, bilinear. Returns them as they are when the size is
/// right.
torch::Tensor resize_logits(const torch::Tensor& logits, std::int64_t height, std::int64_t width,
                            bool align_corners);

/// Copies every parameter and buffer from `content`; "num_batches_tracked" counters are ignored on
/// both sides, and so is what wrappers add to the names of a file ("module.", "_orig_mod."). Throws
/// Error(manifest_mismatch) that names missing and unexpected tensors and shapes that differ,
/// Error(malformed_data) for a value that is not finite; the network is then unchanged.
void load_tensors(Network& network, const Safetensors& content);

/// All parameters and buffers but the counters, stored as f32 or f16; a tensor with a value beyond
/// the range of f16 as f32, and whole numbers as they are.
Safetensors store_tensors(const Network& network, TensorType type);

/// Values of an untrained network, the same on every machine: He-uniform convolutions, batch norm 1
/// and 0.
void initialize_tensors(Network& network, std::uint64_t seed);

/// Digest over names, shapes and values; order matters.
std::uint64_t tensors_digest(const std::vector<NetworkTensor>& tensors);

/// Whether this buffer is a batch-norm moving mean or variance.
bool is_batch_norm_statistic(const NetworkTensor& buffer);

}  // namespace ams
