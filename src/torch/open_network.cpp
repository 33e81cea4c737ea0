#include "ams/torch/open_network.hpp"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <vector>

#include "ams/core/error.hpp"
#include "ams/torch/fddwnet.hpp"
#include "file_kind.hpp"
#include "network_names.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

class PackagedNetwork final : public Network {
 public:
  explicit PackagedNetwork(const std::string& path) : loader_(path) {}

  torch::Tensor forward(const torch::Tensor& input) override {
    const std::vector<torch::Tensor> outputs = loader_.run({input.contiguous()});
    if (outputs.empty()) throw Error(ErrorCode::invalid_argument, "the package returns nothing");
    return outputs.front();
  }

  std::vector<NetworkTensor> parameters() const override { return {}; }
  std::vector<NetworkTensor> buffers() const override { return {}; }
  void train(bool) override {}
  void to(torch::Device) override {}

 private:
  torch::inductor::AOTIModelPackageLoader loader_;
};

}  // namespace

std::shared_ptr<Network> open_package(const std::string& path) {
  require_file(path);
  return translate_errors(ErrorCode::unavailable, path + " cannot be loaded", [&] {
    try {
      return std::make_shared<PackagedNetwork>(path);
    } catch (const std::exception&) {
      require_kind(path, FileKind::package);
      throw;
    }
  });
}

std::shared_ptr<Network> open_network(const std::string& network, int num_classes,
                                      const std::string& weights, std::uint64_t seed) {
  const bool script = is_torchscript_path(network);
  const bool package = is_package_path(network);
  if ((script || package) && !weights.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "weights are not for a TorchScript module or an AOTInductor package");
  }
  if (script) return open_torchscript(network);
  if (package) return open_package(network);
  if (num_classes < 1 || num_classes > 254) {
    throw Error(ErrorCode::invalid_argument,
                "num_classes is " + std::to_string(num_classes) + "; allowed are 1 to 254");
  }
  const std::shared_ptr<Network> opened =
      network == "fddwnet" ? make_fddwnet(num_classes) : make_named_network(network, num_classes);
  if (opened == nullptr) {
    require_no_other_network(network);
    throw Error(
        ErrorCode::invalid_argument,
        "there is no network '" + network +
            "'; allowed are fddwnet, edanet, deeplabv3_mobilenetv2, and the path of a TorchScript "
            "module (.pt) or of an AOTInductor package (.pt2)");
  }
  if (weights.empty()) {
    initialize_tensors(*opened, seed);
  } else {
    load_weights(*opened, weights);
  }
  return opened;
}

}  // namespace ams
