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
Spends a downlink budget: tells how large the next update may be, so that over no window the mean is above the budget
and, as long as there is something to send, little of it is left over. Half of what quiet times leave over is kept for
the window's length and goes out when the scene changes. At the start, what a third of a window gives is there in
advance, and is paid back with half of the budget. What cannot wait for an allowance is owed, and taken off later ones.

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
Bytes that the update of this moment may have. update_interval_seconds: T_update, above 0, up to 3600.
scene_changed: what was saved may go out at once. Raises InvalidArgumentError.)")
      .def("steady_bytes", &DownlinkBudget::steady_bytes, "update_interval_seconds"_a,
           "What an update may have on average.")
      .def("spend", &DownlinkBudget::spend, "now_seconds"_a, "update_bytes"_a,
           "update_interval_seconds"_a,
           "An update of so many bytes goes out; it stands for the update_interval_seconds before.")
      .def("owe", &DownlinkBudget::owe, "now_seconds"_a, "bytes"_a, R"(
Bytes go out that nobody asked an allowance for: a connection's handshake, a snapshot. All that is owed, now and from
before, is paid back evenly, over half a window and longer where that would take more than half of the budget, so that
updates go on meanwhile. Raises InvalidArgumentError.)");
}

}  // namespace ams::python
