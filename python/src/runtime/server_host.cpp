#include "ams/runtime/server_host.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "runtime/parts.hpp"
#include "runtime/policy_maker.hpp"
#include "session/session_state.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// A host with what it refers to.
struct PythonServerHost {
  PythonExecutor executor;
  PythonServerTransport transport;
  std::optional<PythonLogSink> log;
  ServerHost host;

  PythonServerHost(ServerParts parts, ServerHostOptions options, const py::object& executor_object,
                   const py::object& transport_object, const py::object& log_object,
                   References& references)
      : executor(share(executor_object, references)),
        transport(share(transport_object, references)),
        log(log_object.is_none()
                ? std::nullopt
                : std::make_optional<PythonLogSink>(share(log_object, references))),
        host(std::move(parts), std::move(options), executor, transport, log ? &*log : nullptr) {}
};

using Host = Collectable<PythonServerHost>;

/// A session of a host.
struct SessionView {
  py::object owner;
  std::string device_id;

  const ServerSession& get() const {
    const ServerSession* session = owner.cast<const Host&>().get().host.session(device_id);
    if (session == nullptr) throw_invalid("the host has forgotten the session of " + device_id);
    return *session;
  }
};

}  // namespace

void bind_server_host(py::module_& m) {
  py::class_<SessionView> view(m, "SessionView", "A session of a ServerHost, to look at.");
  define_session_state(view,
                       [](const SessionView& self) -> const ServerSession& { return self.get(); });

  py::class_<Host>(m, "ServerHost", Host::type_setup(), R"(
A server for any number of devices: connects their sessions to a transport, a teacher, a trainer and
a store, and performs the sessions' actions. Its parts are any objects with the methods of
ams.parts.

- A session lives on while its device is away. A device that comes to a full host takes the place of
  the one that has been away longest.
- Labelling and training are Work for the executor.
- A part that raises an ams.Error costs a batch, a phase or a connection, and a line in the log. Any
  other exception comes out of the call that led to it.

Use it with an executor in virtual time, in one thread.)")
      .def(
          py::init([](const ModelState& initial, const PartOf<Task>& task,
                      const MakePolicy& make_policy, const py::object& teacher,
                      const py::object& trainer, const py::object& codec,
                      const py::object& executor, const py::object& transport,
                      const py::object& store, const py::object& log, const SessionOptions& session,
                      std::size_t max_devices, Digest student_fingerprint) {
            References references;
            ServerParts parts{
                .initial = initial,
                .task = share(task, references),
                .make_policy = policy_maker(share(make_policy, references)),
                .teacher = std::make_shared<PythonTeacher>(share(teacher, references)),
                .trainer = std::make_shared<PythonTrainer>(share(trainer, references)),
                .codec = std::make_shared<PythonFrameCodec>(share(codec, references))};
            if (!store.is_none())
              parts.store = std::make_shared<PythonSessionStore>(share(store, references));
            ServerHostOptions options;
            options.session = session;
            options.max_devices = max_devices;
            options.student_fingerprint = student_fingerprint;
            auto host = surface_errors([&] {
              return std::make_unique<PythonServerHost>(std::move(parts), std::move(options),
                                                        executor, transport, log, references);
            });
            return std::make_unique<Host>(std::move(host), std::move(references));
          }),
          py::kw_only(), "initial"_a, "task"_a, "make_policy"_a, "teacher"_a, "trainer"_a,
          "codec"_a, "executor"_a, "transport"_a, "store"_a = py::none(), "log"_a = py::none(),
          "session"_a = SessionOptions{}, "max_devices"_a = ServerHostOptions{}.max_devices,
          "student_fingerprint"_a = 0, R"(
initial: w_0, the same for every device. make_policy: gives a new UpdatePolicy for each session, and
one at once, to see that it fits the model. store: None: sessions live as long as the host. session:
SessionOptions of every session; session_id counts on from it. max_devices: sessions kept.
student_fingerprint: a device that says another one, not 0, is refused. Raises
InvalidArgumentError.)")
      .def(
          "on_connected",
          [](const Host& self, ConnectionId connection, const std::string& peer) {
            surface_errors([&] { self.get().host.on_connected(connection, peer); });
          },
          "connection"_a, "peer"_a = "",
          "A device has connected. connection: a number that is never used twice.")
      .def(
          "on_message",
          [](const Host& self, ConnectionId connection, const DeviceMessage& message) {
            surface_errors([&] { self.get().host.on_message(connection, message); });
          },
          "connection"_a, "message"_a, "A message of it has come; the first one is Hello.")
      .def(
          "on_disconnected",
          [](const Host& self, ConnectionId connection, const std::string& reason) {
            surface_errors([&] { self.get().host.on_disconnected(connection, reason); });
          },
          "connection"_a, "reason"_a = "", "Once for each on_connected().")
      .def(
          "on_time", [](const Host& self) { surface_errors([&] { self.get().host.on_time(); }); },
          "next_wake_seconds has come.")
      .def_property_readonly(
          "next_wake_seconds",
          [](const Host& self) {
            return surface_errors([&] { return self.get().host.next_wake_seconds(); });
          },
          "When on_time() is wanted next; None while all sessions wait for other events.")
      .def(
          "stop", [](const Host& self) { self.get().host.stop(); },
          "No new phase and no new batch begins.")
      .def(
          "metrics", [](const Host& self) { return self.get().host.metrics(); },
          "Prometheus text about the sessions, at most about a second old.")
      .def(
          "session",
          [](const py::object& self, const std::string& device_id) -> std::optional<SessionView> {
            if (self.cast<const Host&>().get().host.session(device_id) == nullptr)
              return std::nullopt;
            return SessionView{self, device_id};
          },
          "device_id"_a, "The SessionView of a device; None before its first good Hello.");
}

}  // namespace ams::python
