#pragma once

#include <pybind11/pybind11.h>

#include "ams/edge/client.hpp"
#include "ams/server/session.hpp"

/// The session's templates as Python sees them: samples and frames are any objects. _core registers
/// these types, and other modules may take and return them.
///
/// numpy views show a job's values, so no module may move from a job that Python holds: copy it.
namespace ams::python {

using PythonTrainingJob = TrainingJob<pybind11::object>;
using PythonSession = ServerSession<pybind11::object>;
using PythonClient = EdgeClient<pybind11::object>;

}  // namespace ams::python
