#include "detection/boxes.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ams/detection/average_precision.hpp"
#include "ams/detection/box_bytes.hpp"
#include "ams/detection/box_loss.hpp"
#include "ams/detection/centre_maps.hpp"
#include "ams/detection/draw_boxes.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

constexpr std::size_t all_classes = 65536;

double disagreement(const BoxSet& first, const BoxSet& second) {
  check_boxes(first, all_classes, "the first set");
  check_boxes(second, all_classes, "the second set");
  return box_disagreement(first, second);
}

BoxSet decode(const ArrayLike& maps, float min_score, std::size_t max_boxes) {
  const py::array array = as_array<float>(maps, "maps", 3);
  const auto channels = static_cast<std::size_t>(array.shape(0));
  if (channels <= centre_geometry_maps) {
    throw_invalid("maps is float32 " + shape_text(array) +
                  "; allowed is float32 [classes + 4, height, width]");
  }
  const std::span values(static_cast<const float*>(array.data()),
                         static_cast<std::size_t>(array.size()));
  const py::gil_scoped_release no_gil;
  return decode_centre_maps(
      values, channels - centre_geometry_maps, static_cast<std::size_t>(array.shape(1)),
      static_cast<std::size_t>(array.shape(2)), {.min_score = min_score, .max_boxes = max_boxes});
}

}  // namespace

void bind_detection(py::module_& m) {
  m.def(
      "check_boxes",
      [](const BoxSet& boxes, std::size_t class_count) {
        check_boxes(boxes, class_count, "the set");
      },
      "boxes"_a, "class_count"_a, R"(
Raises InvalidArgumentError, naming the box and what is allowed, unless `boxes` (float32 [n, 6]:
left, top, right, bottom, class, score) has at most 1000 boxes, each within the picture, wider and
higher than 0, of a class below class_count and with a score in [0, 1].)");
  m.def("box_disagreement", &disagreement, "first"_a, "second"_a, R"(
Share of two sets of boxes (float32 [n, 6]) that differs, in [0, 1]: 1 - 2 S / (n + m), where S is
the sum of the IoUs of matched boxes. Boxes of one class are matched one to one, the pair of largest
IoU first. The same both ways round. Two empty sets are equal.)");
  m.def("decode_centre_maps", &decode, "maps"_a, py::kw_only(), "min_score"_a = 0.05F,
        "max_boxes"_a = 100, R"(
The boxes that an anchor-free head sees. maps: float32 [classes + 4, height, width]: for each class
the logit that a cell has the centre of an object; then how far the centre is right of and below the
cell's top left corner, and the natural logarithms of the box's width and height, all in cells. A
centre is a cell whose logit is above those of its eight neighbours. Gives the max_boxes surest of
all classes with a score of min_score or more, surest first, as float32 [n, 6], cut at the picture's
edges. What is not finite is no object. Runs without the GIL.)");
  m.def(
      "draw_boxes",
      [](const Frame& frame, const BoxSet& boxes, const std::vector<std::string>& names,
         double min_score) { return draw_boxes(frame, boxes, names, min_score); },
      "frame"_a, "boxes"_a, "names"_a = std::vector<std::string>(), py::kw_only(),
      "min_score"_a = 0.0, R"(
The frame, uint8 [H, W, 3], with an outline around each box of min_score or more, in the colour of
its class. names: of the classes, for colours.)");
  m.def(
      "pack_boxes",
      [](const BoxSet& boxes) {
        check_boxes(boxes, all_classes, "the set");
        return to_bytes(pack_boxes(boxes));
      },
      "boxes"_a, "A set of boxes as bytes, 22 for each.");
  m.def(
      "unpack_boxes",
      [](const BytesLike& data, std::size_t class_count) {
        return unpack_boxes(ConstBytes(data, "data").span(), class_count);
      },
      "data"_a, "class_count"_a, R"(
The set that pack_boxes() wrote. Raises MalformedDataError for what is no valid set.)");

  py::class_<HardBoxLoss>(m, "HardBoxLoss", R"(
The detection task's loss on hard labels: -ln(floor) * box_disagreement. The unit of
SamplingRateController's phi_target.)")
      .def(py::init<double>(), "floor"_a = HardBoxLoss::default_floor, "floor: in (0, 1).")
      .def(
          "__call__",
          [](const HardBoxLoss& self, const BoxSet& prediction, const BoxSet& truth) {
            return self.largest_loss() * disagreement(prediction, truth);
          },
          "prediction"_a, "truth"_a, "The loss of two sets of boxes, float32 [n, 6] each.")
      .def_property_readonly("largest_loss", &HardBoxLoss::largest_loss,
                             "-ln(floor): of two sets that have nothing in common.");

  py::class_<PrecisionSummary>(m, "PrecisionSummary", R"(
Average precision over the classes that occur in the truth, in [0, 1]; None where none does.)")
      .def_readonly("ap50", &PrecisionSummary::ap50, "A box is found at an IoU of 0.5 or more.")
      .def_readonly("ap50_95", &PrecisionSummary::ap50_95,
                    "Mean over IoUs of 0.5, 0.55, ..., 0.95.")
      .def("__repr__", [](const PrecisionSummary& s) {
        return "PrecisionSummary(ap50=" + repr_text(py::cast(s.ap50)) +
               ", ap50_95=" + repr_text(py::cast(s.ap50_95)) + ")";
      });

  py::class_<AveragePrecision>(m, "AveragePrecision", R"(
Average precision of a set of pictures, as COCO defines it (101 levels of recall). Sets of boxes are
float32 [n, 6]: left, top, right, bottom, class, score. Not thread-safe. Memory grows by 8 bytes a
box.)")
      .def(py::init<std::size_t, std::size_t>(), "class_count"_a, py::kw_only(),
           "max_detections"_a = 100, R"(
class_count: 1 to 65535. max_detections: of each class and picture so many of the surest boxes
count.)")
      .def("add", &AveragePrecision::add, "prediction"_a, "truth"_a, R"(
Takes the next picture. Raises InvalidArgumentError as check_boxes(); nothing has changed then.)")
      .def("summary", &AveragePrecision::summary, "Of all pictures so far.")
      .def("of_class", &AveragePrecision::of_class, "class_id"_a, "Of one class.")
      .def("__len__", &AveragePrecision::pictures, "Number of pictures.");

  py::class_<SlidingPrecision>(m, "SlidingPrecision", R"(
Average precision of a video as it goes: for every frame that of the last window_seconds, then the
mean over frames. Memory does not grow. Not thread-safe.)")
      .def(py::init([](std::size_t class_count, double window_seconds, std::size_t max_detections) {
             return SlidingPrecision(class_count, {window_seconds, max_detections});
           }),
           "class_count"_a, py::kw_only(), "window_seconds"_a = 10.0, "max_detections"_a = 100, R"(
class_count: 1 to 65535. window_seconds: > 0. max_detections: as AveragePrecision.)")
      .def("add", &SlidingPrecision::add, "prediction"_a, "truth"_a, "time_seconds"_a, R"(
Takes the next frame and gives what the window has now. Times do not go back.)")
      .def("summary", &SlidingPrecision::summary,
           "The mean over frames whose window has a true box.");
}

}  // namespace ams::python
