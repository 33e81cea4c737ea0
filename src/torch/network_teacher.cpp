#include "ams/torch/network_teacher.hpp"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <utility>

#include "ams/core/error.hpp"
#include "ams/torch/fddwnet.hpp"
#include "ams/torch/image.hpp"
#include "network_names.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

/// A model compiled by AOTInductor (torch.export): inference only.
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

std::shared_ptr<Network> open_network(const NetworkTeacherSpec& spec) {
  const bool script = is_torchscript_path(spec.network);
  const bool package = is_package_path(spec.network);
  if ((script || package) != spec.weights.empty()) {
    throw Error(ErrorCode::invalid_argument,
                script || package
                    ? "weights are not for a TorchScript module or an AOTInductor package"
                    : "the teacher '" + spec.network + "' needs a weights file");
  }
  if (script) return open_torchscript(spec.network);
  if (package) {
    require_file(spec.network);
    return translate_errors(ErrorCode::unavailable, spec.network + " cannot be loaded",
                            [&] { return std::make_shared<PackagedNetwork>(spec.network); });
  }
  std::shared_ptr<Network> network = spec.network == "fddwnet"
                                         ? make_fddwnet(spec.num_classes)
                                         : make_named_network(spec.network, spec.num_classes);
  if (network == nullptr) {
    throw Error(
        ErrorCode::invalid_argument,
        "there is no teacher '" + spec.network +
            "'; allowed are fddwnet, edanet, deeplabv3_mobilenetv2, and the path of a TorchScript "
            "module (.pt) or of an AOTInductor package (.pt2)");
  }
  load_weights(*network, spec.weights);
  return network;
}

class NetworkTeacher final : public Teacher {
 public:
  explicit NetworkTeacher(const NetworkTeacherSpec& spec)
      : spec_(spec), network_(open_network(spec)), device_(open_device(spec.device)) {
    network_->to(device_);
    network_->train(false);
    network_->prepare_inference();
    check_network_output(*network_, spec.network, spec.num_classes, spec.input_width,
                         spec.input_height, device_);
  }

  LabelMap label(const Frame& frame) override {
    at::init_num_threads();  // this thread may be new, see set_compute_threads()
    const c10::InferenceMode inference;
    return translate_errors(
        ErrorCode::invalid_argument, "the teacher cannot label this frame", [&] {
          const torch::Tensor input = normalized_batch(
              {scaled_rgb(frame, spec_.input_width, spec_.input_height)}, spec_.normalization);
          return argmax_labels(
              select_classes(network_->forward(input.to(device_)), spec_.selected_classes),
              spec_.selected_classes);
        });
  }

 private:
  NetworkTeacherSpec spec_;
  std::shared_ptr<Network> network_;
  torch::Device device_;
};

}  // namespace

std::unique_ptr<Teacher> make_network_teacher(const NetworkTeacherSpec& spec) {
  validate_input(spec.num_classes, spec.input_width, spec.input_height, spec.normalization);
  validate_classes(spec.selected_classes, spec.num_classes);
  return std::make_unique<NetworkTeacher>(spec);
}

}  // namespace ams
