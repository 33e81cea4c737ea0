#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ams/policy/learning_rates.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "option_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_learning_rates(py::module_& m) {
  m.def(
      "recommended_multipliers",
      [](const std::string& strategy, double gamma, std::optional<double> weight,
         std::optional<double> normalization, std::optional<double> head) {
        const LearningRateMultipliers l =
            recommended_multipliers(strategy, gamma, {weight, normalization, head});
        return py::dict("weight_multiplier"_a = l.weight,
                        "normalization_multiplier"_a = l.normalization,
                        "head_multiplier"_a = l.head);
      },
      py::kw_only(), "strategy"_a, "gamma"_a = 0.05, "weight_multiplier"_a = py::none(),
      "normalization_multiplier"_a = py::none(), "head_multiplier"_a = py::none(), R"(
Factors of a learning rate that suits the whole model, for what a strategy trains:

- min(16, 1 / gamma) for a fraction alone, and for last layers beside normalisation layers
- min(4, 1 / sqrt(gamma)) for a gradient-guided fraction beside groups
- 5 for normalisation layers, 4 for the head, where the strategy names them
- 1 for the rest

Given multipliers override these. Roles that the strategy does not name inherit the weight
multiplier. strategy: one of selection_strategy_names(). gamma: in (0, 1]. Gives keyword arguments
of FixedPolicy and of the optimisers. Raises InvalidArgumentError.)");
  m.def(
      "learning_rate_scales",
      [](const Manifest& manifest, const ArrayLike& values) {
        return learning_rate_scales(manifest, ConstFloats(values, "values").span());
      },
      "manifest"_a, "values"_a, R"(
Factors of the learning rate by tensor, so that one rate suits networks with weights of different
sizes. A parameter of two or more extents with a root mean square below 0.4 learns in proportion,
down to a sixteenth. All others have 1. Policies with learning_rates_by_size use these factors.

values: float32 [dimension], of the parameters that training begins with. Raises
InvalidArgumentError for another shape, and for values that are not finite.)");
  const auto fields = multiplier_fields();
  py::options without;
  without.disable_function_signatures();
  m.def(
      "learning_rate_ranges",
      [fields](const Manifest& manifest, const std::vector<double>& tensor_scales,
               py::kwargs arguments) {
        AdamOptions adam;
        adam.multipliers = fields.parse(std::move(arguments), "learning_rate_ranges");
        return to_tuples(learning_rate_ranges(manifest, adam, tensor_scales));
      },
      "manifest"_a, py::kw_only(), "tensor_scales"_a = std::vector<double>{},
      signature_doc("learning_rate_ranges",
                    "manifest: Manifest, *, tensor_scales: collections.abc.Sequence[float] = [], " +
                        fields.signature(),
                    "list[tuple[int, int, float]]",
                    "(begin, end, multiplier) of the coordinates begin to end - 1 whose "
                    "multiplier is not 1, ascending.\n"
                    "    tensor_scales: another factor for each tensor, in (0, 1], as "
                    "learning_rate_scales() gives them; empty: 1\n" +
                        fields.doc() + "Raises InvalidArgumentError.")
          .c_str());
}

}  // namespace ams::python
