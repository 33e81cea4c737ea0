#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "ams/segmentation/label_loss.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_label_loss(py::module_& m) {
  m.def(
      "label_disagreement",
      [](const LabelMap& prediction, const LabelMap& truth, const ClassesLike& classes,
         int ignore_id) {
        return label_disagreement(prediction, truth, to_classes(classes, ignore_id));
      },
      "prediction"_a, "truth"_a, "classes"_a, py::kw_only(), "ignore_id"_a = 255, R"(
Fraction of pixels, in [0, 1], on which two label maps (uint8 [H, W]) differ; only pixels count on
which both name one of `classes` (a number of classes, or their ids). None when there is no such
pixel.)");

  py::class_<HardLabelCrossEntropy>(m, "HardLabelCrossEntropy", R"(
The segmentation task's loss on hard labels: a right pixel costs 0, a wrong one -ln(floor), and the
loss is the mean. The unit of SamplingRateController's phi_target.)")
      .def(py::init([](const ClassesLike& classes, double floor, int ignore_id) {
             return HardLabelCrossEntropy(to_classes(classes, ignore_id), floor);
           }),
           "classes"_a, py::kw_only(), "floor"_a = HardLabelCrossEntropy::default_floor,
           "ignore_id"_a = 255, R"(
classes: a number of classes, or their ids. floor: in (0, 1).)")
      .def("__call__", &HardLabelCrossEntropy::operator(), "prediction"_a, "truth"_a, R"(
The loss of two label maps, uint8 [H, W] each; None when they have no pixel in common that
counts.)")
      .def_property_readonly("wrong_pixel_loss", &HardLabelCrossEntropy::wrong_pixel_loss,
                             "-ln(floor): the largest loss.");
}

}  // namespace ams::python
