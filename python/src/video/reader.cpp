#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include "ams/video/scaling.hpp"
#include "ams/video/video_reader.hpp"
#include "arrays.hpp"
#include "fields.hpp"
#include "paths.hpp"
#include "video/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {

template <>
struct EnumWords<Scaling> {
  static constexpr std::array words{std::pair{"area", Scaling::area},
                                    std::pair{"bicubic", Scaling::bicubic}};
};

namespace {

/// Runs `work` on a thread of its own, without the GIL, until it is done or Ctrl-C has been
/// pressed: then `cancel`, which must make it end soon, and KeyboardInterrupt.
template <class Work, class Cancel>
std::invoke_result_t<Work> wait_for(Work work, Cancel cancel) {
  std::future<std::invoke_result_t<Work>> result;
  const auto wait = [&](std::chrono::milliseconds time) {
    const py::gil_scoped_release no_gil;
    return result.wait_for(time) == std::future_status::ready;
  };
  result = std::async(std::launch::async, work);
  while (!wait(std::chrono::milliseconds(50))) {
    if (PyErr_CheckSignals() == 0) continue;
    const py::error_already_set interrupt;
    cancel();
    while (!wait(std::chrono::milliseconds(50))) {
    }
    throw interrupt;
  }
  return result.get();
}

}  // namespace

void bind_reader(py::module_& m) {
  Fields<VideoReaderOptions> fields;
  fields
      .add("width", &VideoReaderOptions::width,
           "of the frames that come out, pixels; 0 x 0 keeps the video's own")
      .add("height", &VideoReaderOptions::height, "likewise")
      .add("scaling", &VideoReaderOptions::scaling, "'area' or 'bicubic'")
      .add("fps", &VideoReaderOptions::fps,
           "frames a second of a folder or pattern of pictures, which need it, and of raw streams; "
           "0: the source's own")
      .add("live", &VideoReaderOptions::live,
           "whether an address or a pipe is live; None: told by the source. Not for files")
      .add("timeout_seconds", &VideoReaderOptions::timeout_seconds,
           "how long opening a network stream or a pipe, or its next frame, may take")
      .add("camera_width", &VideoReaderOptions::camera_width,
           "what to ask of a camera; 0: its own choice")
      .add("camera_height", &VideoReaderOptions::camera_height, "likewise")
      .add("camera_fps", &VideoReaderOptions::camera_fps, "likewise")
      .add("max_width", &VideoReaderOptions::max_width, "larger pictures are refused")
      .add("max_height", &VideoReaderOptions::max_height, "likewise")
      .add("threads", &VideoReaderOptions::threads, "of the decoder, 1 to 64");
  py::class_<VideoReader> reader(m, "VideoReader", R"(
Reads the frames of a video file, a camera or a network stream in presentation order, without the
GIL.

    for capture_seconds, frame in VideoReader("drive.mp4", width=512, height=256):
        ...

frame: uint8 [height, width, 3], RGB, turned and mirrored as the container asks. capture_seconds:
from 0, strictly ascending; the stream's own times. One thread at a time, but for cancel(). Ctrl-C
ends waiting for a live source.

Live or recorded: files are recordings. Cameras, RTSP and MJPEG over HTTP are live. Another address
or pipe is a recording where it tells its duration (MP4, a complete HLS playlist) or its size (a
file over HTTP), and live where it tells neither. Frames of a live stream that carries no times
(MJPEG, raw H.264) have the times at which they come.)");
  {
    py::options options;
    options.disable_function_signatures();
    reader.def(
        py::init([fields](const Path& source, py::kwargs arguments) {
          VideoReaderOptions parsed = fields.parse(std::move(arguments), "VideoReader");
          std::stop_source stop;
          parsed.stop = stop.get_token();
          const auto open = [&] { return std::make_unique<VideoReader>(source.string(), parsed); };
          return wait_for(open, [&] { stop.request_stop(); });
        }),
        signature_doc(
            "__init__", "self: VideoReader, source: str | os.PathLike, *, " + fields.signature(),
            "None",
            "source: a file's path; a folder of pictures, 'f%03d.png' or 'f*.png' with fps; "
            "'camera:0'; an rtsp(s)://, http(s)://, rtmp(s)://, rtp://, udp://, tcp:// or "
            "srt:// address; a FIFO's path, or '-' for standard input. A picture alone is a "
            "video of one frame.\n" +
                fields.doc() +
                "Raises IoError, MalformedDataError, LimitExceededError, UnavailableError, "
                "UnauthorizedError or InvalidArgumentError.")
            .c_str());
  }
  const auto next = [](VideoReader& self) -> std::optional<std::pair<double, Frame>> {
    std::optional<Frame> frame;
    if (self.live()) {  // which may take its time
      frame = wait_for([&] { return self.next(); }, [&] { self.cancel(); });
    } else {
      const py::gil_scoped_release no_gil;
      frame = self.next();
    }
    if (!frame) return std::nullopt;
    const double seconds = frame->capture_seconds;
    return std::pair(seconds, std::move(*frame));
  };
  reader.def("next", next, "The next (capture_seconds, frame); None at the end or after cancel().")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__",
           [next](VideoReader& self) {
             auto timed = next(self);
             if (!timed) throw py::stop_iteration();
             return std::move(*timed);
           })
      .def("cancel", &VideoReader::cancel,
           "Makes a waiting next(), and all later ones, return None. From any thread.")
      .def_property_readonly("width", &VideoReader::width,
                             "Of the frames, pixels; of a live source what its header says.")
      .def_property_readonly("height", &VideoReader::height, "Likewise.")
      .def_property_readonly("fps", &VideoReader::fps,
                             "The rate that the container names, or its mean; 25 where none. Of a "
                             "live stream without times of its own: the mean so far.")
      .def_property_readonly("frame_count", &VideoReader::frame_count,
                             "As the container claims; None where it does not. After the end: the "
                             "frames that have come.")
      .def_property_readonly("duration_seconds", &VideoReader::duration_seconds,
                             "As the container claims; None where it does not.")
      .def_property_readonly("live", &VideoReader::live,
                             "True for cameras and streams without an end.")
      .def_property_readonly("reopenable", &VideoReader::reopenable,
                             "False for standard input: what has ended there does not come back.")
      .def_property_readonly("still_picture", &VideoReader::still_picture,
                             "True for a picture in one file: a video of one frame.")
      .def_property_readonly("refused_packets", &VideoReader::refused_packets,
                             "Packets skipped so far because they could not be decoded.");

  m.def(
      "scale_frame",
      [](const Frame& frame, int width, int height, const std::string& scaling) {
        return scale_frame(frame, width, height, parse_word<Scaling>("scaling", scaling));
      },
      "frame"_a, py::kw_only(), "width"_a, "height"_a, "scaling"_a = "area", R"(
The frame, uint8 [H, W, 3], in another size, 1 to 16384 pixels each. scaling: 'area' (best for
shrinking) or 'bicubic'.)");
}

}  // namespace ams::python
