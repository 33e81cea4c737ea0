#include "ams/session/task.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
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
}

}  // namespace ams::python
