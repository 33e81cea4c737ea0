#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "ams/session/edge_client.hpp"

namespace ams::python {

/// The properties of a client. get: (const Class&) -> const EdgeClient&.
template <class Class, class Get>
void define_client_state(Class& cls, Get get) {
  using E = EdgeClient;
  const auto state = [get](auto read) {
    return [get, read](const typename Class::type& self) { return read(get(self)); };
  };
  cls.def_property_readonly(
         "next_wake_seconds", state([](const E& e) { return e.next_wake_seconds(); }),
         "When on_time() is wanted next; None while the client waits for other events.")
      .def_property_readonly("held", state([](const E& e) { return ModelState(e.held()); }),
                             "The device's model state: a copy. See held_version.")
      .def_property_readonly("held_version", state([](const E& e) { return e.held().version(); }),
                             "Of held.")
      .def_property_readonly("streaming", state([](const E& e) { return e.streaming(); }),
                             "Between Welcome and the connection's end.")
      .def_property_readonly("stopped", state([](const E& e) { return e.stopped(); }),
                             "Before on_start(), and when all is over after on_stop().")
      .def_property_readonly("sampling_rate_fps",
                             state([](const E& e) { return e.sampling_rate_fps(); }),
                             "As the server set it.")
      .def_property_readonly("update_interval_seconds",
                             state([](const E& e) { return e.update_interval_seconds(); }),
                             "T_update.")
      .def_property_readonly("buffered_frames",
                             state([](const E& e) { return e.buffered_frames(); }),
                             "Sampled, not yet encoded.")
      .def_property_readonly("last_error", state([](const E& e) { return e.last_error(); }),
                             "Latest reason of a disconnection, fault, refusal or failed encoding.")
      .def_property_readonly("counters",
                             state([](const E& e) { return ClientCounters(e.counters()); }),
                             "ClientCounters, as they are now.");
}

}  // namespace ams::python
