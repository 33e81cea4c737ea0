#include "ams/session/session_options.hpp"

#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "fields.hpp"

namespace py = pybind11;

namespace ams::python {

void bind_session_options(py::module_& m) {
  using L = SessionLimits;
  Fields<L> limits;
  limits
      .add("max_buffer_samples", &L::max_buffer_samples,
           "in the replay buffer, >= 1; the newest ones stay")
      .add("max_buffer_bytes", &L::max_buffer_bytes,
           "of them, as Task.size_bytes() tells them, >= 1")
      .add("max_pending_batches", &L::max_pending_batches,
           "being labelled; more are dropped and counted, >= 1")
      .add("max_frames_per_batch", &L::max_frames_per_batch, ">= 1")
      .add("max_bitstream_bytes", &L::max_bitstream_bytes, "of one batch, >= 1")
      .add("max_updates_in_flight", &L::max_updates_in_flight,
           "no phase begins while so many await their Ack, >= 1")
      .add("ack_timeout_seconds", &L::ack_timeout_seconds,
           "a device that owes an Ack longer is disconnected, > 0; besides, what is on its way has "
           "the time that it takes at the policy's slowest_link_bps")
      .add("max_consecutive_snapshots", &L::max_consecutive_snapshots,
           "in answer to wrong acks and refusals without an Ack between, >= 1")
      .add("max_history_updates", &L::max_history_updates,
           "updates kept for a device that comes back")
      .add("max_history_bytes", &L::max_history_bytes,
           "and their bytes; 0: about what a snapshot has");
  using O = SessionOptions;
  Fields<O> fields;
  fields.add("session_id", &O::session_id, "goes to the device in Welcome, for its logs")
      .add("seed", &O::seed, "of mini-batches and of what the policy draws")
      .add("snapshot_zstd_level", &O::snapshot_zstd_level, "1 to 19")
      .include(
          limits, [](O & o) -> auto& { return o.limits; });

  py::class_<O> options(m, "SessionOptions", R"(
What can be set about one device's session besides its task and its policy: an identity, a seed, and
what the device may make its server hold.)");
  fields.define_init(options, "SessionOptions", [](O o) {
    validate(o);
    return o;
  });
  fields.define_attributes(options, "SessionOptions");
}

}  // namespace ams::python
