#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>

#include "ams/video/label_track.hpp"
#include "arrays.hpp"
#include "paths.hpp"
#include "video/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_label_track(py::module_& m) {
  py::class_<LabelTrackReader>(m, "LabelTrackReader", R"(
Reads a label track: a Matroska file with one FFV1 stream of 8-bit grey pictures whose values are
class ids. len() is the number of label frames; reader[j] is label frame j, uint8 [height, width].
One thread at a time.)")
      .def(py::init([](const Path& path) { return std::make_unique<LabelTrackReader>(path); }),
           NoGil(), "path"_a, "Raises IoError, MalformedDataError or LimitExceededError.")
      .def_property_readonly("width", &LabelTrackReader::width, "Pixels.")
      .def_property_readonly("height", &LabelTrackReader::height, "Pixels.")
      .def_property_readonly("fps", &LabelTrackReader::fps,
                             "As the file says; 0 where it does not.")
      .def("__len__", &LabelTrackReader::size)
      .def(
          "__getitem__",
          [](LabelTrackReader& self, py::ssize_t index) {
            const auto size = static_cast<py::ssize_t>(self.size());
            if (index < -size || index >= size)
              throw py::index_error("label frame " + std::to_string(index) + " of " +
                                    std::to_string(size));
            LabelMap labels;
            {
              const py::gil_scoped_release no_gil;
              labels = self.at(static_cast<std::size_t>(index < 0 ? index + size : index));
            }
            return labels;
          },
          "index"_a);
}

}  // namespace ams::python
