#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>

#include "ams/video/video_writer.hpp"
#include "arrays.hpp"
#include "paths.hpp"
#include "video/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_writer(py::module_& m) {
  py::class_<VideoWriter>(m, "VideoWriter", R"(
Writes frames at a constant rate as H.264 in an MP4 file, which appears under its name when finish()
returns. A context manager, as ClipWriter.)")
      .def(py::init([](const Path& path, int width, int height, double fps, double crf,
                       const std::string& preset) {
             VideoWriterOptions options;
             options.fps = fps;
             options.crf = crf;
             options.preset = preset;
             return std::make_unique<VideoWriter>(path, width, height, options);
           }),
           "path"_a, py::kw_only(), "width"_a, "height"_a, "fps"_a = 25.0, "crf"_a = 20.0,
           "preset"_a = "medium", R"(
Sizes in pixels, even, 16 to 8192. fps: 0.01 to 1000. crf: 0 (best) to 51. Raises
InvalidArgumentError, IoError or UnavailableError (built without x264).)")
      .def(
          "add",
          [](VideoWriter& self, const Frame& frame) {
            const py::gil_scoped_release no_gil;
            self.add(frame);
          },
          "frame"_a, "The next frame, uint8 [height, width, 3], RGB.")
      .def("finish", &VideoWriter::finish, NoGil(), "Completes the file.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__",
           [](VideoWriter& self, const py::object& type, const py::object&, const py::object&) {
             if (type.is_none()) self.finish();
           });
}

}  // namespace ams::python
