#include "ams/torch/segmentation_task.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/segmentation/label_resize.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/network.hpp"
#include "ams/torch/open_device.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/torch/student.hpp"

namespace ams {
namespace {

constexpr std::int64_t ignored = -100;

/// Samples at a student's input size.
class StudentTask final : public SegmentationTask {
 public:
  StudentTask(const StudentSpec& spec, std::vector<std::string> names)
      : SegmentationTask(classes_of(spec), std::move(names)), spec_(spec) {}

  Handle sample(const Handle& frame, const Handle& label) const override {
    return training_sample(spec_, frame.as<Frame>(), label.as<LabelMap>());
  }

 private:
  static ClassSubset classes_of(const StudentSpec& spec) {
    if (spec.selected_classes.empty()) {
      return ClassSubset::first(static_cast<std::size_t>(spec.num_classes));
    }
    return ClassSubset({spec.selected_classes.begin(), spec.selected_classes.end()});
  }

  StudentSpec spec_;
};

/// Label ids to the place of their class in the selection.
std::array<std::int64_t, 256> target_table(const StudentSpec& spec, int ignore_id) {
  std::array<std::int64_t, 256> table{};
  table.fill(ignored);
  if (spec.selected_classes.empty()) {
    for (int id = 0; id < spec.num_classes; ++id) table[static_cast<std::size_t>(id)] = id;
  } else {
    std::int64_t place = 0;
    for (const int id : spec.selected_classes) table[static_cast<std::size_t>(id)] = place++;
  }
  if (ignore_id >= 0 && ignore_id < 256) table[static_cast<std::size_t>(ignore_id)] = ignored;
  return table;
}

/// Of the classes, by how many of the `valid` pixels each has; 0 where it has none.
torch::Tensor class_weights(const torch::Tensor& targets, std::int64_t classes, std::int64_t valid,
                            double class_balance) {
  constexpr double most = 10;  // times the weight of the commonest class
  const torch::Tensor counts =
      torch::bincount(targets.masked_select(targets != ignored), {}, classes).to(torch::kFloat);
  const torch::Tensor weights =
      (counts.clamp_min(1) / static_cast<double>(valid)).pow(-class_balance);
  const double least =
      std::pow(counts.max().item<double>() / static_cast<double>(valid), -class_balance);
  return weights.clamp_max(most * least).mul((counts > 0).to(torch::kFloat));
}

}  // namespace

torch::Tensor segmentation_loss(const torch::Tensor& logits, const torch::Tensor& targets,
                                const std::vector<int>& selected, bool align_corners,
                                double class_balance) {
  const std::int64_t valid = (targets != ignored).sum().item<std::int64_t>();
  if (valid == 0) return {};
  const torch::Tensor chosen = resize_logits(select_classes(logits, selected).to(torch::kFloat),
                                             targets.size(1), targets.size(2), align_corners);
  c10::optional<torch::Tensor> weights;
  if (class_balance > 0) weights = class_weights(targets, chosen.size(1), valid, class_balance);
  return torch::cross_entropy_loss(chosen, targets, weights, at::Reduction::Mean, ignored);
}

std::optional<double> segmentation_score(const torch::Tensor& logits, const torch::Tensor& targets,
                                         const std::vector<int>& selected, bool align_corners) {
  const torch::Tensor chosen = resize_logits(select_classes(logits, selected).to(torch::kFloat),
                                             targets.size(1), targets.size(2), align_corners);
  const std::int64_t classes = chosen.size(1);
  const torch::Tensor counts = targets != ignored;
  const torch::Tensor truth = targets.masked_select(counts);
  const torch::Tensor predicted = chosen.argmax(1).masked_select(counts);
  const torch::Tensor confusion =
      torch::bincount(truth * classes + predicted, {}, classes * classes)
          .reshape({classes, classes});
  const torch::Tensor hits = confusion.diag().to(torch::kDouble);
  const torch::Tensor labelled = confusion.sum(1);
  const torch::Tensor unions = (labelled + confusion.sum(0)).to(torch::kDouble) - hits;
  const torch::Tensor occurs = labelled > 0;
  if (!occurs.any().item<bool>()) return std::nullopt;
  return (hits / unions).masked_select(occurs).mean().item<double>();
}

LabelledFramePtr training_sample(const StudentSpec& spec, const Frame& frame,
                                 const LabelMap& labels) {
  const torch::Tensor rgb = scaled_rgb(frame, spec.input_width, spec.input_height);
  LabelledFrame sample;
  sample.labels = resize_nearest(labels, spec.input_width, spec.input_height);
  sample.frame.width = spec.input_width;
  sample.frame.height = spec.input_height;
  sample.frame.capture_seconds = frame.capture_seconds;
  const auto* bytes = rgb.data_ptr<std::uint8_t>();
  sample.frame.rgb.assign(bytes, bytes + rgb.numel());
  return std::make_shared<const LabelledFrame>(std::move(sample));
}

std::shared_ptr<const SegmentationTask> make_segmentation_task(const StudentSpec& spec,
                                                               std::vector<std::string> names) {
  validate(spec);
  return std::make_shared<const StudentTask>(spec, std::move(names));
}

TrainingTask segmentation_task(const StudentSpec& spec, int ignore_id, bool align_corners,
                               double class_balance) {
  if (!(class_balance >= 0 && class_balance <= 1)) {
    throw Error(ErrorCode::invalid_argument,
                "class_balance is " + std::to_string(class_balance) + "; allowed is 0 to 1");
  }
  TrainingTask task;
  task.prepare = [spec](const Handle& handle) {
    const auto& sample = handle.as<LabelledFrame>();
    return PreparedSample{scaled_rgb(sample.frame, spec.input_width, spec.input_height),
                          scaled_labels(sample.labels, spec.input_width, spec.input_height)};
  };
  task.collate = [normalization = spec.normalization, table = target_table(spec, ignore_id)](
                     const std::vector<PreparedSample>& samples) {
    std::vector<torch::Tensor> images;
    for (const PreparedSample& sample : samples) images.push_back(sample.input);
    const torch::Tensor& first = samples.front().target;
    torch::Tensor targets = torch::empty(
        {static_cast<std::int64_t>(samples.size()), first.size(0), first.size(1)}, torch::kLong);
    auto* out = targets.data_ptr<std::int64_t>();
    for (const PreparedSample& sample : samples) {
      const auto* ids = sample.target.data_ptr<std::uint8_t>();
      for (std::int64_t i = 0; i < sample.target.numel(); ++i) *out++ = table[ids[i]];
    }
    return TrainingBatch{normalized_batch(images, normalization), targets};
  };
  task.loss = [selected = spec.selected_classes, align_corners, class_balance](
                  const torch::Tensor& outputs, const TrainingBatch& batch) {
    return segmentation_loss(outputs, batch.targets, selected, align_corners, class_balance);
  };
  task.score = [selected = spec.selected_classes, align_corners](const torch::Tensor& outputs,
                                                                 const TrainingBatch& batch) {
    return segmentation_score(outputs, batch.targets, selected, align_corners);
  };
  return task;
}

std::unique_ptr<Trainer> make_segmentation_trainer(Student student,
                                                   const SegmentationTrainerOptions& options) {
  check_student(student, open_device(options.device));
  auto task = segmentation_task(student.spec, options.ignore_id, student.network->align_corners(),
                                options.class_balance);
  return std::make_unique<NetworkTrainer>(
      std::move(student.network), std::move(task),
      NetworkTrainerOptions{student.spec.train_batch_norm_statistics, options.bfloat16,
                            options.device, options.cache_bytes});
}

std::unique_ptr<Trainer> make_segmentation_trainer(const StudentSpec& spec,
                                                   const SegmentationTrainerOptions& options) {
  return make_segmentation_trainer(open_student(spec), options);
}

}  // namespace ams
