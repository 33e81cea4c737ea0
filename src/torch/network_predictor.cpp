#include "ams/torch/network_predictor.hpp"

#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/student.hpp"
#include "autocast.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

class NetworkPredictor final : public Predictor {
 public:
  NetworkPredictor(Student student, const PredictorOptions& options)
      : student_(std::move(student)),
        options_(options),
        vector_(*student_.network, student_.spec.train_batch_norm_statistics) {
    student_.network->train(false);
    student_.network->prepare_inference();
  }

  const std::shared_ptr<const Manifest>& manifest() const override { return vector_.manifest(); }

  void load(std::span<const float> values) override {
    vector_.load(values);
    student_.network->prepare_inference();
  }

  Handle predict(const Handle& frame) override {
    return Handle::make(label_map(frame.as<Frame>()));
  }

 private:
  LabelMap label_map(const Frame& frame) {
    const StudentSpec& spec = student_.spec;
    at::init_num_threads();  // this thread may be new, see set_compute_threads()
    const c10::InferenceMode inference;
    return translate_errors(ErrorCode::invalid_argument, "the frame cannot be predicted", [&] {
      const torch::Tensor input = normalized_batch(
          {scaled_rgb(frame, spec.input_width, spec.input_height)}, spec.normalization);
      const Autocast autocast(options_.bfloat16);
      const torch::Tensor logits =
          select_classes(student_.network->forward(input), spec.selected_classes).to(torch::kFloat);
      return argmax_labels(resize_logits(logits, spec.input_height, spec.input_width,
                                         student_.network->align_corners()),
                           spec.selected_classes);
    });
  }

  Student student_;
  PredictorOptions options_;
  ParameterVector vector_;
};

}  // namespace

std::unique_ptr<Predictor> make_predictor(Student student, const PredictorOptions& options) {
  check_student(student);
  return std::make_unique<NetworkPredictor>(std::move(student), options);
}

std::unique_ptr<Predictor> make_predictor(const StudentSpec& spec,
                                          const PredictorOptions& options) {
  return std::make_unique<NetworkPredictor>(open_student(spec), options);
}

}  // namespace ams
