#pragma once

#include <pybind11/pybind11.h>

/// The parts of _core: one function a file.
namespace ams::python {

void bind_manifest(pybind11::module_& m);
void bind_coordinate_set(pybind11::module_& m);
void bind_model_state(pybind11::module_& m);
void bind_codec(pybind11::module_& m);
void bind_selection(pybind11::module_& m);
void bind_adam(pybind11::module_& m);
void bind_phi_score(pybind11::module_& m);
void bind_sampling_rate(pybind11::module_& m);
void bind_training_rate(pybind11::module_& m);
void bind_replay_buffer(pybind11::module_& m);
void bind_model_holder(pybind11::module_& m);

void bind_frame_resize(pybind11::module_& m);
void bind_label_loss(pybind11::module_& m);
void bind_miou(pybind11::module_& m);

void bind_detection(pybind11::module_& m);

void bind_messages(pybind11::module_& m);
void bind_session_options(pybind11::module_& m);
void bind_client_options(pybind11::module_& m);
void bind_task(pybind11::module_& m);
void bind_update_policy(pybind11::module_& m);
void bind_training_job(pybind11::module_& m);
void bind_server_session(pybind11::module_& m);
void bind_edge_client(pybind11::module_& m);
void bind_turn_scheduler(pybind11::module_& m);

void bind_learning_rates(pybind11::module_& m);
void bind_downlink_budget(pybind11::module_& m);
void bind_policies(pybind11::module_& m);

void bind_executor(pybind11::module_& m);
void bind_server_host(pybind11::module_& m);
void bind_model_journal(pybind11::module_& m);
void bind_device_host(pybind11::module_& m);

void bind_synthetic(pybind11::module_& m);

}  // namespace ams::python
