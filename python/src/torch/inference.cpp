#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ams/torch/network_predictor.hpp"
#include "ams/torch/network_teacher.hpp"
#include "arrays.hpp"
#include "paths.hpp"
#include "torch/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// One network whose calls from several threads wait for each other, with the GIL released.
class SharedPredictor {
 public:
  SharedPredictor(const StudentSpec& spec, bool bfloat16)
      : predictor_(make_predictor(spec, {bfloat16})) {}
  const std::shared_ptr<const Manifest>& manifest() const { return predictor_->manifest(); }
  void load(const py::object& object) {
    const ConstFloats values(object, "values");
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    predictor_->load(values.span());
  }
  LabelMap predict(Frame frame) {
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    return predictor_->predict(Handle::make(std::move(frame))).as<LabelMap>();
  }

 private:
  std::unique_ptr<Predictor> predictor_;
  std::mutex mutex_;
};

class SharedTeacher {
 public:
  explicit SharedTeacher(const NetworkTeacherSpec& spec) : teacher_(make_network_teacher(spec)) {}
  LabelMap label(Frame frame, double capture_seconds) {
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    return teacher_->label(Handle::make(std::move(frame)), capture_seconds).as<LabelMap>();
  }

 private:
  std::unique_ptr<Teacher> teacher_;
  std::mutex mutex_;
};

}  // namespace

void bind_inference(py::module_& m) {
  py::class_<SharedPredictor>(m, "NetworkPredictor",
                              R"(One copy of the student for a device: frame in, labels out.

Loaded with load_student_values(spec). Calls from several threads wait for each other, with the
GIL released. bfloat16: faster on CPUs that have it; a few labels at borders change. Raises as
load_student_values().)")
      .def(py::init<const StudentSpec&, bool>(), "spec"_a, py::kw_only(), "bfloat16"_a = false,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly(
          "manifest",
          [](const SharedPredictor& p) { return std::const_pointer_cast<Manifest>(p.manifest()); })
      .def("load", &SharedPredictor::load, "values"_a,
           "Takes over float32 [dimension], a numpy array.")
      .def("predict", &SharedPredictor::predict, "frame"_a,
           "uint8 [H, W, 3] of any size to class ids, uint8 [input_height, input_width].");

  py::class_<SharedTeacher>(m, "NetworkTeacher",
                            R"(A network that labels frames by its argmax, as ams-server runs it.

network: "fddwnet", "edanet" or "deeplabv3_mobilenetv2" with a weights file, or the path of a
    TorchScript module (".pt") or an AOTInductor package (".pt2")
num_classes: 2 to 254, checked against what the network gives; one output of 2 classes is the
    logit of class 1
input_width, input_height: pixels, 32 to 4096; frames are scaled to it
selected_classes: ascending ids; the argmax is over these alone; empty: all
device: "cpu", "cuda", ...; a package runs where it was compiled for
Opening labels one frame. Calls from several threads wait for each other, with the GIL
released. Raises InvalidArgumentError, IoError, MalformedDataError, ManifestMismatchError,
UnavailableError.)")
      .def(py::init([](const std::filesystem::path& network, const std::filesystem::path& weights,
                       int num_classes, int input_width, int input_height,
                       std::vector<int> selected_classes, Triple mean, Triple standard_deviation,
                       const py::object& device) {
             NetworkTeacherSpec spec;
             spec.network = network.string();
             spec.weights = weights.string();
             spec.num_classes = num_classes;
             spec.input_width = input_width;
             spec.input_height = input_height;
             spec.selected_classes = std::move(selected_classes);
             spec.normalization = to_normalization(mean, standard_deviation);
             spec.device = to_text(device);
             const py::gil_scoped_release release;
             return std::make_unique<SharedTeacher>(spec);
           }),
           "network"_a, py::kw_only(), "weights"_a = "", "num_classes"_a = 19,
           "input_width"_a = NetworkTeacherSpec{}.input_width,
           "input_height"_a = NetworkTeacherSpec{}.input_height,
           "selected_classes"_a = std::vector<int>{}, "mean"_a = to_triple(Normalization{}.mean),
           "standard_deviation"_a = to_triple(Normalization{}.standard_deviation),
           "device"_a = "cpu")
      .def("label", &SharedTeacher::label, "frame"_a, "capture_seconds"_a = 0.0,
           "uint8 [H, W, 3] of any size to class ids, uint8 in the size of the network's output.");
}

}  // namespace ams::python
