#include "ams/session/edge_client.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "bindings.hpp"
#include "fields.hpp"
#include "objects.hpp"
#include "session/client_state.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

void bind_actions(py::module_& m) {
  py::class_<ConnectToServer>(m, "ConnectToServer", R"(
Open a connection, then call on_connected(), or on_disconnected() when that fails.)")
      .def("__repr__", [](const ConnectToServer&) { return "<ConnectToServer>"; });
  py::class_<SendToServer>(m, "SendToServer", "Send on the open connection, in order.")
      .def_readonly("message", &SendToServer::message, "Hello, FrameBatch, Ack, Refusal or Bye.")
      .def("__repr__", [](const SendToServer& self) {
        return "<SendToServer: " + repr_text(py::cast(self.message)) + ">";
      });
  using Encode = EncodeBuffer;
  py::class_<Encode>(m, "EncodeBuffer", R"(
Compress these frames together (section 3.2), then call on_encoded() or on_encode_failed().)")
      .def_readonly("batch_id", &Encode::batch_id, "For the answer.")
      .def_readonly("frames", &Encode::frames, "The objects given to on_frame(), at least one.")
      .def_readonly("capture_seconds", &Encode::capture_seconds,
                    "One per frame, strictly ascending.")
      .def_readonly("period_seconds", &Encode::period_seconds,
                    "How much video they stand for: times the bitrate it is the bits to spend.")
      .def("__repr__", [](const Encode& self) {
        return "<EncodeBuffer " + std::to_string(self.batch_id) + ": " +
               std::to_string(self.frames.size()) + " frames>";
      });
  py::class_<Publish>(m, "Publish", R"(
held has a new value: load its values into the inactive copy of the model and swap, then call
on_published(version).)")
      .def_readonly("version", &Publish::version, "ModelVersion.")
      .def("__repr__", [](const Publish& self) {
        return "<Publish of version " + std::to_string(self.version.number) + ">";
      });
  py::class_<Persist>(
      m, "Persist",
      "held has a new value: save encode_snapshot(held) where a restarted device finds it.")
      .def_readonly("version", &Persist::version, "ModelVersion.")
      .def("__repr__", [](const Persist& self) {
        return "<Persist of version " + std::to_string(self.version.number) + ">";
      });
  py::class_<DisconnectServer>(m, "DisconnectServer", R"(
Send what is queued, then close the connection, or give up opening one, and call
on_disconnected().)")
      .def_readonly("reason", &DisconnectServer::reason, "For logs.")
      .def("__repr__",
           [](const DisconnectServer& self) { return "<DisconnectServer: " + self.reason + ">"; });
}

void bind_counters(py::module_& m) {
  using C = ClientCounters;
  Fields<C> counters;
  counters.add("frames", &C::frames, "Seen.")
      .add("frames_sampled", &C::frames_sampled, "Of them, sampled.")
      .add("frames_dropped", &C::frames_dropped, "Sampled, but the buffer was full.")
      .add("scene_changes", &C::scene_changes, "That were acted on.")
      .add("frames_invalid", &C::frames_invalid, "Their capture time was not in [0, 1e11] s.")
      .add("batches", &C::batches, "Sent, each counted once.")
      .add("batch_bytes", &C::batch_bytes, "Of bitstream.")
      .add("batches_sent_again", &C::batches_sent_again, "After a reconnection.")
      .add("batches_failed", &C::batches_failed, "Could not be encoded.")
      .add("batches_refused", &C::batches_refused,
           "Given up, because the server faults what was sent.")
      .add("updates", &C::updates, "Applied.")
      .add("update_bytes", &C::update_bytes, "Of updates.")
      .add("snapshots", &C::snapshots, "Taken over.")
      .add("snapshot_bytes", &C::snapshot_bytes, "Of snapshots.")
      .add("refusals", &C::refusals, "Updates and snapshots refused.")
      .add("connections", &C::connections, "That got a Welcome.")
      .add("disconnections", &C::disconnections, "Failed attempts included.");
  py::class_<C> cls(m, "ClientCounters", "What a client has done so far.");
  counters.define_attributes(cls, "ClientCounters");
}

}  // namespace

void bind_edge_client(py::module_& m) {
  bind_actions(m);
  bind_counters(m);
  using E = EdgeClient;
  py::class_<E> client(m, "EdgeClient", R"(
The device's half of AMS, as a state machine without I/O, clock or threads: events go in, actions
(ConnectToServer, SendToServer, EncodeBuffer, Publish, Persist, DisconnectServer) come out, to be
carried out in order. docs/sessions.md describes both ends.

It holds the device's model state, samples frames at the server's rate, sends them every T_update,
applies updates as transactions, and comes back after every loss of connection. Frames are any
objects. Every event takes now_seconds, the driver's clock, finite. Whatever a server sends, no
event raises; what the driver may not do raises InvalidArgumentError and changes nothing. Not
thread-safe.)");
  client
      .def(py::init([](const ModelState& initial, const ClientOptions& options) {
             return std::make_unique<E>(initial, options);
           }),
           "initial"_a, "options"_a,
           "initial: w_0, or the state that Persist saved; the driver's model has these values "
           "loaded already.")
      .def("on_start", &E::on_start, "now_seconds"_a, "The driver begins.")
      .def("on_connected", &E::on_connected, "now_seconds"_a, "The answer to ConnectToServer.")
      .def("on_disconnected", &E::on_disconnected, "reason"_a, "now_seconds"_a,
           "The connection is gone or could not be opened.")
      .def("on_message", &E::on_message, "message"_a, "now_seconds"_a,
           py::call_guard<py::gil_scoped_release>(), R"(
A message of the server has come. An update or snapshot moves held as a whole or not at all. Runs
without the GIL: no other thread may use this client meanwhile, not even its properties.)")
      .def("on_stop", &E::on_stop, "reason"_a, "now_seconds"_a,
           "Says Bye and stays away until on_start().")
      .def("on_frame", &E::on_frame, "capture_seconds"_a, "frame"_a, "now_seconds"_a, R"(
A frame of the video, on its own timeline; the handle is kept only if it is sampled.)")
      .def("on_scene_change", &E::on_scene_change, "now_seconds"_a, R"(
The video shows something new, as the driver's own student tells. The next frame is sampled and
leaves at once, and for ClientOptions.scene_change_seconds frames are sampled more often.)")
      .def("wants_frame", &E::wants_frame, "capture_seconds"_a,
           "Would on_frame() sample a frame of this time?")
      .def(
          "on_encoded",
          [](E& self, std::uint64_t batch_id, const BytesLike& bitstream, double now_seconds) {
            return self.on_encoded(batch_id, ConstBytes(bitstream, "bitstream").copy(),
                                   now_seconds);
          },
          "batch_id"_a, "bitstream"_a, "now_seconds"_a, "The answer to EncodeBuffer: bytes.")
      .def("on_encode_failed", &E::on_encode_failed, "batch_id"_a, "now_seconds"_a,
           "The batch is lost.")
      .def("on_published", &E::on_published, "version"_a, "now_seconds"_a,
           "The driver now runs this version.")
      .def("on_time", &E::on_time, "now_seconds"_a, "next_wake_seconds has come.");
  define_client_state(client, [](const E& self) -> const E& { return self; });
}

}  // namespace ams::python
