#include "ams/torch/network_teacher.hpp"

#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/open_device.hpp"
#include "ams/torch/open_network.hpp"
#include "adapt_network.hpp"
#include "network_names.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

std::shared_ptr<Network> open_teacher(const NetworkTeacherSpec& spec) {
  const bool named = !is_torchscript_path(spec.network) && !is_package_path(spec.network);
  if (named && spec.weights.empty()) {
    require_no_other_network(spec.network);
    throw Error(ErrorCode::invalid_argument, "the teacher '" + spec.network +
                                                 "' needs a weights file (only a .pt or .pt2 file "
                                                 "brings its own)");
  }
  return open_network(spec.network, spec.num_classes, spec.weights);
}

class NetworkTeacher final : public Teacher {
 public:
  explicit NetworkTeacher(const NetworkTeacherSpec& spec)
      : spec_(spec), network_(open_teacher(spec)), device_(open_device(spec.device)) {
    network_->to(device_);
    network_->train(false);
    network_->prepare_inference();
    NetworkUse use{spec.network, spec.num_classes, spec.input_width, spec.input_height};
    use.device = device_;
    network_ = adapt_network(std::move(network_), use);
  }

  Handle label(const Handle& frame, double) override {
    return Handle::make(label_map(frame.as<Frame>()));
  }

 private:
  LabelMap label_map(const Frame& frame) {
    at::init_num_threads();  // this thread may be new, see set_compute_threads()
    const c10::InferenceMode inference;
    return translate_errors(
        ErrorCode::invalid_argument, "the teacher cannot label this frame", [&] {
          const torch::Tensor input = normalized_batch(
              {scaled_rgb(frame, spec_.input_width, spec_.input_height)}, spec_.normalization);
          // Depth-wise convolutions take three times as long in channels-last memory on a GPU.
          const torch::Tensor there = device_.is_cpu() ? input : input.to(device_).contiguous();
          return argmax_labels(select_classes(network_->forward(there), spec_.selected_classes),
                               spec_.selected_classes);
        });
  }

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
