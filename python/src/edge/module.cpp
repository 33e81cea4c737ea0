#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "ams/runtime/log.hpp"
#include "common/clock.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "edge/common.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

PYBIND11_MODULE(_edge, m) {
  using namespace ams::python;
  register_errors();
  m.doc() = "Bindings of what ams-edge is made of; use ams.edge.";
  py::module_::import("ams._core");  // has the types of the state machines
  bind_device(m);
  bind_video_source(m);
  bind_prediction_output(m);

  m.def("now_seconds", &ams::now_seconds, "On the clock of DueFrame.due_seconds.");
  m.def(
      "configure_log",
      [](const std::string& level, const std::string& format) {
        ams::log::logger().configure(ams::parse_log_level(level), ams::parse_log_format(format));
      },
      "level"_a, "format"_a,
      "Which events go to stderr, from 'debug', 'info', 'warning' or 'error' on, as 'text' or "
      "'json'.");
  m.def(
      "log",
      [](const std::string& level, const std::string& event,
         const std::vector<std::pair<std::string, std::string>>& fields) {
        std::vector<ams::LogField> written;
        for (const auto& [name, value] : fields) written.push_back({name, value});
        ams::log::logger().write(ams::parse_log_level(level), event, written);
      },
      "level"_a, "event"_a, "fields"_a, "One event; names and values of its fields.");
  m.def(
      "flush_log", [] { ams::log::logger().flush(); }, NoGil(), "Waits until it is written.");
  m.def(
      "require_writable", [](const std::string& path) { ams::require_writable(path); }, "path"_a,
      NoGil(), "Raises IoError unless the file can be written; makes its folder.");
  m.def(
      "write_file_atomically",
      [](const std::string& path, const std::string& text) {
        ams::write_file_atomically(path, std::string_view(text));
      },
      "path"_a, "text"_a, NoGil(), "A reader finds the old file or the whole new one.");
}
