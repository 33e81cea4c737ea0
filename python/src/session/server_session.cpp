#include "ams/session/server_session.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "fields.hpp"
#include "forwarding_policy.hpp"
#include "objects.hpp"
#include "session/session_state.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

void bind_actions(py::module_& m) {
  py::class_<SendToDevice>(m, "SendToDevice",
                           "Send to the device, in order, after whatever was sent before.")
      .def_readonly("message", &SendToDevice::message,
                    "Welcome, Control, Update, Snapshot, Fault or Bye.")
      .def("__repr__", [](const SendToDevice& self) {
        return "<SendToDevice: " + repr_text(py::cast(self.message)) + ">";
      });
  py::class_<LabelBatch>(m, "LabelBatch", R"(
Decode and label these frames, then call on_labelled() or on_label_failed(); in any order.)")
      .def_readonly("batch_id", &LabelBatch::batch_id, "For the answer.")
      .def_readonly("capture_seconds", &LabelBatch::capture_seconds,
                    "One per frame, strictly ascending.")
      .def_property_readonly(
          "bitstream", [](const LabelBatch& self) { return to_bytes(self.bitstream.span()); },
          "H.264 Annex B: hostile until decoded.")
      .def("__repr__", [](const LabelBatch& self) {
        return "<LabelBatch " + std::to_string(self.batch_id) + ": " +
               std::to_string(self.capture_seconds.size()) + " frames>";
      });
  py::class_<TrainingDue>(m, "TrainingDue", R"(
Get the session a turn on the trainer, then call begin_phase(). A device that says goodbye meanwhile
withdraws it: ask training_due when the turn has come.)")
      .def("__repr__", [](const TrainingDue&) { return "<TrainingDue>"; });
  py::class_<DisconnectDevice>(m, "DisconnectDevice", R"(
Send what is queued, then close the connection and call on_disconnect().)")
      .def_readonly("reason", &DisconnectDevice::reason, "For logs.")
      .def("__repr__",
           [](const DisconnectDevice& self) { return "<DisconnectDevice: " + self.reason + ">"; });
}

void bind_record(py::module_& m) {
  using C = SessionCounters;
  Fields<C> counters;
  counters.add("connections", &C::connections, "Connections with a good Hello.")
      .add("resumed_in_step", &C::resumed_in_step, "Of them, with nothing to send.")
      .add("resumed_with_updates", &C::resumed_with_updates, "With the missing updates.")
      .add("resumed_with_snapshot", &C::resumed_with_snapshot, "With a snapshot.")
      .add("batches", &C::batches, "Taken.")
      .add("batch_bytes", &C::batch_bytes, "Of bitstream.")
      .add("batches_repeated", &C::batches_repeated, "Sent again by the device, ignored.")
      .add("batches_dropped", &C::batches_dropped, "Too many were waiting for their labels.")
      .add("batches_failed", &C::batches_failed, "Could not be decoded or labelled.")
      .add("samples", &C::samples, "Labelled and in the replay buffer.")
      .add("samples_dropped", &C::samples_dropped, "Too old or too large for it.")
      .add("phases", &C::phases, "That gave an update.")
      .add("phases_failed", &C::phases_failed, "That gave none.")
      .add("phases_abandoned", &C::phases_abandoned,
           "Nobody wanted their result: the device had left, was paused or got another model.")
      .add("phases_withheld", &C::phases_withheld,
           "The policy's plan left no way to write their update.")
      .add("phase_seconds", &C::phase_seconds, "Sum over phases.")
      .add("iterations", &C::iterations, "Training steps of phases that ended well.")
      .add("updates", &C::updates, "Encoded; each counted once.")
      .add("update_bytes", &C::update_bytes, "Of updates.")
      .add("update_coordinates", &C::update_coordinates, "Values in them.")
      .add("updates_sent_again", &C::updates_sent_again, "After a reconnection.")
      .add("snapshots", &C::snapshots, "Sent.")
      .add("snapshot_bytes", &C::snapshot_bytes, "Of snapshots.")
      .add("acks", &C::acks, "That named a version that was sent.")
      .add("acks_wrong", &C::acks_wrong, "That named another.")
      .add("refusals", &C::refusals, "By the device.")
      .add("faults", &C::faults, "Connections ended for a protocol violation.")
      .add("trials", &C::trials, "Phases that tried other states to start from.")
      .add("restarts", &C::restarts, "Of them, those that started from an earlier scene's state.")
      .add("restarts_initial", &C::restarts_initial,
           "And those that started from the un-customised student.")
      .add("score_held", &C::score_held,
           "Running score of what the device holds, on labels that it was not trained on, [0, 1].")
      .add("score_initial", &C::score_initial,
           "And of the un-customised student on the same labels.");
  py::class_<C> cls(m, "SessionCounters", "What a session has done so far.");
  counters.define_attributes(cls, "SessionCounters");

  py::class_<SessionRecord>(m, "SessionRecord", R"(
What a store keeps of a session: what the device holds, and what training needs to go on from it.)")
      .def_readonly("device_id", &SessionRecord::device_id, "Of the device.")
      .def_property_readonly(
          "held", [](const SessionRecord& self) { return ModelState(self.held); },
          "What the device holds, or will: a copy.")
      .def_property_readonly(
          "adam", [](const SessionRecord& self) { return AdamState(self.adam); },
          "Adam's memory: a copy.")
      .def_readonly("last_batch_id", &SessionRecord::last_batch_id, "Newest batch; 0: none.")
      .def_readonly("counters", &SessionRecord::counters, "SessionCounters.")
      .def_readonly("is_paused", &SessionRecord::is_paused, "Whether an operator has paused it.");
}

/// Starts: a ModelState; or a SessionRecord, and the ModelState that its session began with.
template <class... Starts>
std::unique_ptr<Collectable<ServerSession>> begin(const Starts&... starts, const PartOf<Task>& task,
                                                  const PartOf<UpdatePolicy>& policy,
                                                  const SessionOptions& options) {
  References references;
  auto shared_task = share(task, references);
  auto shared_policy = std::make_unique<ForwardingPolicy>(share(policy, references));
  return std::make_unique<Collectable<ServerSession>>(
      std::make_unique<ServerSession>(starts..., std::move(shared_task), std::move(shared_policy),
                                      options),
      std::move(references));
}

}  // namespace

void bind_server_session(py::module_& m) {
  bind_actions(m);
  bind_record(m);
  using S = Collectable<ServerSession>;
  py::class_<S> session(m, "ServerSession", S::type_setup(), R"(
Algorithm 1 for one device, as a state machine without I/O, clock or threads: events go in, actions
(SendToDevice, LabelBatch, TrainingDue, DisconnectDevice) come out, to be carried out in order.
docs/sessions.md describes both ends.

It owns what the device holds, the replay buffer and Adam's memory, and lives on while the device is
away. The policy decides what a phase trains, when, and how its update is written; the task what a
sample is. Every event takes now_seconds, the driver's clock, finite. Whatever a device sends, no
event raises; what the driver may not do raises InvalidArgumentError and changes nothing. What task
and policy raise as ams.Error costs at most the phase; any other exception comes out of the event.
Not thread-safe.)");
  session
      .def(py::init(&begin<ModelState>), "initial"_a, "task"_a, "policy"_a,
           "options"_a = SessionOptions{}, R"(
initial: w_0. task: a Task. policy: an UpdatePolicy, for this session alone. Raises
InvalidArgumentError when the policy does not fit the model.)")
      .def_static("from_record", &begin<SessionRecord, ModelState>, "record"_a, "initial"_a,
                  "task"_a, "policy"_a, "options"_a = SessionOptions{},
                  "Goes on from what record() gave, with the w_0 of that session; otherwise as "
                  "__init__.")
      .def(
          "on_message",
          [](S& self, const DeviceMessage& message, double now_seconds) {
            return self.get().on_message(message, now_seconds);
          },
          "message"_a, "now_seconds"_a, "A message of the device has come.")
      .def(
          "on_disconnect",
          [](S& self, double now_seconds) { return self.get().on_disconnect(now_seconds); },
          "now_seconds"_a,
          "The connection is gone, whoever ended it. Also before a newer connection's Hello.")
      .def(
          "on_labelled",
          [](S& self, std::uint64_t batch_id, const py::iterable& samples, double now_seconds) {
            std::vector<TimedSample> timed;
            for (const py::handle item : samples) {
              if (!PySequence_Check(item.ptr()) || py::len(item) != 2) {
                throw_invalid("a sample of on_labelled is " + repr_text(item) +
                              "; allowed is (capture_seconds, sample)");
              }
              const py::object first = item[py::int_(0)];
              TimedSample one;
              read_argument(one.capture_seconds, "capture_seconds", first);
              one.sample = to_handle(item[py::int_(1)]);
              timed.push_back(std::move(one));
            }
            return self.get().on_labelled(batch_id, std::move(timed), now_seconds);
          },
          "batch_id"_a, "samples"_a, "now_seconds"_a, R"(
The answer to LabelBatch. samples: (capture_seconds, sample) each, with capture times of that batch,
strictly ascending; frames without a label may be left out.)")
      .def(
          "on_label_failed",
          [](S& self, std::uint64_t batch_id, double now_seconds) {
            return self.get().on_label_failed(batch_id, now_seconds);
          },
          "batch_id"_a, "now_seconds"_a, "The batch is lost.")
      .def(
          "begin_phase",
          [](S& self, double now_seconds) { return self.get().begin_phase(now_seconds); },
          "now_seconds"_a, R"(
The TrainingJob that TrainingDue announced, with the newest samples. Raises InvalidArgumentError
unless training_due.)")
      .def(
          "on_phase_done",
          [](S& self, const TrainingResult& result, double now_seconds) {
            TrainingResult copy = result;
            const py::gil_scoped_release no_gil;
            return self.get().on_phase_done(std::move(copy), now_seconds);
          },
          "result"_a, "now_seconds"_a, R"(
Encodes the update, moves held and sends it. A result that is not finite counts as a failed phase.
Runs without the GIL: no other thread may use this session meanwhile, not even its properties.
Raises InvalidArgumentError when no phase is out or sizes are wrong.)")
      .def(
          "on_phase_failed",
          [](S& self, const std::string& reason, double now_seconds) {
            return self.get().on_phase_failed(Error(ErrorCode::unavailable, reason), now_seconds);
          },
          "reason"_a, "now_seconds"_a,
          "Nothing is lost but the phase; the next one comes after T_update, while the device is "
          "away only when new samples come.")
      .def(
          "record", [](const S& self) { return self.get().record(); },
          "The SessionRecord of this moment, for a store.")
      .def(
          "on_time", [](S& self, double now_seconds) { return self.get().on_time(now_seconds); },
          "now_seconds"_a, "next_wake_seconds has come.");
  define_session_state(session, [](const S& self) -> const ServerSession& { return self.get(); });
}

}  // namespace ams::python
