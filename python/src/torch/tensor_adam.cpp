#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "ams/session/training_job.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/tensor_adam.hpp"
#include "arrays.hpp"
#include "option_fields.hpp"
#include "torch/tensors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

AdamOptions adam_options(double learning_rate, double beta1, double beta2, double epsilon,
                         const std::string& epsilon_placement) {
  return {learning_rate,
          beta1,
          beta2,
          epsilon,
          parse_word<EpsilonPlacement>("epsilon_placement", epsilon_placement),
          {}};
}

}  // namespace

void bind_tensor_adam(py::module_& m) {
  py::class_<TensorAdam>(m, "TensorAdam",
                         R"(Adam (lines 9 to 13 of Algorithm 2) on flat tensors of the CPU or a GPU.

It is told its coordinates: ams.GradientGuidedAdam chooses them, GradientGuidedAdam of this module
does both. first_moment, second_moment: float32 [dimension], copied. ranges: (begin, end,
multiplier) as ams.learning_rate_ranges() gives them. Not thread-safe. Raises
InvalidArgumentError, and UnavailableError for a device that is not there.)")
      .def(py::init([](const py::object& first_moment, const py::object& second_moment,
                       std::int64_t step_count, const py::object& device, double learning_rate,
                       double beta1, double beta2, double epsilon,
                       const std::string& epsilon_placement, const RangeTuples& ranges) {
             AdamState state;
             state.first_moment = ConstFloats(first_moment, "first_moment").copy();
             state.second_moment = ConstFloats(second_moment, "second_moment").copy();
             state.step_count = step_count;
             return TensorAdam(
                 std::move(state),
                 adam_options(learning_rate, beta1, beta2, epsilon, epsilon_placement),
                 to_device(device), TensorAdam::Arithmetic::automatic, to_ranges(ranges));
           }),
           "first_moment"_a, "second_moment"_a, "step_count"_a, py::kw_only(), "device"_a = "cpu",
           "learning_rate"_a = AdamOptions{}.learning_rate, "beta1"_a = AdamOptions{}.beta1,
           "beta2"_a = AdamOptions{}.beta2, "epsilon"_a = AdamOptions{}.epsilon,
           "epsilon_placement"_a = "outside_root", "ranges"_a = RangeTuples{})
      .def_static(
          "of_job",
          [](const TrainingJob& job, const py::object& device) {
            TensorAdam adam(job.adam, job.adam_options, to_device(device),
                            TensorAdam::Arithmetic::automatic, job.learning_rates);
            adam.begin_phase(job.coordinates);
            return adam;
          },
          "job"_a, py::kw_only(), "device"_a = "cpu",
          "With a training job's moments, options, learning rates and coordinates.")
      .def(
          "set_options",
          [](TensorAdam& adam, double learning_rate, double beta1, double beta2, double epsilon,
             const std::string& epsilon_placement) {
            adam.set_options(adam_options(learning_rate, beta1, beta2, epsilon, epsilon_placement));
          },
          py::kw_only(), "learning_rate"_a, "beta1"_a, "beta2"_a, "epsilon"_a,
          "epsilon_placement"_a = "outside_root", "Those of the steps to come.")
      .def_property_readonly("step_count", &TensorAdam::step_count, "i, over all phases.")
      .def("begin_phase", &TensorAdam::begin_phase, "coordinates"_a,
           "What the steps to come move; everything until the first call.")
      .def(
          "step",
          [](TensorAdam& adam, const at::Tensor& parameters, const at::Tensor& gradients) {
            adam.step(parameters, gradients);
          },
          "parameters"_a, "gradients"_a, py::call_guard<py::gil_scoped_release>(),
          "One iteration in place: contiguous float32 tensors [dimension] on the device.")
      .def("update", &TensorAdam::update, py::call_guard<py::gil_scoped_release>(),
           "u of the latest step (line 12): float32 [dimension] on the device.")
      .def(
          "state",
          [](const TensorAdam& adam) {
            AdamState state = adam.state();
            return py::dict("first_moment"_a = to_array(std::move(state.first_moment)),
                            "second_moment"_a = to_array(std::move(state.second_moment)),
                            "step_count"_a = state.step_count);
          },
          "A copy on the host, as the arguments of TensorAdam: float32 numpy arrays, and a "
          "number.");
  m.def(
      "training_result",
      [](const ParameterVector& vector, const TensorAdam& adam, std::vector<double> losses,
         double seconds, const std::optional<StartScores>& scores) {
        return TrainingResult{vector.copy(), adam.state(), std::move(losses), seconds, scores};
      },
      "vector"_a, "adam"_a, "losses"_a, "seconds"_a, "scores"_a = py::none(),
      "The ams.TrainingResult of a phase that these two have made.");
}

}  // namespace ams::python
