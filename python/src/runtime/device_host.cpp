#include "ams/runtime/device_host.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "ams/runtime/model_journal.hpp"
#include "bindings.hpp"
#include "runtime/parts.hpp"
#include "session/client_state.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using Save = py::typing::Union<ModelJournal, py::typing::Callable<void(ModelState)>, py::none>;
using SaveFunction = std::function<void(const ModelState&, std::span<const Bytes>)>;
using OnPrediction =
    py::typing::Optional<py::typing::Callable<void(py::object, py::object, ModelVersion)>>;

/// A host with what it refers to.
struct PythonDeviceHost {
  PythonExecutor executor;
  PythonDeviceTransport transport;
  std::optional<PythonLogSink> log;
  DeviceHost host;

  PythonDeviceHost(DeviceParts parts, const ClientOptions& options,
                   const py::object& executor_object, const py::object& transport_object,
                   const py::object& log_object, References& references)
      : executor(share(executor_object, references)),
        transport(share(transport_object, references)),
        log(log_object.is_none()
                ? std::nullopt
                : std::make_optional<PythonLogSink>(share(log_object, references))),
        host(std::move(parts), options, executor, transport, log ? &*log : nullptr) {}
};

using Host = Collectable<PythonDeviceHost>;

struct ClientView {
  py::object owner;
  const EdgeClient& get() const { return owner.cast<const Host&>().get().host.client(); }
};

/// A Python function of these arguments; none for None.
template <class... Arguments>
std::function<void(Arguments...)> callback(const py::object& function, References& references) {
  if (function.is_none()) return {};
  return [shared = share(function, references)](Arguments... arguments) {
    call_method(shared->get(), "__call__", arguments...);
  };
}

/// A ModelJournal, or a function of the state.
SaveFunction save_function(const py::object& save, References& references) {
  if (save.is_none()) return {};
  if (py::isinstance<ModelJournal>(save)) {
    return [journal = save.cast<std::shared_ptr<ModelJournal>>()](
               const ModelState& state, std::span<const Bytes> updates) {
      journal->save(state, updates);
    };
  }
  return [call = callback<const ModelState&>(save, references)](
             const ModelState& state, std::span<const Bytes>) { call(state); };
}

}  // namespace

void bind_device_host(py::module_& m) {
  py::class_<ClientView> view(m, "ClientView", "The EdgeClient of a DeviceHost, to look at.");
  define_client_state(view, [](const ClientView& self) -> const EdgeClient& { return self.get(); });

  py::class_<Host>(m, "DeviceHost", Host::type_setup(), R"(
A device whose student a server adapts while it runs: connects an EdgeClient to a transport, a frame
codec and the running model, and performs the client's actions. Its parts are any objects with the
methods of ams.parts.

A part that raises an ams.Error costs a frame, a batch or an update, and a line in the log. Any
other exception comes out of the call that led to it. Use it with an executor in virtual time, in
one thread.)")
      .def(
          py::init(
              [](const ModelState& initial, const py::object& active, const py::object& inactive,
                 const py::object& codec, const py::object& executor, const py::object& transport,
                 const ClientOptions& options, const Save& save, const OnPrediction& on_prediction,
                 const py::object& task, const py::object& log) {
                References references;
                const auto predictor = [&](const py::object& object) {
                  return std::make_shared<PythonPredictor>(share(object, references));
                };
                DeviceParts parts{
                    .initial = initial,
                    .active = predictor(active),
                    .inactive = predictor(inactive.is_none() ? active : inactive),
                    .codec = std::make_shared<PythonFrameCodec>(share(codec, references)),
                    .task = task.is_none() ? nullptr : share(task.cast<PartOf<Task>>(), references),
                    .save = save_function(save, references),
                    .on_prediction = callback<const Handle&, const Handle&, ModelVersion>(
                        on_prediction, references)};
                auto host = surface_errors([&] {
                  return std::make_unique<PythonDeviceHost>(std::move(parts), options, executor,
                                                            transport, log, references);
                });
                return std::make_unique<Host>(std::move(host), std::move(references));
              }),
          py::kw_only(), "initial"_a, "active"_a, "inactive"_a = py::none(), "codec"_a,
          "executor"_a, "transport"_a, "options"_a = ClientOptions{}, "save"_a = py::none(),
          "on_prediction"_a = py::none(), "task"_a = py::none(), "log"_a = py::none(), R"(
initial: w_0, or the state that `save` got last; it is loaded into both predictors. active,
inactive: two copies of the student; None: in one thread, one object does. save: keeps the
ModelState for a restart: a ModelJournal, or a function of it. on_prediction: gets every frame, its
prediction and the ModelVersion that made it. task: a Task that compares predictions, so that scene
changes are seen at once; None: none is seen. Raises InvalidArgumentError, and what the predictors
raise.)")
      .def(
          "start", [](const Host& self) { surface_errors([&] { self.get().host.start(); }); },
          "Connects. No effect unless client.stopped.")
      .def(
          "predict",
          [](const Host& self, const Handle& frame) { return self.get().host.predict(frame); },
          "frame"_a, "With the newest model. Raises what the predictor raises.")
      .def(
          "offer",
          [](const Host& self, double capture_seconds, const Handle& frame) {
            surface_errors([&] { self.get().host.offer(capture_seconds, frame); });
          },
          "capture_seconds"_a, "frame"_a, "A frame that may be sampled.")
      .def(
          "leave",
          [](const Host& self, const std::string& reason) {
            surface_errors([&] { self.get().host.leave(reason); });
          },
          "reason"_a = "",
          "Says goodbye; what the server has sent before its own Bye is still applied.")
      .def(
          "on_connected",
          [](const Host& self) { surface_errors([&] { self.get().host.on_connected(); }); },
          "The transport has connected.")
      .def(
          "on_message",
          [](const Host& self, const ServerMessage& message) {
            surface_errors([&] { self.get().host.on_message(message); });
          },
          "message"_a, "A message of the server has come.")
      .def(
          "on_disconnected",
          [](const Host& self, const std::string& reason) {
            surface_errors([&] { self.get().host.on_disconnected(reason); });
          },
          "reason"_a = "", "Once for each connect(), whether on_connected() came or not.")
      .def(
          "on_time", [](const Host& self) { surface_errors([&] { self.get().host.on_time(); }); },
          "next_wake_seconds has come.")
      .def_property_readonly(
          "next_wake_seconds", [](const Host& self) { return self.get().host.next_wake_seconds(); },
          "When on_time() is wanted next; None while the client waits for other events.")
      .def_property_readonly(
          "model_version", [](const Host& self) { return self.get().host.status().model_version; },
          "Number of the version that predicts.")
      .def_property_readonly(
          "client", [](const py::object& self) { return ClientView{self}; },
          "The ClientView of its EdgeClient.");
}

}  // namespace ams::python
