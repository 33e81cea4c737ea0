#include "ams/session/task.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/segmentation/frame_resize.hpp"
#include "ams/segmentation/segmentation_task.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "objects.hpp"
#include "overrides.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using Summary = std::vector<std::pair<std::string, std::optional<double>>>;

/// A score that is a Python object.
class PythonScore final : public TaskScore {
 public:
  explicit PythonScore(py::object object) : object_(std::move(object)) {}
  std::optional<double> add(const Handle& prediction, const Handle& label,
                            double capture_seconds) override {
    return call_method<std::optional<double>>(object_.get(), "add", prediction, label,
                                              capture_seconds);
  }
  Summary summary() const override { return call_method<Summary>(object_.get(), "summary"); }

 private:
  Reference object_;
};

/// What sample() makes by default, where its frame is a picture; else two None.
std::pair<py::object, py::object> pair_of(const py::object& sample) {
  const auto is_picture = [](const py::handle& frame) {
    if (!py::isinstance<py::array_t<std::uint8_t>>(frame)) return false;
    const auto pixels = py::reinterpret_borrow<py::array>(frame);
    return pixels.ndim() == 3 && pixels.shape(2) == 3;
  };
  if (!py::isinstance<py::tuple>(sample) || py::len(sample) != 2) return {py::none(), py::none()};
  const auto pair = py::reinterpret_borrow<py::tuple>(sample);
  if (!is_picture(pair[0])) return {py::none(), py::none()};
  return {pair[0], pair[1]};
}

/// A task that is a Python class.
class PythonTask final : public Task {
 public:
  std::string name() const override { return attribute<std::string>(base(), "name"); }
  Handle sample(const Handle& frame, const Handle& label) const override {
    return overridden<Handle>(
        base(), "sample", [&] { return to_handle(py::make_tuple(frame, label)); }, frame, label);
  }
  std::vector<std::byte> pack_label(const Handle& label) const override {
    const py::gil_scoped_acquire gil;
    const auto bytes = overridden<py::object>(
        base(), "pack_label", []() -> py::object { return py::bytes(); }, label);
    return ConstBytes(bytes, "pack_label()").copy();
  }
  Handle unpack_label(std::span<const std::byte> bytes) const override {
    const py::gil_scoped_acquire gil;
    return overridden<Handle>(
        base(), "unpack_label", []() -> Handle { throw_not_overridden("Task.unpack_label"); },
        to_bytes(bytes));
  }
  std::optional<double> phi(const Handle& previous, const Handle& current) const override {
    return overridden<std::optional<double>>(
        base(), "phi", [] { return std::nullopt; }, previous, current);
  }
  std::optional<double> difference(const Handle& previous, const Handle& current) const override {
    return overridden<std::optional<double>>(
        base(), "difference", [] { return std::nullopt; }, previous, current);
  }
  std::pair<Handle, Handle> frame_and_label(const Handle& sample) const override {
    const py::gil_scoped_acquire gil;
    const auto pair = overridden<std::pair<py::object, py::object>>(
        base(), "frame_and_label", [&] { return pair_of(to_object(sample)); }, sample);
    if (pair.first.is_none()) return {};
    return {Handle::make(call_python([&] { return pair.first.cast<Frame>(); })),
            to_handle(pair.second)};
  }
  std::size_t size_bytes(const Handle& sample) const override {
    return overridden<std::size_t>(
        base(), "size_bytes", [] { return std::size_t{0}; }, sample);
  }
  std::unique_ptr<TaskScore> score() const override {
    const py::gil_scoped_acquire gil;
    return std::make_unique<PythonScore>(overridden<py::object>(
        base(), "score", []() -> py::object { throw_not_overridden("Task.score"); }));
  }
  Frame draw(const Handle& frame, const Handle& label) const override {
    return overridden<Frame>(
        base(), "draw", [&] { return to_object(frame).cast<Frame>(); }, frame, label);
  }

 private:
  const Task* base() const { return this; }
};

/// Segmentation with samples at a student's input size.
class SizedTask final : public SegmentationTask {
 public:
  SizedTask(ClassSubset classes, std::vector<std::string> names, int width, int height)
      : SegmentationTask(std::move(classes), std::move(names)), width_(width), height_(height) {}

  Handle sample(const Handle& frame, const Handle& label) const override {
    return Handle::make(LabelledFrame{resize_area(frame.as<Frame>(), width_, height_),
                                      resize_nearest(label.as<LabelMap>(), width_, height_)});
  }

 private:
  int width_, height_;
};

void define_segmentation_task(py::module_& m) {
  py::class_<SizedTask, Task, std::shared_ptr<SizedTask>>(m, "SegmentationTask", R"(
Semantic segmentation as a Task of the library's own: labels and predictions are uint8 [H, W], class
ids, samples LabelledFrame. It runs without the GIL. See ams.SegmentationTask.)")
      .def(py::init([](const ClassesLike& classes, std::vector<std::string> class_names,
                       std::pair<int, int> input_size) {
             const auto [height, width] = input_size;
             for (const int side : {height, width}) {
               if (side < 32 || side > 4096) {
                 throw_invalid("input_size is (" + std::to_string(height) + ", " +
                               std::to_string(width) +
                               "); allowed are (height, width) of 32 to 4096 pixels each");
               }
             }
             return std::make_shared<SizedTask>(to_classes(classes, 255), std::move(class_names),
                                                width, height);
           }),
           "classes"_a, "class_names"_a, "input_size"_a, R"(
classes: how many, or their ids. class_names: of all ids, for colours; may be empty. input_size:
(height, width) of samples, pixels. Raises InvalidArgumentError.)")
      .def(
          "pack_label",
          [](const SizedTask& self, LabelMap label) {
            return to_bytes(self.pack_label(Handle::make(std::move(label))));
          },
          "label"_a, "A label map, uint8 [H, W], as bytes for a store.");
}

}  // namespace

void bind_task(py::module_& m) {
  py::class_<TaskScore, std::shared_ptr<TaskScore>>(m, "TaskScore",
                                                    "What Task.score() gives for a task of C++.")
      .def("add", &TaskScore::add, "prediction"_a, "label"_a, "capture_seconds"_a,
           "Takes the next frame; the score of the latest seconds, or None.")
      .def("summary", &TaskScore::summary, "(name, value) of each result so far.");
  py::class_<Task, PythonTask, std::shared_ptr<Task>>(m, "Task", R"(
What a sample is, how much two samples' labels differ, and how predictions are scored and shown.
Derive from it; every method but score() has a default. Frames come from the frame codec, labels
from the teacher, predictions from the predictor: any objects. The loss belongs to the trainer.

    class Regression(ams.Task):
        def phi(self, previous, current):
            return abs(current[1] - previous[1])
)")
      .def(py::init<>())
      .def_property_readonly(
          "name",
          [](const Task& self) {
            return dynamic_cast<const PythonTask*>(&self) ? "task" : self.name();
          },
          "For logs and reports, e.g. 'segmentation'.")
      .def("sample", &Task::sample, "frame"_a, "label"_a, R"(
The sample that the session keeps and the trainer reads. By default (frame, label).)")
      .def(
          "pack_label", [](const Task& self, const Handle& label) {
            return to_bytes(self.pack_label(label));
          },
          "label"_a, R"(
A label as bytes, for a store: with the frames as they came, samples outlive the server. By default
empty, and samples are not kept.)")
      .def(
          "unpack_label", [](const Task& self, const BytesLike& data) {
            return self.unpack_label(ConstBytes(data, "data").span());
          },
          "data"_a, "The label that pack_label() wrote. By default none are kept.")
      .def("phi", &Task::phi, "previous"_a, "current"_a, R"(
phi-score of two consecutive samples (section 3.2), finite: the task's loss with `current`'s label
as the prediction and `previous`'s as the truth. None where they cannot be compared; by default
always.)")
      .def("difference", &Task::difference, "previous"_a, "current"_a, R"(
Share of two predictions that differs, in [0, 1]: a device sees scene changes by it. None where they
cannot be compared; by default always, and no scene change is seen.)")
      .def("frame_and_label", &Task::frame_and_label, "sample"_a, R"(
The frame, uint8 [H, W, 3], and the label that a sample was made of, as draw() takes them; (None,
None) where they are not there. By default those of a sample of sample()'s; an operator of ams.serve
then sees pictures.)")
      .def("size_bytes", &Task::size_bytes, "sample"_a, R"(
What a sample counts against SessionOptions.max_buffer_bytes, always the same for one sample. By
default 0.)")
      .def(
          "score",
          [](const Task& self) {
            const std::shared_ptr<TaskScore> score = self.score();
            return score;
          },
          R"(
A new object that scores predictions. add(prediction, label, capture_seconds) takes the next frame
and gives the score of the latest seconds, in [0, 1], or None; summary() gives (name, value or None)
pairs, the main one first.)")
      .def("draw", &Task::draw, "frame"_a, "label"_a, R"(
The frame with a label or a prediction drawn over it: uint8 [H, W, 3]. By default the frame, which
then is such an array.)");
  define_segmentation_task(m);
}

}  // namespace ams::python
