#include "adapt_network.hpp"

#include <sstream>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

/// Another network, changed in forward().
class AdaptedNetwork : public Network {
 public:
  explicit AdaptedNetwork(std::shared_ptr<Network> inner) : inner_(std::move(inner)) {}

  bool align_corners() const override { return inner_->align_corners(); }
  std::vector<NetworkTensor> parameters() const override { return inner_->parameters(); }
  std::vector<NetworkTensor> buffers() const override { return inner_->buffers(); }
  void train(bool on) override { inner_->train(on); }
  void prepare_inference() override { inner_->prepare_inference(); }
  void to(torch::Device device) override { inner_->to(device); }

 protected:
  Network& inner() const { return *inner_; }

 private:
  std::shared_ptr<Network> inner_;
};

class ContiguousInput final : public AdaptedNetwork {
 public:
  using AdaptedNetwork::AdaptedNetwork;
  torch::Tensor forward(const torch::Tensor& input) override {
    return inner().forward(input.contiguous());
  }
};

class BinaryLogits final : public AdaptedNetwork {
 public:
  using AdaptedNetwork::AdaptedNetwork;
  torch::Tensor forward(const torch::Tensor& input) override {
    const torch::Tensor logit = inner().forward(input);
    return torch::cat({torch::zeros_like(logit), logit}, 1);
  }
};

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

/// The same on every machine, and not blank: a network may divide by its input's deviation.
torch::Tensor pictures(const NetworkUse& use, std::int64_t count) {
  const std::vector<std::int64_t> shape{count, 3, use.height, use.width};
  return torch::arange(c10::multiply_integers(shape), torch::kFloat)
      .mul_(0.1)
      .sin_()
      .mul_(2)
      .view(shape)
      .to(use.device);
}

torch::Tensor run(std::shared_ptr<Network>& network, const NetworkUse& use,
                  const torch::Tensor& input) {
  if (use.device.is_cpu()) {
    try {
      return network->forward(input.contiguous(torch::MemoryFormat::ChannelsLast));
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
      network = std::make_shared<ContiguousInput>(std::move(network));
    }
  }
  std::string what = "the network '" + use.name + "' fails on ";
  if (input.size(0) > 1)
    what += "a mini-batch of " + std::to_string(input.size(0)) + " pictures of ";
  else
    what += "an input of ";
  what += std::to_string(use.width) + " x " + std::to_string(use.height);
  return translate_errors(ErrorCode::invalid_argument, what,
                          [&] { return network->forward(input); });
}

void check(const torch::Tensor& output, const NetworkUse& use, const torch::Tensor& input) {
  const bool binary = use.num_classes == 2 && output.dim() == 4 && output.size(1) == 1;
  if (output.dim() != 4 || output.size(0) != input.size(0) ||
      (output.size(1) != use.num_classes && !binary) || output.size(2) < 1 || output.size(3) < 1 ||
      output.size(2) > use.height || output.size(3) > use.width ||
      output.scalar_type() != torch::kFloat) {
    std::ostringstream message;
    message << "the network '" << use.name << "' maps " << input.sizes() << " to "
            << output.scalar_type() << " " << output.sizes() << "; needed are float logits ["
            << input.size(0) << ", " << use.num_classes << ", " << use.height << ", " << use.width
            << "] or coarser ones ("
            << (output.dim() == 4 && output.size(1) == 1 ? "one output channel is for 2 classes"
                                                         : "is num_classes right?")
            << ")";
    refuse(message.str());
  }
  if (output.isnan().any().item<bool>()) {
    refuse("the network '" + use.name + "' gives NaN for a picture; are its values whole?");
  }
}

/// Whether the outputs end at 0 and 1, and reach one of them when inputs are large.
bool gives_probabilities(Network& network, const torch::Tensor& input) {
  const torch::Tensor output = network.forward(input * 1e4);
  const auto least = output.min().item<float>(), most = output.max().item<float>();
  return least >= 0 && most <= 1 && least < most && (least == 0 || most == 1);
}

}  // namespace

std::shared_ptr<Network> adapt_network(std::shared_ptr<Network> network, const NetworkUse& use) {
  const torch::NoGradGuard no_gradients;
  torch::Tensor input, output;
  for (std::int64_t count = use.most_pictures; count >= use.least_pictures; --count) {
    input = pictures(use, count);
    output = run(network, use, input);
    check(output, use, input);
  }
  if (output.size(1) == use.num_classes) return network;
  if (gives_probabilities(*network, input)) {
    refuse("the network '" + use.name +
           "' gives probabilities in its one output channel; needed is the logit of class 1: leave "
           "out the sigmoid at the end of the network");
  }
  return std::make_shared<BinaryLogits>(std::move(network));
}

}  // namespace ams
