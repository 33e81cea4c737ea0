#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ams/torch/network_trainer.hpp"
#include "ams/torch/segmentation_task.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/torch/student.hpp"
#include "arrays.hpp"
#include "objects.hpp"
#include "torch/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// A read-only view of bytes that belong to `owner`.
py::array byte_view(const std::vector<std::uint8_t>& bytes, std::vector<py::ssize_t> shape,
                    const py::object& owner) {
  py::array view = py::array_t<std::uint8_t>(std::move(shape), bytes.data(), owner);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

/// As make_segmentation_trainer(), and Ctrl-C between two steps ends train().
class SegmentationTrainer {
 public:
  SegmentationTrainer(const StudentSpec& spec, const SegmentationTrainerOptions& options)
      : trainer_(make(spec, options)) {}

  const std::shared_ptr<const Manifest>& manifest() const { return trainer_.manifest(); }

  TrainingResult train(TrainingJob job) {
    const auto open = [](std::vector<Handle>& samples) {
      for (Handle& sample : samples) {
        sample = to_labelled_frame(to_object(sample), "a sample of the training job");
      }
    };
    for (auto& mini_batch : job.mini_batches) open(mini_batch);
    if (job.trial) open(job.trial->samples);
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    return trainer_.train(std::move(job));
  }

 private:
  static NetworkTrainer make(const StudentSpec& spec, const SegmentationTrainerOptions& options) {
    Student student = open_student(spec);
    auto task = segmentation_task(spec, options.ignore_id, student.network->align_corners(),
                                  options.class_balance);
    task.collate = [collate = std::move(task.collate)](const auto& samples) {
      check_signals();
      return collate(samples);
    };
    return {std::move(student.network), std::move(task),
            NetworkTrainerOptions{spec.train_batch_norm_statistics, options.bfloat16,
                                  options.device, options.cache_bytes}};
  }

  NetworkTrainer trainer_;
  std::mutex mutex_;
};

}  // namespace

void bind_trainer(py::module_& m) {
  py::class_<LabelledFrame, std::shared_ptr<LabelledFrame>>(
      m, "LabelledFrame",
      R"(A frame with its teacher's labels; immutable, so any thread may read it.

frame: uint8 [height, width, 3], RGB. labels: uint8 [h, w], class ids; may differ in size. Both are
copied.)")
      .def(py::init([](Frame frame, LabelMap labels, double capture_seconds) {
             frame.capture_seconds = capture_seconds;
             return std::make_shared<LabelledFrame>(std::move(frame), std::move(labels));
           }),
           "frame"_a, "labels"_a, py::kw_only(), "capture_seconds"_a = 0.0)
      .def_property_readonly(
          "frame",
          [](const py::object& self) {
            const Frame& frame = self.cast<const LabelledFrame&>().frame;
            return byte_view(frame.rgb, {frame.height, frame.width, 3}, self);
          },
          "A read-only view.")
      .def_property_readonly(
          "labels",
          [](const py::object& self) {
            const LabelMap& labels = self.cast<const LabelledFrame&>().labels;
            return byte_view(labels.ids, {labels.height, labels.width}, self);
          },
          "A read-only view.")
      .def_property_readonly("capture_seconds",
                             [](const LabelledFrame& s) { return s.frame.capture_seconds; })
      .def_property_readonly(
          "nbytes", [](const LabelledFrame& s) { return s.frame.rgb.size() + s.labels.ids.size(); },
          "For the byte limits of buffers.");

  m.def(
      "training_sample",
      [](const StudentSpec& spec, Frame frame, const LabelMap& labels, double capture_seconds) {
        frame.capture_seconds = capture_seconds;
        return std::const_pointer_cast<LabelledFrame>(training_sample(spec, frame, labels));
      },
      "spec"_a, "frame"_a, "labels"_a, py::kw_only(), "capture_seconds"_a = 0.0,
      py::call_guard<py::gil_scoped_release>(),
      R"(The LabelledFrame that a session should keep for a SegmentationTrainer of `spec`.

frame: uint8 [height, width, 3], RGB. labels: uint8 [h, w]. Both are scaled to the student's input
size: training gives the very same result from less memory.)");

  py::class_<SegmentationTrainer>(
      m, "SegmentationTrainer",
      R"(Trains segmentation students (Algorithm 2); samples are LabelledFrame objects.

Frames are scaled to the student's input size (area average), labels by nearest neighbour; softmax
cross-entropy over the selected classes, averaged over the pixels that have one and are not
`ignore_id`. A mini-batch without such a pixel makes no step and counts as loss 0. Batch norm is
frozen unless spec.train_batch_norm_statistics. Only the gradients that a job requires are computed.
bfloat16: matrix products and convolutions, on hardware that has it. device: "cpu", "cuda", ...
cache_bytes: scaled samples are kept up to this size. class_balance: a pixel weighs its class's
frequency in the mini-batch to the power of minus this, in [0, 1]; 0: all alike, as in the paper.
Raises as load_student_values(), and UnavailableError for a device that is not there.)")
      .def(py::init([](const StudentSpec& spec, bool bfloat16, const py::object& device,
                       int ignore_id, std::size_t cache_bytes, double class_balance) {
             SegmentationTrainerOptions options;
             options.ignore_id = ignore_id;
             options.class_balance = class_balance;
             options.bfloat16 = bfloat16;
             options.device = to_text(device);
             options.cache_bytes = cache_bytes;
             const py::gil_scoped_release release;
             return std::make_unique<SegmentationTrainer>(spec, options);
           }),
           "spec"_a, py::kw_only(), "bfloat16"_a = false, "device"_a = "cpu",
           "ignore_id"_a = int{LabelMap::default_ignore_id},
           "cache_bytes"_a = SegmentationTrainerOptions{}.cache_bytes,
           "class_balance"_a = SegmentationTrainerOptions{}.class_balance)
      .def_property_readonly("manifest",
                             [](const SegmentationTrainer& t) {
                               return std::const_pointer_cast<Manifest>(t.manifest());
                             })
      .def("train", &SegmentationTrainer::train, "job"_a,
           R"(Runs one training phase, and gives its ams.TrainingResult.

The GIL is released; calls from several threads wait for each other. Ctrl-C ends it between two
steps; the trainer remains usable. Raises ManifestMismatchError for another network's job and
InvalidArgumentError for samples, sizes or losses that cannot be.)");
}

}  // namespace ams::python
