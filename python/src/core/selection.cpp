#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/coordinate_choice.hpp"
#include "ams/core/selection.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// As pybind11 holds strategies.
std::shared_ptr<SelectionStrategy> held(StrategyPtr strategy) {
  return std::const_pointer_cast<SelectionStrategy>(std::move(strategy));
}

void bind_strategies(py::module_& m) {
  py::class_<SelectionStrategy, std::shared_ptr<SelectionStrategy>>(m, "Strategy", R"(
Which coordinates a training phase trains and sends (section 3.1.2, table 3): a value that serves
any number of sessions. unite() combines two.)")
      .def_property_readonly("name", &SelectionStrategy::name,
                             "For reports, e.g. 'normalization+last_layers'.")
      .def("required_gradients", &SelectionStrategy::required_gradients, "manifest"_a, R"(
For each tensor of the manifest: must its gradient be computed? Raises InvalidArgumentError when the
manifest lacks what the strategy trains.)")
      .def("__repr__",
           [](const SelectionStrategy& self) { return "<Strategy " + self.name() + ">"; });

  const auto define = [&](const char* name, StrategyPtr (*make)(), const char* doc) {
    m.def(
        name, [make] { return held(make()); }, doc);
  };
  const auto define_fraction = [&](const char* name, StrategyPtr (*make)(double), const char* doc) {
    m.def(
        name, [make](double gamma) { return held(make(gamma)); }, "gamma"_a, doc);
  };
  define("full", &full, "The Strategy of all trainable coordinates, which is Adam.");
  define("normalization", &normalization,
         "The Strategy of scale and shift of every normalisation layer.");
  define("normalization_and_head", &normalization_and_head, "These and the classifier.");
  define_fraction("gradient_guided", &gradient_guided, R"(
The Strategy of the fraction, in (0, 1], with the largest |u| of the phase before (Algorithm 2). In
a unite() it takes as many of the coordinates that the others leave, and keeps those of the phase
before.)");
  define_fraction("random_fraction", &random_fraction,
                  "The Strategy of another random fraction in every phase, in (0, 1].");
  define_fraction("first_layers", &first_layers,
                  "The Strategy of the fraction that comes first in the manifest, in (0, 1].");
  define_fraction("last_layers", &last_layers,
                  "The Strategy of the fraction that comes last in the manifest, in (0, 1].");
  define_fraction("first_and_last_layers", &first_and_last_layers,
                  "The Strategy of half of the fraction first and half of it last, in (0, 1].");
  m.def(
      "unite",
      [](const std::shared_ptr<SelectionStrategy>& first,
         const std::shared_ptr<SelectionStrategy>& second) { return held(unite(first, second)); },
      py::arg("first").none(false), py::arg("second").none(false),
      "The Strategy of what both choose, `first` first.");
  m.def(
      "make_selection_strategy",
      [](const std::string& name, double gamma) {
        return held(make_selection_strategy(name, gamma));
      },
      "name"_a, "gamma"_a = 0.05,
      "The Strategy of a name of selection_strategy_names(). Raises InvalidArgumentError.");
}

}  // namespace

void bind_selection(py::module_& m) {
  bind_strategies(m);
  m.def(
      "selection_strategy_names",
      [] {
        return std::vector<std::string>(selection_strategy_names().begin(),
                                        selection_strategy_names().end());
      },
      R"(
The strategies of section 3.1.2 and table 3, e.g. 'gradient_guided', and those by group:
'normalization', 'normalization_and_head', both also with '+gradient_guided' (a fraction of the
other coordinates), and 'normalization+last_layers'. A group needs tensors of its role.)");
  m.def(
      "largest_by_magnitude",
      [](const ArrayLike& update, std::size_t count) {
        const ConstFloats values(update, "update");
        const py::gil_scoped_release no_gil;
        return largest_by_magnitude(values.span(), count);
      },
      "update"_a, "count"_a, R"(
The `count` coordinates of largest |update|; among equals the lower index wins. update: float32
[dimension]. Raises InvalidArgumentError unless count <= dimension.)");
  m.def(
      "random_coordinates",
      [](std::size_t dimension, std::size_t count, std::uint64_t seed) {
        Random random(seed);
        return random_coordinates(dimension, count, random);
      },
      "dimension"_a, "count"_a, py::kw_only(), "seed"_a = 0, R"(
`count` coordinates below `dimension`, uniformly without replacement, the same for a seed on every
machine.)");
  m.def("fraction_count", &fraction_count, "gamma"_a, "dimension"_a, R"(
gamma * dimension, rounded to nearest, at least 1. Raises InvalidArgumentError unless gamma is in
(0, 1].)");
}

}  // namespace ams::python
