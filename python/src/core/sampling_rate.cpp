#include <pybind11/pybind11.h>

#include <string>
#include <utility>

#include "ams/core/sampling_rate.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "option_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

struct Arguments {
  SamplingRateOptions options;
  double start_seconds = 0;
};

}  // namespace

void bind_sampling_rate(py::module_& m) {
  Fields<Arguments> fields;
  fields
      .include(
          sampling_rate_fields(), [](Arguments & a) -> auto& { return a.options; })
      .add("start_seconds", &Arguments::start_seconds,
           "the first decision is due interval_seconds after it");
  py::class_<SamplingRateController> controller(m, "SamplingRateController", R"(
Adaptive sampling rate of the device (section 3.2, equation 1):
rate = clip(rate + step_fps * (mean phi - phi_target), min_fps, max_fps), every interval_seconds.
It has no clock: the caller passes the time. Not thread-safe.)");
  fields.define_init(controller, "SamplingRateController", [](const Arguments& a) {
    return SamplingRateController(a.options, a.start_seconds);
  });
  controller
      .def("due", &SamplingRateController::due, "now_seconds"_a,
           "Is it time for the next decision?")
      .def("decide", &SamplingRateController::decide, "now_seconds"_a, "mean_phi"_a,
           "Applies equation (1) once and returns the new rate in fps.")
      .def_property_readonly("rate_fps", &SamplingRateController::rate_fps, "r_t, fps.")
      .def(
          "state",
          [](const SamplingRateController& self) {
            return py::dict("rate_fps"_a = self.state().rate_fps,
                            "next_decision_seconds"_a = self.state().next_decision_seconds);
          },
          "All that it remembers, for restore().")
      .def(
          "restore",
          [](SamplingRateController& self, double rate_fps, double next_decision_seconds) {
            self = SamplingRateController(self.options(),
                                          SamplingRateState{rate_fps, next_decision_seconds});
          },
          py::kw_only(), "rate_fps"_a, "next_decision_seconds"_a,
          "Goes on from a state(): restore(**state).");
}

}  // namespace ams::python
