#include "ams/session/training_job.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "objects.hpp"
#include "option_fields.hpp"
#include "session/training_job.hpp"

namespace py = pybind11;
using namespace py::literals;

/// numpy views show a job's values, so no module may move from a job that Python holds: copy it.
namespace ams::python {
namespace {

std::vector<double> to_losses(const py::iterable& losses) {
  std::vector<double> values;
  for (const py::handle loss : losses) {
    double value = 0;
    read_argument(value, "a loss", loss);
    values.push_back(value);
  }
  return values;
}

}  // namespace

void bind_training_job(py::module_& m) {
  py::class_<StartScores>(m, "StartScores", R"(
What the states that a phase may start from score on labels that nothing has been trained on, in
[0, 1].)")
      .def_readonly("held", &StartScores::held, "Of what the device holds.")
      .def_readonly("others", &StartScores::others,
                    "Of the others, the un-customised student first.")
      .def_readonly("start", &StartScores::start,
                    "Where the phase started: 0 as planned, k at the k-th of the others.");

  py::class_<TrainingResult>(m, "TrainingResult", "What a training phase gives back.")
      .def(py::init([](const ArrayLike& parameters, const AdamState& adam,
                       const py::iterable& losses, double seconds,
                       const std::optional<StartScores>& scores) {
             return TrainingResult{ConstFloats(parameters, "parameters").copy(), adam,
                                   to_losses(losses), seconds, scores};
           }),
           py::kw_only(), "parameters"_a, "adam"_a, "losses"_a, "seconds"_a = 0.0,
           "scores"_a = py::none(), R"(
parameters: w_n after K iterations, float32 [dimension]; values outside the job's coordinates are
unchanged, but for statistics. adam: AdamState after them. losses: of the K mini-batches. seconds:
wall time of the phase. scores: what TrainingJob.try_starts() gave. All copied.)")
      .def_property_readonly(
          "parameters",
          [](const py::object& self) {
            return float_view(self.cast<const TrainingResult&>().parameters, self, false);
          },
          "float32 [dimension], a read-only view.")
      .def_property_readonly(
          "adam", [](TrainingResult& self) -> AdamState& { return self.adam; },
          py::return_value_policy::reference_internal, "AdamState.")
      .def_readonly("losses", &TrainingResult::losses, "Of the K mini-batches, before each step.")
      .def_readonly("seconds", &TrainingResult::seconds, "Wall time of the phase.")
      .def_readonly("scores", &TrainingResult::scores, "StartScores of the job's trial, or None.");

  py::class_<TrainingJob>(m, "TrainingJob", py::dynamic_attr(), R"(
One training phase as a self-contained value (Algorithm 2, lines 3 to 14). A trainer goes through
mini_batches and changes parameters in place, with step() or an optimiser of its own:

    for batch in job.mini_batches:
        loss, gradients = loss_and_gradients(job.parameters, batch)
        job.step(gradients)
        losses.append(loss)
    return job.result(losses=losses, seconds=...)
)")
      .def_property_readonly(
          "manifest",
          [](const TrainingJob& self) { return std::const_pointer_cast<Manifest>(self.manifest); },
          "Layout of the parameters.")
      .def_property_readonly(
          "parameters",
          [](const py::object& self) {
            return float_view(self.cast<const TrainingJob&>().parameters, self, true);
          },
          "w_n, float32 [dimension]: a view that can be written to; at first where the "
          "policy begins.")
      .def_property_readonly(
          "adam", [](TrainingJob& self) -> AdamState& { return self.adam; },
          py::return_value_policy::reference_internal, "Adam's memory, an AdamState.")
      .def_property_readonly(
          "adam_options",
          [adam = all_adam_fields()](const TrainingJob& self) {
            return adam.to_dict(self.adam_options);
          },
          "learning_rate, beta1, beta2, epsilon, epsilon_placement, and the multipliers by role "
          "that "
          "learning_rates come from.")
      .def_property_readonly(
          "learning_rates", [](const TrainingJob& self) { return to_tuples(self.learning_rates); },
          "(begin, end, multiplier) where the rate is another one; step() takes it into account.")
      .def_property_readonly(
          "coordinates", [](const TrainingJob& self) { return self.coordinates; },
          "I_n: the CoordinateSet that may move.")
      .def_property_readonly(
          "required_gradients", [](const TrainingJob& self) { return self.required_gradients; },
          "For each tensor of the manifest: is its gradient needed? Others have zeros.")
      .def_property_readonly(
          "mini_batches", [](const TrainingJob& self) { return self.mini_batches; },
          "S_1 to S_K: lists of samples.")
      .def(
          "try_starts",
          [](const py::object& job, const py::function& score) -> std::optional<StartScores> {
            auto& self = job.cast<TrainingJob&>();
            if (!self.trial) return std::nullopt;
            const StartTrial& trial = *self.trial;
            const auto ask = [&](std::span<const float> values) {
              return score(to_array(std::vector<float>(values.begin(), values.end())),
                           trial.samples)
                  .cast<std::optional<double>>();
            };
            const auto held = ask(trial.held->values());
            if (!held) return std::nullopt;
            std::vector<double> others;
            for (const OtherStart& other : trial.others) {
              others.push_back(ask(*other.parameters).value_or(0));
            }
            StartScores scores = choose_start(trial, *held, std::move(others));
            if (scores.start > 0) self.parameters = *trial.others[scores.start - 1].parameters;
            py::setattr(job, tried_attribute, py::bool_(true));
            return scores;
          },
          "score"_a, R"(
Lets `parameters` start from the best of the states that the policy offers. score(values, samples):
the score in [0, 1] of a student with these values, float32 [dimension], on these samples; None
where they say nothing. Gives StartScores, which result() needs, or None where there is nothing to
try.)")
      .def(
          "step",
          [](TrainingJob& self, const ArrayLike& gradients) {
            const ConstFloats values(gradients, "gradients");
            const py::gil_scoped_release no_gil;
            adam_step(self.adam, self.adam_options, self.coordinates, self.parameters,
                      values.span(), self.learning_rates);
          },
          "gradients"_a, R"(
One iteration of Algorithm 2 (lines 9 to 13) on parameters and adam. gradients: float32 [dimension]
of the loss at parameters. Raises InvalidArgumentError, with nothing changed. Runs without the
GIL.)")
      .def(
          "result",
          [](const py::object& job, const py::iterable& losses, double seconds,
             const std::optional<StartScores>& scores) {
            require_scores(job, scores);
            const auto& self = job.cast<const TrainingJob&>();
            return TrainingResult{self.parameters, self.adam, to_losses(losses), seconds, scores};
          },
          py::kw_only(), "losses"_a, "seconds"_a = 0.0, "scores"_a = py::none(),
          "The TrainingResult of parameters and adam as they are now. scores: what try_starts() "
          "gave.");
}

}  // namespace ams::python
