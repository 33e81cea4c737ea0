#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

#include "ams/edge/client.hpp"
#include "ams/server/session.hpp"

/// The session's templates as Python sees them: samples and frames are any objects. _core registers
/// these types, and other modules may take and return them.
///
/// numpy views show a job's values, so no module may move from a job that Python holds: copy it.
namespace ams::python {

/// A frame that the client keeps. Copying, moving and dropping it need no GIL, so that the client can
/// take in an update without it.
class PythonFrame {
 public:
  /// With the GIL.
  explicit PythonFrame(pybind11::object frame)
      : frame_(new pybind11::object(std::move(frame)), [](pybind11::object* dropped) {
          const pybind11::gil_scoped_acquire gil;
          delete dropped;
        }) {}

  /// To be used with the GIL.
  const pybind11::object& get() const { return *frame_; }

 private:
  std::shared_ptr<pybind11::object> frame_;
};

using PythonTrainingJob = TrainingJob<pybind11::object>;
using PythonSession = ServerSession<pybind11::object>;
using PythonClient = EdgeClient<PythonFrame>;

}  // namespace ams::python
