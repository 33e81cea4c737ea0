#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "ams/runtime/executor.hpp"
#include "ams/runtime/frame_codec.hpp"
#include "ams/runtime/log_sink.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/runtime/session_store.hpp"
#include "ams/runtime/teacher.hpp"
#include "ams/runtime/transport.hpp"
#include "ams/session/training_job.hpp"
#include "arrays.hpp"
#include "objects.hpp"
#include "session/training_job.hpp"

/// The parts of hosts that are Python objects: any that has the methods (ams/parts.py).
namespace ams::python {

/// A part that calls a Python object.
template <class Part>
class PythonPart : public Part {
 public:
  explicit PythonPart(std::shared_ptr<const Reference> object) : object_(std::move(object)) {}

 protected:
  template <class Result = void, class... Arguments>
  Result call(const char* name, Arguments&&... arguments) const {
    return call_method<Result>(object_->get(), name, std::forward<Arguments>(arguments)...);
  }
  template <class Result>
  Result get(const char* name) const {
    const py::gil_scoped_acquire gil;
    return call_python([&] { return object_->get().attr(name).template cast<Result>(); });
  }
  /// Of a manifest that a reference is returned to.
  const std::shared_ptr<const Manifest>& keep_manifest() const {
    if (!manifest_) manifest_ = get<std::shared_ptr<Manifest>>("manifest");
    return manifest_;
  }

 private:
  std::shared_ptr<const Reference> object_;
  mutable std::shared_ptr<const Manifest> manifest_;
};

struct PythonTeacher final : PythonPart<Teacher> {
  using PythonPart::PythonPart;
  Handle label(const Handle& frame, double capture_seconds) override {
    return call<Handle>("label", frame, capture_seconds);
  }
};

struct PythonTrainer final : PythonPart<Trainer> {
  using PythonPart::PythonPart;
  const std::shared_ptr<const Manifest>& manifest() const override { return keep_manifest(); }
  TrainingResult train(TrainingJob job) override {
    const py::gil_scoped_acquire gil;
    const py::object shared = py::cast(std::move(job));
    TrainingResult result = call<TrainingResult>("train", shared);
    require_scores(shared, result.scores);
    return result;
  }
};

struct PythonPredictor final : PythonPart<Predictor> {
  using PythonPart::PythonPart;
  const std::shared_ptr<const Manifest>& manifest() const override { return keep_manifest(); }
  void load(std::span<const float> values) override {
    const py::gil_scoped_acquire gil;
    call("load", to_array(std::vector<float>(values.begin(), values.end())));
  }
  Handle predict(const Handle& frame) override { return call<Handle>("predict", frame); }
};

struct PythonFrameCodec final : PythonPart<FrameCodec> {
  using PythonPart::PythonPart;
  Handle reduce(const Handle& frame) const override { return call<Handle>("reduce", frame); }
  Bytes encode(std::span<const Handle> frames, double period_seconds) const override {
    return call<Bytes>("encode", std::vector<Handle>(frames.begin(), frames.end()), period_seconds);
  }
  std::vector<Handle> decode(std::span<const std::byte> bitstream,
                             std::span<const double> capture_seconds) const override {
    const py::gil_scoped_acquire gil;
    return call<std::vector<Handle>>(
        "decode", to_bytes(bitstream),
        std::vector<double>(capture_seconds.begin(), capture_seconds.end()));
  }
};

struct PythonExecutor final : PythonPart<Executor> {
  using PythonPart::PythonPart;
  double now_seconds() const override { return get<double>("now_seconds"); }
  void post(std::function<void()> function) override {
    const py::gil_scoped_acquire gil;
    call("post", py::cpp_function(std::move(function)));
  }
  void submit(Work work) override { call("submit", std::move(work)); }
  void forget(const std::string& session) override { call("forget", session); }
};

struct PythonServerTransport final : PythonPart<ServerTransport> {
  using PythonPart::PythonPart;
  void send(ConnectionId connection, ServerMessage message) override {
    call("send", connection, std::move(message));
  }
  void close(ConnectionId connection, const std::string& reason) override {
    call("close", connection, reason);
  }
  LinkCounters counters(ConnectionId connection) const override {
    const auto [up, down] = call<std::pair<std::uint64_t, std::uint64_t>>("counters", connection);
    return {up, down};
  }
};

struct PythonDeviceTransport final : PythonPart<DeviceTransport> {
  using PythonPart::PythonPart;
  void connect() override { call("connect"); }
  void send(DeviceMessage message) override { call("send", std::move(message)); }
  void close(const std::string& reason) override { call("close", reason); }
  LinkCounters counters() const override {
    const auto [up, down] = call<std::pair<std::uint64_t, std::uint64_t>>("counters");
    return {up, down};
  }
};

struct PythonSessionStore final : PythonPart<SessionStore> {
  using PythonPart::PythonPart;
  std::optional<SessionRecord> load(const std::string& device_id) override {
    return call<std::optional<SessionRecord>>("load", device_id);
  }
  void save(const SessionRecord& record) override { call("save", record); }
  void erase(const std::string& device_id) override { call("erase", device_id); }
};

struct PythonLogSink final : PythonPart<LogSink> {
  using PythonPart::PythonPart;
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    constexpr const char* levels[] = {"debug", "info", "warning", "error"};
    const py::gil_scoped_acquire gil;
    py::dict values;
    for (const LogField& field : fields) {
      values[py::str(field.name.data(), field.name.size())] =
          std::visit([](const auto& value) -> py::object { return py::cast(value); }, field.value);
    }
    call("write", levels[static_cast<std::size_t>(level)], std::string(event), values);
  }
};

}  // namespace ams::python
