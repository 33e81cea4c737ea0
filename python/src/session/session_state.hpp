#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "ams/session/server_session.hpp"

namespace ams::python {

/// The properties of a session. get: (const Class&) -> const ServerSession&.
template <class Class, class Get>
void define_session_state(Class& cls, Get get) {
  using S = ServerSession;
  const auto state = [get](auto read) {
    return [get, read](const typename Class::type& self) { return read(get(self)); };
  };
  cls.def_property_readonly(
         "next_wake_seconds", state([](const S& s) { return s.next_wake_seconds(); }),
         "When on_time() is wanted next; None while the session waits for other events.")
      .def_property_readonly("held", state([](const S& s) { return ModelState(s.held()); }),
                             "What the device holds, or will: a copy. See held_version.")
      .def_property_readonly("held_version", state([](const S& s) { return s.held().version(); }),
                             "Of held.")
      .def_property_readonly("confirmed", state([](const S& s) { return s.confirmed(); }),
                             "The ModelVersion that the device last said that it holds.")
      .def_property_readonly("connected", state([](const S& s) { return s.connected(); }),
                             "Between a good Hello and the connection's end.")
      .def_property_readonly("training_due", state([](const S& s) { return s.training_due(); }),
                             "TrainingDue came, begin_phase() is still to come.")
      .def_property_readonly("phase_running", state([](const S& s) { return s.phase_running(); }),
                             "begin_phase() came, the result is still to come.")
      .def_property_readonly("sampling_rate_fps",
                             state([](const S& s) { return s.sampling_rate_fps(); }),
                             "What the device is told to sample at.")
      .def_property_readonly("update_interval_seconds",
                             state([](const S& s) { return s.update_interval_seconds(); }),
                             "T_update.")
      .def_property_readonly("buffered_samples",
                             state([](const S& s) { return s.buffered_samples(); }),
                             "In the replay buffer.")
      .def_property_readonly("pending_batches",
                             state([](const S& s) { return s.pending_batches(); }),
                             "Being labelled.")
      .def_property_readonly("device_id", state([](const S& s) { return s.device_id(); }),
                             "Empty before the first good Hello.")
      .def_property_readonly(
          "last_error", state([](const S& s) { return s.last_error(); }),
          "Why the latest phase, batch or connection failed, or what the device refused.")
      .def_property_readonly("counters",
                             state([](const S& s) { return SessionCounters(s.counters()); }),
                             "SessionCounters, as they are now.");
}

}  // namespace ams::python
