#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "ams/device/device.hpp"
#include "ams/session/task.hpp"
#include "arrays.hpp"
#include "common/log.hpp"
#include "edge/common.hpp"
#include "errors.hpp"
#include "objects.hpp"
#include "runtime/label_predictor.hpp"
#include "runtime/parts.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// A Device, and the version of its latest prediction. Its threads may wait for the GIL.
class PythonDevice {
 public:
  PythonDevice(DeviceParts parts, DeviceOptions options) {
    parts.on_prediction = [this](const Handle&, const Handle&, ModelVersion version) {
      const std::lock_guard lock(version_mutex_);
      version_ = version;
    };
    const py::gil_scoped_release no_gil;  // both predictors load
    device_.emplace(std::move(parts), std::move(options), log::logger());
    version_ = host().client().held().version();
  }
  ~PythonDevice() {
    const py::gil_scoped_release no_gil;
    device_.reset();
  }
  PythonDevice(const PythonDevice&) = delete;
  PythonDevice& operator=(const PythonDevice&) = delete;

  Handle predict(const Handle& frame) { return host().predict(frame); }

  /// Of the model that made the latest prediction; before the first one, that it begins with.
  ModelVersion version() const {
    const std::lock_guard lock(version_mutex_);
    return version_;
  }

  Device& device() { return *device_; }
  DeviceHost& host() { return device_->host(); }

 private:
  mutable std::mutex version_mutex_;
  ModelVersion version_;
  std::optional<Device> device_;
};

/// Of label maps, unless the task is one of Python's.
std::shared_ptr<Predictor> to_predictor(const py::object& object, bool of_labels) {
  if (of_labels) return std::make_shared<LabelPredictor>(object);
  return std::make_shared<PythonPredictor>(std::make_shared<const Reference>(object));
}

py::dict stages_of(const StageTimes& stages) {
  py::dict result;
  stages.for_each([&](Stage stage, const StageTime& time) {
    result[py::str(std::string(to_string(stage)))] = py::dict(
        "mean"_a = time.mean_seconds(), "max"_a = time.max_seconds, "count"_a = time.count);
  });
  return result;
}

}  // namespace

void bind_device(py::module_& m) {
  py::class_<PythonDevice>(m, "Device",
                           "A device's host, link, encoder and state file; see ams.edge.")
      .def(py::init([](std::shared_ptr<Manifest> manifest, const ArrayLike& values,
                       std::uint64_t fingerprint, const py::object& active,
                       const py::object& inactive, const py::object& task,
                       const std::string& state, const std::string& host, std::uint16_t port,
                       const std::string& ca, bool accept_any_host_name, double uplink_bps,
                       std::pair<int, int> uplink_size, ClientOptions options) {
             DeviceOptions device;
             device.link.host = host;
             device.link.port = port;
             device.link.ca_file = ca;
             device.link.insecure_accept_any_host_name = accept_any_host_name;
             device.codec.encoder.target_bps = uplink_bps;
             std::tie(device.codec.max_width, device.codec.max_height) = uplink_size;
             options.student_fingerprint = fingerprint;
             device.client = std::move(options);
             device.state = state;
             References not_counted;
             const bool of_labels = is_label_task(task);
             DeviceParts parts{
                 .initial = ModelState(std::move(manifest), ConstFloats(values, "values").copy()),
                 .active = to_predictor(active, of_labels),
                 .inactive = to_predictor(inactive, of_labels),
                 .codec = nullptr,
                 .task = share(task.cast<PartOf<Task>>(), not_counted)};
             return std::make_unique<PythonDevice>(std::move(parts), std::move(device));
           }),
           py::kw_only(), "manifest"_a, "values"_a, "fingerprint"_a, "active"_a, "inactive"_a,
           "task"_a, "state"_a, "host"_a, "port"_a, "ca"_a, "accept_any_host_name"_a,
           "uplink_bps"_a, "uplink_size"_a, "options"_a)
      .def(
          "start", [](PythonDevice& self) { self.device().start(); }, NoGil(), "Connects. Once.")
      .def(
          "predict",
          [](PythonDevice& self, const py::object& frame) {
            const Handle handle = to_handle(frame);
            return surface_errors([&] {
              const py::gil_scoped_release no_gil;
              return self.predict(handle);
            });
          },
          "frame"_a, "What the student says of it.")
      .def(
          "offer",
          [](PythonDevice& self, double capture_seconds, Frame frame) {
            frame.capture_seconds = capture_seconds;
            const py::gil_scoped_release no_gil;
            self.host().offer(capture_seconds, Handle::make(std::move(frame)));
          },
          "capture_seconds"_a, "frame"_a, "A frame that may be sampled.")
      .def(
          "close",
          [](PythonDevice& self, const std::string& reason, double timeout_seconds) {
            self.device().close(reason, timeout_seconds);
          },
          "reason"_a, "timeout_seconds"_a, NoGil(),
          "Says goodbye, takes over what has come, saves and ends all threads.")
      .def_property_readonly("version", &PythonDevice::version,
                             "The ModelVersion that made the latest prediction; before, the first.")
      .def_property_readonly(
          "closed", [](PythonDevice& self) { return self.device().is_closed(); }, "After close().")
      .def_property_readonly(
          "status",
          [](PythonDevice& self) {
            const DeviceHost::Status now = self.host().status();
            return py::dict("sampling_rate_fps"_a = now.sampling_rate_fps,
                            "update_interval_seconds"_a = now.update_interval_seconds,
                            "streaming"_a = now.streaming, "model_version"_a = now.model_version,
                            "downlink_bytes"_a = now.link.downlink_bytes,
                            "uplink_bytes"_a = now.link.uplink_bytes);
          },
          "How the device stands, by name.")
      .def_property_readonly(
          "counters",
          [](PythonDevice& self) {
            const py::gil_scoped_release no_gil;
            return self.host().counters();
          },
          "ClientCounters.")
      .def_property_readonly(
          "swap_seconds", [](PythonDevice& self) { return self.host().swap_seconds(); },
          "What loading and swapping took, for the latest models.")
      .def_property_readonly(
          "stages", [](PythonDevice& self) { return stages_of(self.host().stages()); },
          "mean, max (seconds) and count of every stage that occurred.")
      .def_property_readonly(
          "held",
          [](PythonDevice& self) {
            if (!self.device().is_closed()) throw_invalid("held is there after close()");
            return ModelState(self.host().client().held());
          },
          "The ModelState at the end. After close().");
}

}  // namespace ams::python
