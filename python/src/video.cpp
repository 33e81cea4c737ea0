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
#include <vector>

#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/sample_decoder.hpp"
#include "ams/video/sample_encoder.hpp"
#include "ams/video/scaling.hpp"
#include "ams/video/video_reader.hpp"
#include "ams/video/video_writer.hpp"
#include "arrays.hpp"
#include "errors.hpp"
#include "fields.hpp"
#include "paths.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {

template <>
struct EnumWords<Scaling> {
  static constexpr std::array words{std::pair{"area", Scaling::area},
                                    std::pair{"bicubic", Scaling::bicubic}};
};

namespace {

using NoGil = py::call_guard<py::gil_scoped_release>;
using Path = std::filesystem::path;

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

void bind_reader(py::module_& m) {
  Fields<VideoReaderOptions> fields;
  fields
      .add("width", &VideoReaderOptions::width,
           "of the frames that come out, pixels; 0 x 0 keeps the video's own")
      .add("height", &VideoReaderOptions::height, "likewise")
      .add("scaling", &VideoReaderOptions::scaling, "'area' or 'bicubic'")
      .add("timeout_seconds", &VideoReaderOptions::timeout_seconds,
           "how long opening a network stream, or its next frame, may take")
      .add("camera_width", &VideoReaderOptions::camera_width,
           "what to ask of a camera; 0: its own choice")
      .add("camera_height", &VideoReaderOptions::camera_height, "likewise")
      .add("camera_fps", &VideoReaderOptions::camera_fps, "likewise")
      .add("max_width", &VideoReaderOptions::max_width, "larger pictures are refused")
      .add("max_height", &VideoReaderOptions::max_height, "likewise")
      .add("threads", &VideoReaderOptions::threads, "of the decoder, 1 to 64");
  py::class_<VideoReader> reader(m, "VideoReader", R"(
Reads the frames of a video file, a camera or a network stream in presentation order, without the GIL.

    for capture_seconds, frame in VideoReader("drive.mp4", width=512, height=256):
        ...

frame: uint8 [height, width, 3], RGB. capture_seconds: from 0, strictly ascending. One thread at a time, but for
cancel(). Ctrl-C ends waiting for a camera or a network stream.)");
  {
    py::options options;
    options.disable_function_signatures();
    reader.def(py::init([fields](const py::object& source, py::kwargs arguments) {
                 VideoReaderOptions parsed = fields.parse(std::move(arguments), "VideoReader");
                 const auto name =
                     py::module_::import("os").attr("fspath")(source).cast<std::string>();
                 std::stop_source stop;
                 parsed.stop = stop.get_token();
                 return wait_for([&] { return std::make_unique<VideoReader>(name, parsed); },
                                 [&] { stop.request_stop(); });
               }),
               signature_doc(
                   "__init__",
                   "self: VideoReader, source: str | os.PathLike, *, " + fields.signature(), "None",
                   "source: a file's path, 'camera:0', or an rtsp:// or http:// address.\n" +
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
                             "Of the frames, as far as the header tells; pixels.")
      .def_property_readonly("height", &VideoReader::height, "Likewise.")
      .def_property_readonly("fps", &VideoReader::fps,
                             "The rate that the container names, or its mean; 25 where none.")
      .def_property_readonly("frame_count", &VideoReader::frame_count,
                             "As the container claims; None where it does not.")
      .def_property_readonly("duration_seconds", &VideoReader::duration_seconds, "Likewise.")
      .def_property_readonly("live", &VideoReader::live, "True for cameras and RTSP.")
      .def_property_readonly("refused_packets", &VideoReader::refused_packets,
                             "Packets skipped so far because they could not be decoded.");

  m.def(
      "scale_frame",
      [](const Frame& frame, int width, int height, const std::string& scaling) {
        return scale_frame(frame, width, height, parse_word<Scaling>("scaling", scaling));
      },
      "frame"_a, py::kw_only(), "width"_a, "height"_a, "scaling"_a = "area", R"(
The frame, uint8 [H, W, 3], in another size, 1 to 16384 pixels each. scaling: 'area' (best for shrinking) or
'bicubic'.)");
}

void bind_samples(py::module_& m) {
  Fields<SampleEncoderOptions> encoder;
  encoder
      .add("target_bps", &SampleEncoderOptions::target_bps,
           "bits per second of period_seconds, 1 to 1e9")
      .add("width", &SampleEncoderOptions::width,
           "of the coded pictures, even, 16 to 4096; 0 x 0: the frames' own")
      .add("height", &SampleEncoderOptions::height, "likewise")
      .add("preset", &SampleEncoderOptions::preset, "x264's, ultrafast to placebo")
      .add("min_qp", &SampleEncoderOptions::min_qp, "no finer quantiser than this, 0 to 51")
      .add("tolerance", &SampleEncoderOptions::tolerance,
           "encoding stops within this fraction of the target")
      .add("max_passes", &SampleEncoderOptions::max_passes, "or after so many passes, 2 to 10");
  Fields<SampleDecoderLimits> limits;
  limits.add("max_bytes", &SampleDecoderLimits::max_bytes, "of bitstream")
      .add("max_frames", &SampleDecoderLimits::max_frames, "frames")
      .add("max_width", &SampleDecoderLimits::max_width, "pixels")
      .add("max_height", &SampleDecoderLimits::max_height, "pixels")
      .add("max_rgb_bytes", &SampleDecoderLimits::max_rgb_bytes, "of all decoded frames together");
  py::options options;
  options.disable_function_signatures();
  m.def(
      "encode_samples",
      [encoder](const py::iterable& frames, double period_seconds, py::kwargs arguments) {
        const SampleEncoderOptions parsed = encoder.parse(std::move(arguments), "encode_samples");
        std::vector<FramePtr> pictures;
        for (const py::handle frame : frames)
          pictures.push_back(std::make_shared<Frame>(frame.cast<Frame>()));
        std::vector<std::byte> bytes;
        {
          const py::gil_scoped_release no_gil;
          bytes = encode_samples(pictures, period_seconds, parsed);
        }
        return to_bytes(bytes);
      },
      "frames"_a, "period_seconds"_a,
      signature_doc("encode_samples",
                    "frames: collections.abc.Iterable[numpy.ndarray], period_seconds: float, *, " +
                        encoder.signature(),
                    "bytes",
                    "Compresses one buffer of samples with x264 in two or more passes (section "
                    "3.2): H.264 Annex B.\n"
                    "\n    frames: 1 to 4096, uint8 [H, W, 3], RGB, all of one size\n"
                    "    period_seconds: the time that the buffer stands for (T_update), above 0, "
                    "up to 86400\n" +
                        encoder.doc() +
                        "Raises InvalidArgumentError, IoError or UnavailableError (built without "
                        "x264). Runs without "
                        "the GIL.")
          .c_str());
  m.def(
      "decode_samples",
      [limits](const BytesLike& bitstream, std::size_t expected_frames, py::kwargs arguments) {
        const SampleDecoderLimits parsed = limits.parse(std::move(arguments), "decode_samples");
        const ConstBytes bytes(bitstream, "bitstream");
        const py::gil_scoped_release no_gil;
        return decode_samples(bytes.span(), expected_frames, parsed);
      },
      "bitstream"_a, "expected_frames"_a,
      signature_doc(
          "decode_samples",
          "bitstream: bytes | bytearray | memoryview | numpy.ndarray, expected_frames: int, *, " +
              limits.signature(),
          "list[numpy.ndarray]",
          "The frames (uint8 [H, W, 3], RGB) of what encode_samples() wrote. The bytes may be "
          "hostile.\n\n"
          "    expected_frames: exactly so many, >= 1\n" +
              limits.doc() +
              "Raises LimitExceededError, MalformedDataError or InvalidArgumentError. Runs without "
              "the GIL.")
          .c_str());
}

Fields<ClipInfo> clip_info_fields() {
  Fields<ClipInfo> fields;
  fields.add("name", &ClipInfo::name, "the folder's name where the file gives none")
      .add("fps", &ClipInfo::fps, "of the video, constant")
      .add("label_stride", &ClipInfo::label_stride,
           "label frame j labels video frame j * label_stride")
      .add("ignore_id", &ClipInfo::ignore_id, "pixels that nobody labelled")
      .add("frames", &ClipInfo::frames, "of video; 0: not said")
      .add("label_frames", &ClipInfo::label_frames, "0: not said")
      .add("width", &ClipInfo::width, "of the video, pixels; 0: not said")
      .add("height", &ClipInfo::height, "likewise")
      .add("label_width", &ClipInfo::label_width, "likewise")
      .add("label_height", &ClipInfo::label_height, "likewise")
      .add("kind", &ClipInfo::kind, "e.g. 'fixed camera'")
      .add("labels_by", &ClipInfo::labels_by, "who or what made the labels")
      .add("source", &ClipInfo::source, "where the video is from")
      .add("licence", &ClipInfo::licence, "of the video");
  return fields;
}

void bind_clip(py::module_& m) {
  py::class_<LabelTrackReader>(m, "LabelTrackReader", R"(
Reads a label track: a Matroska file with one FFV1 stream of 8-bit grey pictures whose values are class ids. len() is
the number of label frames; reader[j] is label frame j, uint8 [height, width]. One thread at a time.)")
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

  const auto info_fields = clip_info_fields();
  py::class_<ClipInfo> info(m, "ClipInfo", "What a clip's clip.json says.");
  {
    py::options options;
    options.disable_function_signatures();
    info.def(py::init([info_fields](py::kwargs arguments) {
               const auto take = [&](const char* name) {
                 if (!arguments.contains(name))
                   throw py::type_error(std::string("ClipInfo() needs ") + name);
                 return py::object(arguments.attr("pop")(name));
               };
               ClipInfo parsed;
               for (const py::handle name : take("classes")) {
                 read_argument(parsed.classes.emplace_back(), "a name of classes", name);
               }
               for (const py::handle id : take("eval_classes")) {
                 read_argument(parsed.eval_classes.emplace_back(), "an id of eval_classes", id);
               }
               info_fields.read(parsed, arguments);
               info_fields.expect_none(arguments, "ClipInfo",
                                       "classes, eval_classes, " + info_fields.names());
               if (parsed.fps == 0) throw py::type_error("ClipInfo() needs fps");
               return parsed;
             }),
             signature_doc("__init__",
                           "self: ClipInfo, *, classes: collections.abc.Iterable[str], "
                           "eval_classes: collections.abc.Iterable[int], " +
                               info_fields.signature(),
                           "None",
                           "    classes: names by class id, 1 to 255\n    eval_classes: ids that "
                           "count in the mIoU\n" +
                               info_fields.doc())
                 .c_str());
  }
  info_fields.define_properties(info);
  info.def_readonly("classes", &ClipInfo::classes, "Names by class id.")
      .def_property_readonly(
          "eval_classes",
          [](const ClipInfo& self) {
            return std::vector<int>(self.eval_classes.begin(), self.eval_classes.end());
          },
          "Class ids that count in the mIoU.")
      .def_property_readonly(
          "scenes",
          [](const ClipInfo& self) {
            std::vector<std::pair<double, std::string>> scenes;
            for (const ClipScene& scene : self.scenes) {
              scenes.emplace_back(scene.start_seconds, scene.name);
            }
            return scenes;
          },
          "(start_seconds, name) of parts that look different; empty where nobody told them apart.")
      .def_property_readonly("label_period_seconds", &ClipInfo::label_period_seconds,
                             "Between label frames.")
      .def("__repr__", [](const ClipInfo& self) {
        return "<ClipInfo of '" + self.name + "': " + std::to_string(self.frames) + " frames, " +
               std::to_string(self.label_frames) + " with labels>";
      });

  py::class_<Clip>(m, "Clip", R"(
A recorded clip: a folder with video.mp4, labels.mkv and clip.json. A value: the description and where the files are.)")
      .def(py::init([](const Path& folder) { return Clip::open(folder); }), NoGil(), "folder"_a, R"(
Reads clip.json and holds it against the two files. Raises IoError, MalformedDataError or LimitExceededError.)")
      .def_property_readonly(
          "info", [](const Clip& self) { return ClipInfo(self.info()); },
          "ClipInfo, all sizes filled in.")
      .def_property_readonly(
          "video_path", [](const Clip& self) { return self.video_path().string(); },
          "For VideoReader.")
      .def_property_readonly(
          "labels_path", [](const Clip& self) { return self.labels_path().string(); },
          "For LabelTrackReader.")
      .def("label_seconds", &Clip::label_seconds, "index"_a, "Capture time of label frame `index`.")
      .def("label_index", &Clip::label_index, "capture_seconds"_a, R"(
The label frame nearest to a capture time. Raises InvalidArgumentError for a time outside the labelled video.)");

  py::class_<ClipWriter>(m, "ClipWriter", R"(
Writes a clip folder, which appears under its name, complete, when finish() returns, and not at all if it is never
called. As a context manager it finishes at the end of the block, unless that ends with an exception.)")
      .def(py::init([](const Path& folder, const ClipInfo& written, double crf,
                       const std::string& preset) {
             return std::make_unique<ClipWriter>(folder, written, ClipWriterOptions{crf, preset});
           }),
           "folder"_a, "info"_a, py::kw_only(), "crf"_a = ClipWriterOptions{}.crf,
           "preset"_a = ClipWriterOptions{}.preset, R"(
folder: must not exist; its parent must. info: all but counts and sizes. crf: 0 (best) to 51. preset: x264's. Raises
InvalidArgumentError, IoError or UnavailableError (built without x264).)")
      .def_property_readonly(
          "wants_labels", &ClipWriter::wants_labels,
          "Is the next frame one of every label_stride, so that it needs labels?")
      .def(
          "add",
          [](ClipWriter& self, const Frame& frame, const std::optional<LabelMap>& labels) {
            const py::gil_scoped_release no_gil;
            labels ? self.add(frame, *labels) : self.add(frame);
          },
          "frame"_a, "labels"_a = py::none(), R"(
The next frame, uint8 [H, W, 3], even sizes; with labels, uint8 [H, W], exactly when wants_labels.)")
      .def("finish", &ClipWriter::finish, NoGil(), "Completes the folder.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__",
           [](ClipWriter& self, const py::object& type, const py::object&, const py::object&) {
             if (type.is_none()) self.finish();
           });

  py::class_<VideoWriter>(m, "VideoWriter", R"(
Writes frames at a constant rate as H.264 in an MP4 file, which appears under its name when finish() returns. A context
manager, as ClipWriter.)")
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
Sizes in pixels, even, 16 to 8192. fps: 0.01 to 1000. crf: 0 (best) to 51. Raises InvalidArgumentError, IoError or
UnavailableError (built without x264).)")
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

}  // namespace
}  // namespace ams::python

PYBIND11_MODULE(_video, m) {
  using namespace ams::python;
  register_errors();
  m.doc() = "Bindings of ams::video; use ams.video.";
  bind_reader(m);
  bind_samples(m);
  bind_clip(m);
}
