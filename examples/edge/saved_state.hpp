#pragma once

#include <optional>

#include "ams/core/model_state.hpp"
#include "ams/runtime/model_journal.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// The journal of --state, whose damaged files are told in the log; nothing without a path.
std::optional<ModelJournal> open_saved_state(const std::filesystem::path& path,
                                             const StudentValues& student);

/// The state that was saved, told in the log; `initial` where there is none. Throws as
/// ModelJournal::load(); says which flags may be wrong.
ModelState starting_state(std::optional<ModelJournal>& saved, const ModelState& initial);

}  // namespace ams
