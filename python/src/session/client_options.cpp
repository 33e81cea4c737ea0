#include "ams/session/client_options.hpp"

#include <pybind11/pybind11.h>

#include <array>
#include <utility>

#include "bindings.hpp"
#include "fields.hpp"

namespace py = pybind11;

namespace ams::python {

template <>
struct EnumWords<AckPolicy> {
  static constexpr std::array words{std::pair{"published", AckPolicy::published},
                                    std::pair{"applied", AckPolicy::applied}};
};

void bind_client_options(py::module_& m) {
  Fields<ClientOptions> fields;
  fields.add("device_id", &ClientOptions::device_id, "1 to 128 bytes; names the session to resume")
      .add("token", &ClientOptions::token, "up to 1024 bytes")
      .add("student_fingerprint", &ClientOptions::student_fingerprint, "goes into Hello as it is")
      .add("sampling_rate_fps", &ClientOptions::sampling_rate_fps,
           "until the server says otherwise, 0.001 to max_sampling_rate_fps")
      .add("max_sampling_rate_fps", &ClientOptions::max_sampling_rate_fps,
           "a server that asks for more is disconnected")
      .add("update_interval_seconds", &ClientOptions::update_interval_seconds,
           "T_update until the server says otherwise, 0.1 to 3600")
      .add("scene_change_fps", &ClientOptions::scene_change_fps,
           "after a scene change frames are sampled at least so often")
      .add("scene_change_seconds", &ClientOptions::scene_change_seconds,
           "for so long; 0: scene changes are ignored")
      .add("first_batch_seconds", &ClientOptions::first_batch_seconds,
           "the first batch leaves so long after its first sample, >= 0")
      .add("max_buffered_frames", &ClientOptions::max_buffered_frames,
           "samples, >= 1; as many leave before T_update, or else the oldest are dropped")
      .add("max_frames_per_batch", &ClientOptions::max_frames_per_batch,
           "a larger buffer leaves in several batches, 1 to 256")
      .add("max_kept_batches", &ClientOptions::max_kept_batches,
           "sent, but not known to have arrived")
      .add("welcome_timeout_seconds", &ClientOptions::welcome_timeout_seconds,
           "from connection to Welcome, > 0")
      .add("goodbye_timeout_seconds", &ClientOptions::goodbye_timeout_seconds,
           "from Bye to the connection's end, > 0")
      .add("reconnect_min_seconds", &ClientOptions::reconnect_min_seconds,
           "first delay; doubles with every failure, > 0")
      .add("reconnect_max_seconds", &ClientOptions::reconnect_max_seconds,
           ">= reconnect_min_seconds")
      .add("max_consecutive_refusals", &ClientOptions::max_consecutive_refusals,
           "then the device disconnects and starts over, >= 1")
      .add("ack_policy", &ClientOptions::ack_policy,
           "'published' (once the driver runs a version) or 'applied' (as soon as its values are "
           "held)")
      .add("seed", &ClientOptions::seed, "of the jitter of reconnect delays");

  py::class_<ClientOptions> options(m, "ClientOptions",
                                    "Everything that can be set about a device's client.");
  fields.define_init(options, "ClientOptions", [](ClientOptions o) {
    validate(o);
    return o;
  });
  fields.define_attributes(options, "ClientOptions");
}

}  // namespace ams::python
