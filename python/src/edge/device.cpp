#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/segmentation/segmentation_task.hpp"
#include "ams/video/h264_codec.hpp"
#include "arrays.hpp"
#include "classes.hpp"
#include "common/log.hpp"
#include "edge/common.hpp"
#include "edge/saved_state.hpp"
#include "errors.hpp"
#include "objects.hpp"
#include "runtime/parts.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// A Python predictor of label maps. A frame reaches it as it was given.
class LabelPredictor final : public Predictor {
 public:
  explicit LabelPredictor(const py::object& object)
      : inner_(std::make_shared<const Reference>(object)) {}
  const std::shared_ptr<const Manifest>& manifest() const override { return inner_.manifest(); }
  void load(std::span<const float> values) override { inner_.load(values); }
  Handle predict(const Handle& frame) override {
    const py::gil_scoped_acquire gil;
    const Handle labels = inner_.predict(frame);
    return Handle::make(call_python([&] { return to_object(labels).cast<LabelMap>(); }));
  }

 private:
  PythonPredictor inner_;
};

/// A DeviceHost in real time with all that it needs but its predictors.
class Device {
 public:
  Device(const StudentValues& student, const std::string& state, const py::object& active,
         const py::object& inactive, ClassSubset classes, WebSocketClientOptions link,
         H264CodecOptions codec, ClientOptions options)
      : saved_(open_saved_state(state, student)), link_(std::move(link), executor_) {
    DeviceParts parts{
        .initial = starting_state(saved_, ModelState(student.manifest, student.values)),
        .active = std::make_shared<LabelPredictor>(active),
        .inactive = std::make_shared<LabelPredictor>(inactive),
        .codec = std::make_shared<H264Codec>(codec),
        .task = std::make_shared<SegmentationTask>(std::move(classes))};
    parts.on_prediction = [this](const Handle&, const Handle&, ModelVersion version) {
      predicting_version_ = version.number;
    };
    if (saved_) {
      parts.save = [this](const ModelState& held, std::span<const Bytes> updates) {
        saved_->save(held, updates);
      };
    }
    const py::gil_scoped_release no_gil;  // both predictors load
    host_.emplace(std::move(parts), std::move(options), executor_, link_, &log::logger());
  }

  /// Its threads may wait for the GIL.
  ~Device() {
    const py::gil_scoped_release no_gil;
    stop();
    host_.reset();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void start() {
    executor_.set_tick([this] { host_->on_time(); });
    link_.start(*host_);
    host_->start();
    is_running_ = true;
  }

  std::pair<Handle, std::uint32_t> predict(const Handle& frame) {
    Handle labels = host_->predict(frame);
    return {std::move(labels), predicting_version_};
  }

  void close(const std::string& reason, double timeout_seconds) {
    if (is_running_) {
      host_->leave(reason);
      host_->wait_until_left(timeout_seconds);
    }
    stop();
  }

  DeviceHost& host() { return *host_; }
  bool is_closed() const { return is_stopped_; }

 private:
  void stop() {
    if (is_stopped_.exchange(true)) return;
    is_running_ = false;
    link_.stop();
    executor_.stop();
  }

  std::optional<ModelJournal> saved_;
  ThreadExecutor executor_{&log::logger()};
  WebSocketDeviceTransport link_;
  std::optional<DeviceHost> host_;
  std::uint32_t predicting_version_ = 0;
  bool is_running_ = false;
  std::atomic<bool> is_stopped_ = false;
};

ClientOptions client_options(ClientOptions options, const H264CodecOptions& codec) {
  // Devices that lost a server together must not come back together.
  options.seed = mix64(options.seed ^ byte_digest(std::as_bytes(std::span(options.device_id))));
  const std::size_t rgb_bytes = std::size_t{3} * static_cast<std::size_t>(codec.max_width) *
                                static_cast<std::size_t>(codec.max_height);
  options.max_frames_per_batch = std::min({options.max_frames_per_batch, codec.decoder.max_frames,
                                           codec.decoder.max_rgb_bytes / rgb_bytes});
  return options;
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
  py::class_<Device>(m, "Device", "A device's host, link, encoder and state file; see ams.edge.")
      .def(py::init([](std::shared_ptr<Manifest> manifest, const ArrayLike& values,
                       std::uint64_t fingerprint, const py::object& active,
                       const py::object& inactive, const ClassesLike& classes,
                       const std::string& state, const std::string& host, std::uint16_t port,
                       const std::string& ca, bool accept_any_host_name, double uplink_bps,
                       std::pair<int, int> uplink_size, ClientOptions options) {
             const StudentValues student{std::move(manifest), ConstFloats(values, "values").copy(),
                                         fingerprint};
             WebSocketClientOptions link;
             link.host = host;
             link.port = port;
             link.ca_file = ca;
             link.insecure_accept_any_host_name = accept_any_host_name;
             H264CodecOptions codec;
             codec.encoder.target_bps = uplink_bps;
             std::tie(codec.max_width, codec.max_height) = uplink_size;
             options.student_fingerprint = fingerprint;
             return std::make_unique<Device>(student, state, active, inactive,
                                             to_classes(classes, 255), std::move(link), codec,
                                             client_options(std::move(options), codec));
           }),
           py::kw_only(), "manifest"_a, "values"_a, "fingerprint"_a, "active"_a, "inactive"_a,
           "classes"_a, "state"_a, "host"_a, "port"_a, "ca"_a, "accept_any_host_name"_a,
           "uplink_bps"_a, "uplink_size"_a, "options"_a)
      .def("start", &Device::start, NoGil(), "Connects. Once.")
      .def(
          "predict",
          [](Device& self, const py::object& frame) {
            const Handle handle = to_handle(frame);
            return surface_errors([&] {
              const py::gil_scoped_release no_gil;
              return self.predict(handle);
            });
          },
          "frame"_a, "Label map, and the number of the version that made it.")
      .def(
          "offer",
          [](Device& self, double capture_seconds, Frame frame) {
            frame.capture_seconds = capture_seconds;
            const py::gil_scoped_release no_gil;
            self.host().offer(capture_seconds, Handle::make(std::move(frame)));
          },
          "capture_seconds"_a, "frame"_a, "A frame that may be sampled.")
      .def("close", &Device::close, "reason"_a, "timeout_seconds"_a, NoGil(),
           "Says goodbye, takes over what has come, saves and ends all threads.")
      .def_property_readonly("closed", &Device::is_closed, "After close().")
      .def_property_readonly(
          "status",
          [](Device& self) {
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
          [](Device& self) {
            const py::gil_scoped_release no_gil;
            return self.host().counters();
          },
          "ClientCounters.")
      .def_property_readonly(
          "swap_seconds", [](Device& self) { return self.host().swap_seconds(); },
          "What loading and swapping took, for the latest models.")
      .def_property_readonly(
          "stages", [](Device& self) { return stages_of(self.host().stages()); },
          "mean, max (seconds) and count of every stage that occurred.")
      .def_property_readonly(
          "held",
          [](Device& self) {
            if (!self.is_closed()) throw_invalid("held is there after close()");
            return ModelState(self.host().client().held());
          },
          "The ModelState at the end. After close().");
}

}  // namespace ams::python
