#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ams/video/clip.hpp"
#include "arrays.hpp"
#include "fields.hpp"
#include "paths.hpp"
#include "video/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

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

}  // namespace

void bind_clip(py::module_& m) {
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
  info_fields.define_properties(info, [](const ClipInfo& i) -> const ClipInfo& { return i; });
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
A recorded clip: a folder with video.mp4, labels.mkv and clip.json. A value: the description and
where the files are.)")
      .def(py::init([](const Path& folder) { return Clip::open(folder); }), NoGil(), "folder"_a, R"(
Reads clip.json and holds it against the two files: sizes, counts, a constant frame rate, ids.
Raises IoError, MalformedDataError or LimitExceededError.)")
      .def_property_readonly(
          "info", [](const Clip& self) { return ClipInfo(self.info()); },
          "ClipInfo, all sizes filled in.")
      .def_property_readonly(
          "video_path", [](const Clip& self) { return path_text(self.video_path()); },
          "For VideoReader.")
      .def_property_readonly(
          "labels_path", [](const Clip& self) { return path_text(self.labels_path()); },
          "For LabelTrackReader.")
      .def("label_seconds", &Clip::label_seconds, "index"_a, "Capture time of label frame `index`.")
      .def("label_index", &Clip::label_index, "capture_seconds"_a, R"(
The label frame nearest to a capture time. Raises InvalidArgumentError for a time outside the
labelled video.)");

  py::class_<ClipWriter>(m, "ClipWriter", R"(
Writes a clip folder. The folder appears, complete, when finish() returns. As a context manager it
finishes at the end of the block, unless an exception ends the block.)")
      .def(py::init([](const Path& folder, const ClipInfo& written, double crf,
                       const std::string& preset, bool replace) {
             return std::make_unique<ClipWriter>(folder, written,
                                                 ClipWriterOptions{crf, preset, replace});
           }),
           "folder"_a, "info"_a, py::kw_only(), "crf"_a = ClipWriterOptions{}.crf,
           "preset"_a = ClipWriterOptions{}.preset, "replace"_a = false, R"(
folder: must not exist, its parent must. replace: folder may be a clip folder, which stays until
finish(). info: all but counts and sizes. crf: 0 (best) to 51. preset: x264's. Raises
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
The next frame, uint8 [H, W, 3], even sizes; with labels, uint8 [H, W], exactly when wants_labels.
Labels of less than 16 pixels a side are enlarged by a whole factor. Raises InvalidArgumentError,
also for an id that is neither a class nor the ignore_id.)")
      .def("finish", &ClipWriter::finish, NoGil(), "Completes the folder.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__",
           [](ClipWriter& self, const py::object& type, const py::object&, const py::object&) {
             if (type.is_none()) self.finish();
           });
}

}  // namespace ams::python
