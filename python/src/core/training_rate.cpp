#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "ams/core/training_rate.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "option_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_training_rate(py::module_& m) {
  Fields<TrainingRateOptions> training;
  training.add("base_interval_seconds", &TrainingRateOptions::base_interval_seconds,
               "T_update at full pace, > 0");
  training.include(
      training_rate_fields(), [](TrainingRateOptions & o) -> auto& { return o; });
  py::class_<TrainingRateController> rate(m, "TrainingRateController", R"(
Adaptive training rate (appendix D): a video that changes slowly gets fewer updates. Two modes with
hysteresis, by the mean of the latest sampling rates. Not thread-safe.)");
  training.define_init(rate, "TrainingRateController",
                       [](const TrainingRateOptions& o) { return TrainingRateController(o); });
  rate.def("observe", &TrainingRateController::observe, "sampling_rate_fps"_a,
           "Takes the rate that equation (1) has just set, and sets the mode.")
      .def("advance", &TrainingRateController::advance,
           "Counts one model update and returns T_update: seconds from this update to the next.")
      .def_property_readonly("interval_seconds", &TrainingRateController::interval_seconds,
                             "T_update.")
      .def_property_readonly("slowed_down", &TrainingRateController::slowed_down,
                             "Is it in slow-down mode?")
      .def(
          "state",
          [](const TrainingRateController& self) {
            return py::dict("interval_seconds"_a = self.state().interval_seconds,
                            "slowed_down"_a = self.state().slowed_down,
                            "recent_rates_fps"_a = self.state().recent_rates_fps);
          },
          "All that it remembers, for restore().")
      .def(
          "restore",
          [](TrainingRateController& self, double interval_seconds, bool slowed_down,
             std::vector<double> recent_rates_fps) {
            self = TrainingRateController(
                self.options(),
                TrainingRateState{interval_seconds, slowed_down, std::move(recent_rates_fps)});
          },
          py::kw_only(), "interval_seconds"_a, "slowed_down"_a, "recent_rates_fps"_a,
          "Goes on from a state(): restore(**state).");
}

}  // namespace ams::python
