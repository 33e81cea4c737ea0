#include "ams/segmentation/frame_resize.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {

void bind_frame_resize(py::module_& m) {
  m.def(
      "resize_frame",
      [](const Frame& frame, int width, int height) {
        for (const int side : {frame.width, frame.height, width, height}) {
          if (side < 1 || side > 16384) {
            throw_invalid("a side of the frame has " + std::to_string(side) +
                          " pixels; allowed are 1 to 16384");
          }
        }
        const py::gil_scoped_release no_gil;
        return resize_area(frame, width, height);
      },
      "frame"_a, py::kw_only(), "width"_a, "height"_a, R"(
The frame, uint8 [H, W, 3], in another size, as the predictors of the library scale it for a
student: an area average when smaller, bilinear when larger. Raises InvalidArgumentError.)");
}

}  // namespace ams::python
