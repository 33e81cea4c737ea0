#pragma once

#include <pybind11/pybind11.h>

#include <optional>

#include "ams/session/training_job.hpp"
#include "errors.hpp"

namespace ams::python {

/// Attribute of a job whose try_starts() has given scores.
inline constexpr const char* tried_attribute = "_tried";

/// Throws Error(invalid_argument) for a job that try_starts() has scored, without the scores: the
/// session would not know where the phase started.
inline void require_scores(const py::object& job, const std::optional<StartScores>& scores) {
  if (scores || !py::hasattr(job, tried_attribute)) return;
  throw_invalid(
      "the result of this job has no scores, and try_starts() has chosen where its phase starts; "
      "pass what it gave: result(losses=..., scores=scores)");
}

}  // namespace ams::python
