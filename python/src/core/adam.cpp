#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/gradient_guided_adam.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "option_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

struct AdamArguments {
  Selection selection;
  AdamOptions adam;
  std::uint64_t seed = 0;
};

}  // namespace

void bind_adam(py::module_& m) {
  py::class_<AdamState>(m, "AdamState", R"(
Adam's memory of one parameter vector; it persists over training phases (Algorithm 2, lines 4, 5 and
11).)")
      .def(py::init<std::size_t>(), "dimension"_a)
      .def_property_readonly(
          "first_moment",
          [](const py::object& self) {
            return float_view(self.cast<const AdamState&>().first_moment, self, true);
          },
          "m, a float32 view [dimension] that can be written to.")
      .def_property_readonly(
          "second_moment",
          [](const py::object& self) {
            return float_view(self.cast<const AdamState&>().second_moment, self, true);
          },
          "v, a float32 view [dimension] that can be written to.")
      .def_readwrite("step_count", &AdamState::step_count, "i, over all phases.")
      .def(
          "copy", [](const AdamState& self) { return AdamState(self); }, "An independent copy.");

  Fields<AdamArguments> fields;
  fields
      .include(
          selection_fields(), [](AdamArguments & a) -> auto& { return a.selection; })
      .include(
          all_adam_fields(), [](AdamArguments & a) -> auto& { return a.adam; });
  fields.add("seed", &AdamArguments::seed, "of the random choices");

  py::class_<GradientGuidedAdam> adam(m, "GradientGuidedAdam", R"(
Algorithm 2 (section 3.1.2): an optimiser that moves a fraction of the parameters in each training
phase: those that moved most in the phase before.

    adam = GradientGuidedAdam(weights.size, gamma=0.05)
    while True:                               # one round is one training phase
        chosen = adam.begin_phase()
        for _ in range(20):
            adam.step(weights, gradients_of(weights))
        send(weights, chosen)                 # all other weights are as they were

It keeps no parameters. Equal seeds and gradients give equal results on every machine. Not
thread-safe.)");
  {
    py::options options;
    options.disable_function_signatures();
    adam.def(
        py::init([fields](const py::object& layout, py::kwargs arguments) {
          const AdamArguments a = fields.parse(std::move(arguments), "GradientGuidedAdam");
          std::shared_ptr<const Manifest> manifest;
          if (py::isinstance<Manifest>(layout)) {
            manifest = layout.cast<std::shared_ptr<Manifest>>();
          } else {
            std::int64_t dimension = 0;
            read_argument(dimension, "manifest_or_dimension", layout);
            manifest = std::make_shared<const Manifest>(
                std::vector<TensorSpec>{{.name = "parameters", .shape = {dimension}}});
          }
          return GradientGuidedAdam(manifest, a.selection.make(), a.adam, a.seed);
        }),
        signature_doc(
            "__init__",
            "self: GradientGuidedAdam, manifest_or_dimension: Manifest | int, *, " +
                fields.signature(),
            "None",
            "manifest_or_dimension: a network's Manifest (statistics are never chosen), or the "
            "number of values of one tensor.\n" +
                fields.doc() + "Raises InvalidArgumentError that names the argument.")
            .c_str());
  }
  adam.def(
          "begin_phase",
          [](GradientGuidedAdam& self) {
            const py::gil_scoped_release no_gil;
            return CoordinateSet(self.begin_phase());
          },
          "Chooses I_n (lines 1 to 5): at random in the first phase, then by |u| of the latest "
          "step. The first phase ends with the first step: begun again before that, it chooses "
          "the same.")
      .def(
          "step",
          [](GradientGuidedAdam& self, const ArrayLike& parameters, const ArrayLike& gradients) {
            Floats values(parameters, "parameters");
            const ConstFloats gradient(gradients, "gradients");
            const py::gil_scoped_release no_gil;
            self.step(values.span(), gradient.span());
          },
          "parameters"_a, "gradients"_a, R"(
One iteration (lines 9 to 13) in place: the moments of all coordinates follow the gradient, those of
the phase move.

Both float32 [dimension], contiguous, in memory of their own; tensors whose gradient is not required
have zeros. Raises InvalidArgumentError, with nothing changed, before the first begin_phase(), on
another size or dtype, and on a |gradient| over 1e18 or not a number. Runs without the GIL.)")
      .def_property_readonly(
          "coordinates",
          [](const GradientGuidedAdam& self) { return CoordinateSet(self.coordinates()); },
          "I_n; empty before the first begin_phase().")
      .def("required_gradients", &GradientGuidedAdam::required_gradients,
           "For each tensor of the manifest: must step() be given its gradient?")
      .def(
          "state",
          [](const GradientGuidedAdam& self) {
            const GradientGuidedAdam::State& s = self.state();
            return py::dict("first_moment"_a = to_array(s.adam.first_moment),
                            "second_moment"_a = to_array(s.adam.second_moment),
                            "step_count"_a = s.adam.step_count, "coordinates"_a = s.coordinates,
                            "phase_count"_a = s.phase_count, "seed"_a = s.seed);
          },
          "What persists over phases, copied: for restore(), or a file.")
      .def(
          "restore",
          [](GradientGuidedAdam& self, const py::dict& state) {
            const auto at = [&](const char* key) {
              if (!state.contains(key))
                throw_invalid(std::string("the state has no '") + key + "'");
              return py::object(state[key]);
            };
            GradientGuidedAdam::State s;
            s.adam.first_moment = ConstFloats(at("first_moment"), "first_moment").copy();
            s.adam.second_moment = ConstFloats(at("second_moment"), "second_moment").copy();
            read_argument(s.adam.step_count, "step_count", at("step_count"));
            s.coordinates = to_coordinates(at("coordinates"), s.adam.first_moment.size());
            read_argument(s.phase_count, "phase_count", at("phase_count"));
            read_argument(s.seed, "seed", at("seed"));
            self.restore(std::move(s));
          },
          "state"_a, R"(
Continues from a state() of an object with the same manifest, exactly as that one would have. Raises
InvalidArgumentError, with nothing changed.)");
}

}  // namespace ams::python
