#include "edge/video_source.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "edge/common.hpp"
#include "errors.hpp"
#include "paths.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// With the stop that its waiting listens to.
struct Source {
  std::stop_source stop;
  std::unique_ptr<VideoSource> video;

  ~Source() {
    const py::gil_scoped_release no_gil;  // a live source is read on a thread
    video.reset();
  }
};

struct DueFrame {
  py::object frame;
  double capture_seconds = 0;
  std::size_t index = 0;
  double due_seconds = 0;
};

}  // namespace

void bind_video_source(py::module_& m) {
  py::class_<DueFrame>(m, "DueFrame", "A frame of a VideoSource.")
      .def_readonly("frame", &DueFrame::frame, "uint8 [height, width, 3], RGB.")
      .def_readonly("capture_seconds", &DueFrame::capture_seconds, "On the video's timeline.")
      .def_readonly("index", &DueFrame::index, "Of all frames, skipped ones included.")
      .def_readonly("due_seconds", &DueFrame::due_seconds, "On now_seconds().");

  py::class_<Source>(m, "VideoSource", R"(
The frames of a video, each when it is due. A recording plays at its own pace; of a live source the
newest frame comes, and one that is lost is opened again.)")
      .def(py::init([](const std::filesystem::path& address, double fps, std::optional<bool> live) {
             auto source = std::make_unique<Source>();
             VideoReaderOptions options;
             options.fps = fps;
             options.live = live;
             const py::gil_scoped_release no_gil;
             source->video = std::make_unique<VideoSource>(address.string(), std::move(options),
                                                           source->stop.get_token());
             return source;
           }),
           "address"_a, py::kw_only(), "fps"_a = 0.0, "live"_a = py::none(),
           "As of ams.video.VideoReader. Raises as it does.")
      .def(
          "next",
          [](Source& self) -> std::optional<DueFrame> {
            std::optional<VideoSource::DueFrame> next;
            {
              const py::gil_scoped_release no_gil;
              next = self.video->next();
            }
            if (!next) return std::nullopt;
            const double seconds = next->frame.capture_seconds;
            return DueFrame{py::cast(std::move(next->frame)), seconds, next->index,
                            next->due_seconds};
          },
          "Waits for the next DueFrame; None at the end and after stop().")
      .def(
          "stop", [](Source& self) { self.stop.request_stop(); }, NoGil(),
          "Ends waiting. From any thread.")
      .def_property_readonly(
          "name", [](const Source& self) { return to_str(self.video->name()); },
          "Without user and password.")
      .def_property_readonly(
          "width", [](const Source& self) { return self.video->width(); },
          "Of the first frame, pixels.")
      .def_property_readonly(
          "height", [](const Source& self) { return self.video->height(); }, "Likewise.")
      .def_property_readonly(
          "fps", [](const Source& self) { return self.video->fps(); }, "Frames a second.")
      .def_property_readonly(
          "times_lost", [](const Source& self) { return self.video->times_lost(); },
          "Of a live source.");
}

}  // namespace ams::python
