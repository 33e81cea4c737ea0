#include "edge/saved_state.hpp"

#include <string>
#include <utility>

#include "ams/core/error.hpp"
#include "common/log.hpp"

namespace ams {

std::optional<ModelJournal> open_saved_state(const std::filesystem::path& path,
                                             const StudentValues& student) {
  if (path.empty()) return std::nullopt;
  ModelJournalOptions options{.student_fingerprint = student.fingerprint};
  options.on_damaged = [path](const std::filesystem::path& moved_to, const std::string& reason) {
    log::warning("state_damaged", {{"state", path.string()},
                                   {"reason", reason},
                                   {"moved_to", moved_to.empty() ? "nowhere" : moved_to.string()},
                                   {"message", "the pre-trained student starts"}});
  };
  return std::make_optional<ModelJournal>(path, student.manifest, std::move(options));
}

ModelState starting_state(std::optional<ModelJournal>& saved, const ModelState& initial) {
  if (!saved) return initial;
  std::optional<ModelState> state;
  try {
    state = saved->load();
  } catch (const Error& error) {
    std::string message = "--state " + std::string(error.what());
    if (error.code() == ErrorCode::manifest_mismatch) {
      message +=
          ": start with the flags that it was saved with (--student, --weights, --classes, "
          "--input, --train-batch-norm, --selected-classes), or name another file";
    }
    throw Error(error.code(), message);
  }
  if (!state) return initial;
  log::info("resuming", {{"state", saved->path().string()}, {"version", state->version().number}});
  return std::move(*state);
}

}  // namespace ams
