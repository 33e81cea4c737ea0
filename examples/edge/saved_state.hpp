#pragma once

#include <filesystem>
#include <optional>

#include "ams/core/model_state.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

/// The state that write_saved_state() has left at `path` for this student, or nothing when there is
/// no file. Everything else there is refused, since it would be overwritten: another kind of file
/// (Error invalid_argument), the state of another student (manifest_mismatch), a damaged state
/// (digest_mismatch). Also io_error, and the decoder's codes.
std::optional<ModelState> read_saved_state(const std::filesystem::path& path,
                                           const StudentValues& student);

/// The state that was saved at `path`, told in the log; `initial` where there is none, or no path.
/// A damaged state gets the name <path>.damaged, which a warning tells. Throws as
/// read_saved_state() otherwise.
ModelState starting_state(const std::filesystem::path& path, const ModelState& initial,
                          const StudentValues& student);

/// A snapshot, then the student's fingerprint (8 bytes, little-endian), which tells apart students
/// of one manifest, then the digest of all that. A reader, also one after a crash, finds the old
/// state or the whole new one. Throws Error(io_error).
void write_saved_state(const std::filesystem::path& path, const ModelState& state,
                       Digest student_fingerprint);

}  // namespace ams
