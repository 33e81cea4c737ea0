#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "ams/runtime/record_sink.hpp"
#include "ams/segmentation/prediction_record.hpp"
#include "arrays.hpp"
#include "common/log.hpp"
#include "edge/common.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

struct PredictionOutput {
  PredictionFormat format;
  RecordSink sink;

  PredictionOutput(const std::string& where, PredictionFormat chosen, std::size_t most_bytes)
      : format(chosen), sink(where, options(most_bytes), &log::logger()) {}

  static RecordSinkOptions options(std::size_t most_bytes) {
    RecordSinkOptions result;
    result.max_record_bytes = most_bytes;
    return result;
  }
};

}  // namespace

void bind_prediction_output(py::module_& m) {
  m.def("require_output_place", &require_record_place, "where"_a,
        "Raises InvalidArgumentError, naming the allowed places, for another one.");
  py::class_<PredictionOutput>(m, "PredictionOutput",
                               "Predictions for other programs, as ams-edge --output writes them; "
                               "ams.outputs reads them.")
      .def(py::init([](const std::string& where, const std::string& format, int width, int height) {
             return std::make_unique<PredictionOutput>(where, parse_prediction_format(format),
                                                       prediction_record_bytes(width, height));
           }),
           "where"_a, py::kw_only(), "format"_a, "width"_a, "height"_a,
           "format: 'jsonl' or 'labels'. width, height: of the label maps, pixels.")
      .def(
          "put",
          [](PredictionOutput& self, std::uint64_t frame, double capture_seconds,
             double latency_seconds, std::uint32_t model_version, const LabelMap& labels) {
            self.sink.put(write_prediction(self.format,
                                           {.frame = frame,
                                            .capture_seconds = capture_seconds,
                                            .latency_seconds = latency_seconds,
                                            .model_version = model_version},
                                           labels));
          },
          "frame"_a, "capture_seconds"_a, "latency_seconds"_a, "model_version"_a, "labels"_a,
          "Never waits.")
      .def(
          "finish", [](PredictionOutput& self) { self.sink.finish(); }, NoGil(),
          "Writes what waits.")
      .def_property_readonly(
          "closed", [](const PredictionOutput& self) { return self.sink.closed(); },
          "Whether nobody reads standard output any more.")
      .def_property_readonly(
          "report",
          [](const PredictionOutput& self) {
            const RecordSinkCounters counters = self.sink.counters();
            return py::dict("to"_a = to_str(self.sink.where()), "records"_a = counters.records,
                            "written"_a = counters.written, "lost"_a = counters.lost);
          },
          "Records by what became of them.");
}

}  // namespace ams::python
