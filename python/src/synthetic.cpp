#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "demo/street/street.hpp"
#include "detection/boxes.hpp"
#include "fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

struct StreetArguments {
  StreetOptions options;
  std::string schedule = "demo";
};

}  // namespace

void bind_synthetic(py::module_& m) {
  Fields<StreetArguments> fields;
  fields
      .add(
          "seed", [](StreetArguments & a) -> auto& { return a.options.seed; },
          "another seed is another town")
      .add(
          "width", [](StreetArguments & a) -> auto& { return a.options.width; },
          "pixels, 32 to 2048")
      .add(
          "height", [](StreetArguments & a) -> auto& { return a.options.height; },
          "pixels, 32 to 2048")
      .add(
          "fps", [](StreetArguments & a) -> auto& { return a.options.fps; }, "above 0, at most 240")
      .add(
          "seconds", [](StreetArguments & a) -> auto& { return a.options.seconds; },
          "length of the drive, above 0, at most 86400")
      .add("schedule", &StreetArguments::schedule,
           "'demo' (four scenes), 'fair' (fair weather), or e.g. "
           "'0:residential/clear,40:downtown/dusk'");
  py::class_<Street> street(m, "Street", R"(
A rendered drive along a street, with the class of every pixel known exactly. Labels are Cityscapes
train ids. The same pixels on every machine; safe to use from several threads. len() is the number
of frames.)");
  fields.define_init(street, "Street", [](StreetArguments a) {
    a.options.segments = parse_schedule(a.schedule, a.options.seed, a.options.seconds);
    return std::make_unique<Street>(std::move(a.options));
  });
  street
      .def(
          "render",
          [](const Street& self, std::size_t frame_index) {
            LabelledFrame rendered;
            {
              const py::gil_scoped_release no_gil;
              rendered = self.render(frame_index);
            }
            return std::pair(std::move(rendered.frame), std::move(rendered.labels));
          },
          "frame_index"_a, R"(
Frame (uint8 [height, width, 3], RGB) and labels (uint8 [height, width]) of the drive; frame_index
from 0 to len() - 1. Runs without the GIL.)")
      .def(
          "render_boxes",
          [](const Street& self, std::size_t frame_index, std::size_t min_pixels) {
            StreetScene scene;
            {
              const py::gil_scoped_release no_gil;
              scene = self.render_scene(frame_index);
            }
            return std::pair(std::move(scene.labelled.frame), street_boxes(scene, min_pixels));
          },
          "frame_index"_a, py::kw_only(), "min_pixels"_a = 1, R"(
Frame (uint8 [height, width, 3], RGB) and the boxes of its people and cars, float32 [n, 6]: left,
top, right, bottom as shares of width and height, class (street_object_names()), score 1. A box is
the smallest rectangle around what is seen; objects with fewer seen pixels than min_pixels are left
out. Runs without the GIL.)")
      .def_property_readonly(
          "fps", [](const Street& self) { return self.options().fps; }, "Frames per second.")
      .def_property_readonly(
          "width", [](const Street& self) { return self.options().width; }, "Pixels.")
      .def_property_readonly(
          "height", [](const Street& self) { return self.options().height; }, "Pixels.")
      .def("__len__", &Street::frame_count);

  m.def(
      "street_class_names",
      [] {
        return std::vector<std::string>(street_class_names().begin(), street_class_names().end());
      },
      "Names of the 19 Cityscapes train classes, by id.");
  m.def(
      "street_label_ids",
      [] { return std::vector<int>(street_label_ids().begin(), street_label_ids().end()); },
      "The ids that Street.render() can write, ascending.");
  m.def(
      "street_object_names",
      [] {
        return std::vector<std::string>(street_object_names().begin(), street_object_names().end());
      },
      "Names of the classes of Street.render_boxes(), by id: person, car.");
  m.def(
      "street_eval_classes",
      [] { return std::vector<int>(street_eval_classes().begin(), street_eval_classes().end()); },
      "The common classes to score: road, sidewalk, building, vegetation, sky, person, car.");
}

}  // namespace ams::python
