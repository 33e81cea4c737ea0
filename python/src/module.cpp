#include <pybind11/pybind11.h>

#include <string>

#include "ams/core/version.hpp"
#include "bindings.hpp"
#include "errors.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

py::dict build_info() {
  const std::string torch = AMS_TORCH_VERSION;
  return py::dict(
      "version"_a = version_string,
      "layers"_a = py::dict("torch"_a = torch.empty() ? py::object(py::none()) : py::str(torch),
                            "video"_a = bool(AMS_HAS_VIDEO), "x264"_a = bool(AMS_HAS_X264),
                            "net"_a = bool(AMS_HAS_NET), "store"_a = bool(AMS_HAS_STORE)),
      "compiler"_a = __VERSION__,
      "pybind11"_a =
          std::to_string(PYBIND11_VERSION_MAJOR) + "." + std::to_string(PYBIND11_VERSION_MINOR));
}

}  // namespace
}  // namespace ams::python

PYBIND11_MODULE(_core, m) {
  using namespace ams::python;
  register_errors();
  m.doc() =
      "Bindings of ams::core, segmentation, detection, session, policy, runtime and synthetic; use "
      "the package ams.";
  m.attr("__version__") = ams::version_string;
  m.def("build_info", &build_info, R"(
How this package was built: version, layers (torch: the version that it was built with, or None;
video, x264, net, store), compiler, pybind11.)");
  // Types come before the functions whose signatures name them.
  bind_manifest(m);
  bind_coordinate_set(m);
  bind_model_state(m);
  bind_codec(m);
  bind_selection(m);
  bind_adam(m);
  bind_phi_score(m);
  bind_sampling_rate(m);
  bind_training_rate(m);
  bind_replay_buffer(m);
  bind_model_holder(m);
  bind_frame_resize(m);
  bind_label_loss(m);
  bind_miou(m);
  bind_detection(m);
  bind_messages(m);
  bind_training_job(m);
  bind_session_options(m);
  bind_client_options(m);
  bind_task(m);
  bind_update_policy(m);
  bind_learning_rates(m);
  bind_downlink_budget(m);
  bind_policies(m);
  bind_server_session(m);
  bind_edge_client(m);
  bind_turn_scheduler(m);
  bind_executor(m);
  bind_server_host(m);
  bind_model_journal(m);
  bind_device_host(m);
  bind_synthetic(m);
}
