#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <optional>
#include <utility>

#include "ams/core/phi_score.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

std::optional<double> to_score(const py::object& result) {
  if (result.is_none()) return std::nullopt;
  double score = 0;
  read_argument(score, "the result of the loss", result);
  return score;
}

using PythonLoss = std::function<std::optional<double>(const py::object&, const py::object&)>;
using PythonPhi = PhiScoreTracker<py::object, PythonLoss>;

}  // namespace

void bind_phi_score(py::module_& m) {
  py::class_<PythonPhi>(m, "PhiScoreTracker", R"(
phi-score (section 3.2): how fast the teacher's output changes. Labels are any objects; the task's
own loss compares each with the one before. Not thread-safe.)")
      .def(py::init([](LossLike loss) {
             if (!PyCallable_Check(loss.ptr()))
               throw_invalid("loss is " + repr_text(loss) + "; allowed is a callable");
             return PythonPhi(
                 [loss = std::move(loss)](const py::object& prediction, const py::object& truth) {
                   return to_score(loss(prediction, truth));
                 });
           }),
           "loss"_a,
           "loss: loss(prediction, truth) -> float, or None where two labels cannot be compared.")
      .def("add", &PythonPhi::add, "label"_a, R"(
Takes the teacher's output on the next frame, in the order of capture. Gives phi, or None for the
first frame and where the loss gives None. Raises what the loss raises; the tracker is then as
before.)")
      .def("mean", &PythonPhi::mean,
           "Mean of the scores since the latest take_mean(); None when there are none.")
      .def("take_mean", &PythonPhi::take_mean, "mean(), and begins a new period.")
      .def_property_readonly("count", &PythonPhi::count,
                             "Number of scores since the latest take_mean().")
      .def("forget_label", &PythonPhi::forget_label,
           "After a gap in the video: the next frame is compared with none.")
      .def("reset", &PythonPhi::reset, "Forgets everything.");
}

}  // namespace ams::python
