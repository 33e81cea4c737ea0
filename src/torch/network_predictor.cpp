#include "ams/torch/network_predictor.hpp"

#include <utility>

#include "ams/core/error.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/student.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

class NetworkPredictor final : public Predictor {
 public:
  explicit NetworkPredictor(Student student)
      : student_(std::move(student)),
        vector_(*student_.network, student_.spec.train_batch_norm_statistics) {
    student_.network->train(false);
    student_.network->prepare_inference();
  }

  const std::shared_ptr<const Manifest>& manifest() const override { return vector_.manifest(); }

  void load(std::span<const float> values) override {
    vector_.load(values);
    student_.network->prepare_inference();
  }

  LabelMap predict(const Frame& frame) override {
    const StudentSpec& spec = student_.spec;
    const c10::InferenceMode inference;
    return translate_errors(ErrorCode::invalid_argument, "the frame cannot be predicted", [&] {
      const torch::Tensor input = normalized_batch(
          {scaled_rgb(frame, spec.input_width, spec.input_height)}, spec.normalization);
      return argmax_labels(student_.forward(input), spec.selected_classes);
    });
  }

 private:
  Student student_;
  ParameterVector vector_;
};

}  // namespace

std::unique_ptr<Predictor> make_predictor(Student student) {
  check_student(student);
  return std::make_unique<NetworkPredictor>(std::move(student));
}

std::unique_ptr<Predictor> make_predictor(const StudentSpec& spec) {
  return std::make_unique<NetworkPredictor>(open_student(spec));
}

}  // namespace ams
