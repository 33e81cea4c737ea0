#include <pybind11/pybind11.h>

#include <string>
#include <utility>

#include "ams/policy/budget/downlink_budget.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "policy/policy_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

struct Arguments {
  DownlinkBudgetOptions options;
  double start_seconds = 0;
};

}  // namespace

void bind_downlink_budget(py::module_& m) {
  Fields<Arguments> fields;
  fields
      .include(
          budget_fields(), [](Arguments & a) -> auto& { return a.options; })
      .add("start_seconds", &Arguments::start_seconds, "when the first window begins");
  py::class_<DownlinkBudget> budget(m, "DownlinkBudget", R"(
Tells how large the next update may be, so that no window's mean exceeds the downlink budget.

- Half of what quiet times save is kept for a window and spent when the scene changes.
- At the start a third of a window is advanced. Half of the budget repays it.
- Bytes that cannot wait are owed (owe()). Debt reduces later allowances.

    budget = DownlinkBudget(budget_bps=2000)
    most = budget.allowance_bytes(now, update_interval, scene_changed=changed)
    update = ...                              # the best that fits into `most` bytes
    budget.spend(now, len(update), update_interval)

BudgetPolicy(budget_bps=...) does this itself. It has no clock: the caller passes the time, in
seconds on a timeline that does not go back. Not thread-safe.)");
  fields.define_init(budget, "DownlinkBudget",
                     [](const Arguments& a) { return DownlinkBudget(a.options, a.start_seconds); });
  budget
      .def("allowance_bytes", &DownlinkBudget::allowance_bytes, "now_seconds"_a,
           "update_interval_seconds"_a, py::kw_only(), "scene_changed"_a = false, R"(
The most bytes that an update may have now. update_interval_seconds: T_update, above 0, up to 3600.
scene_changed: spends what was saved. Raises InvalidArgumentError.)")
      .def("steady_bytes", &DownlinkBudget::steady_bytes, "update_interval_seconds"_a,
           "What an update may have on average.")
      .def("spend", &DownlinkBudget::spend, "now_seconds"_a, "update_bytes"_a,
           "update_interval_seconds"_a,
           "An update of so many bytes goes out; it stands for the update_interval_seconds before.")
      .def("owe", &DownlinkBudget::owe, "now_seconds"_a, "bytes"_a, R"(
Counts bytes that needed no allowance: a connection's handshake, a snapshot. Repays all debt evenly
over half a window; over a longer time where that would take more than half of the budget. Raises
InvalidArgumentError.)");
}

}  // namespace ams::python
