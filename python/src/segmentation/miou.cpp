#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ams/segmentation/miou.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "errors.hpp"
#include "fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_miou(py::module_& m) {
  py::class_<ConfusionMatrix>(m, "ConfusionMatrix", R"(
Pixel counts by true and by predicted class, and the intersection over union that follows, in [0,
1]. A pixel counts when its true class is one of the classes; a prediction outside them is a miss of
the true class. Not thread-safe.)")
      .def(py::init([](const ClassesLike& classes, int ignore_id) {
             return ConfusionMatrix(to_classes(classes, ignore_id));
           }),
           "classes"_a, py::kw_only(), "ignore_id"_a = 255,
           "classes: a number of classes, or their ids.")
      .def("add", &ConfusionMatrix::add, "prediction"_a, "truth"_a, R"(
Counts a frame's pixels: uint8 [H, W] each. Raises InvalidArgumentError unless the shapes are
equal.)")
      .def(
          "__iadd__",
          [](ConfusionMatrix& self, const ConfusionMatrix& other) { return self += other; },
          py::is_operator())
      .def(
          "__isub__",
          [](ConfusionMatrix& self, const ConfusionMatrix& other) { return self -= other; },
          py::is_operator())
      .def(
          "__eq__", [](const ConfusionMatrix& a, const ConfusionMatrix& b) { return a == b; },
          py::is_operator())
      .def("clear", &ConfusionMatrix::clear, "Forgets all counts.")
      .def_property_readonly(
          "classes", [](const ConfusionMatrix& self) { return to_ids(self.classes()); },
          "The class ids.")
      .def_property_readonly("pixels", &ConfusionMatrix::pixels, "Number of pixels that counted.")
      .def_property_readonly(
          "counts",
          [](const ConfusionMatrix& self) {
            const std::size_t n = self.classes().size();
            std::vector<std::uint64_t> counts;
            for (std::size_t i = 0; i < n; ++i) {
              for (std::size_t j = 0; j <= n; ++j) counts.push_back(self.count(i, j));
            }
            return to_array(std::move(counts),
                            {static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(n + 1)});
          },
          "uint64 [classes, classes + 1]: rows are true classes, columns predicted ones, the last "
          "one any other.")
      .def(
          "iou",
          [](const ConfusionMatrix& self) {
            std::vector<std::optional<double>> values;
            for (std::size_t i = 0; i < self.classes().size(); ++i) values.push_back(self.iou(i));
            return values;
          },
          "Intersection over union of each class; None for one that occurs nowhere.")
      .def("mean_iou", &ConfusionMatrix::mean_iou,
           "Mean over the classes that occur; None when none does.");

  py::class_<MiouSummary>(
      m, "MiouSummary", "mIoU of a video so far, by three definitions; None where nothing counted.")
      .def_readonly("sliding", &MiouSummary::sliding,
                    "The paper's: mean over frames of the window's mIoU.")
      .def_readonly("per_frame", &MiouSummary::per_frame,
                    "Mean over frames of the frame's own mIoU.")
      .def_readonly("whole_video", &MiouSummary::whole_video,
                    "mIoU of all frames' counts together.")
      .def_readonly("frames", &MiouSummary::frames,
                    "Frames that the averages are over (start-up left out).")
      .def("__repr__", [](const MiouSummary& s) {
        return "MiouSummary(sliding=" + repr_text(py::cast(s.sliding)) +
               ", per_frame=" + repr_text(py::cast(s.per_frame)) +
               ", whole_video=" + repr_text(py::cast(s.whole_video)) +
               ", frames=" + std::to_string(s.frames) + ")";
      });

  py::class_<SlidingMiou>(m, "SlidingMiou", R"(
The paper's accuracy measure: for every frame the confusion matrix summed over the last
window_seconds of video, its IoU averaged over the classes that occur; then the mean over frames.
Not thread-safe.)")
      .def(py::init([](const ClassesLike& classes, double window_seconds, double start_up_seconds,
                       int ignore_id) {
             return SlidingMiou(to_classes(classes, ignore_id), {window_seconds, start_up_seconds});
           }),
           "classes"_a, py::kw_only(), "window_seconds"_a = 10.0, "start_up_seconds"_a = 0.0,
           "ignore_id"_a = 255, R"(
classes: a number of classes, or their ids. window_seconds: > 0. start_up_seconds: frames before
this time are left out of the averages.)")
      .def("add", &SlidingMiou::add, "prediction"_a, "truth"_a, "time_seconds"_a, R"(
Takes the next frame (uint8 [H, W] each) and returns the window's mIoU at its time; None when no
pixel counts. Times do not go back.)")
      .def_property_readonly("current", &SlidingMiou::current,
                             "The window's mIoU at the latest frame.")
      .def_property_readonly(
          "window", [](const SlidingMiou& self) { return ConfusionMatrix(self.window()); },
          "The window's counts, copied.")
      .def("summary", &SlidingMiou::summary, "The averages so far.");
}

}  // namespace ams::python
