#include "edge/saved_state.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"
#include "common/files.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

constexpr std::size_t max_state_bytes = std::size_t{1} << 30;
constexpr std::size_t fingerprint_bytes = 8;
constexpr std::string_view snapshot_magic = "AMSS";

}  // namespace

std::optional<ModelState> read_saved_state(const std::filesystem::path& path,
                                           const StudentValues& student) {
  const auto bytes = read_file(path, max_state_bytes);
  if (!bytes) return std::nullopt;
  const std::string name = "--state '" + path.string() + "' ";
  const auto magic = std::as_bytes(std::span(snapshot_magic));
  if (bytes->size() < magic.size() + fingerprint_bytes ||
      !std::equal(magic.begin(), magic.end(), bytes->begin())) {
    throw Error(ErrorCode::invalid_argument,
                name +
                    "is not a saved state, and saving would overwrite it: name a file that is "
                    "not there yet");
  }
  const auto snapshot = std::span(*bytes).first(bytes->size() - fingerprint_bytes);
  Digest fingerprint = 0;
  for (std::size_t i = 0; i < fingerprint_bytes; ++i) {
    fingerprint |= std::to_integer<Digest>((*bytes)[snapshot.size() + i]) << (8 * i);
  }
  std::optional<ModelState> state;
  try {
    state = decode_snapshot(snapshot, student.manifest);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::manifest_mismatch) {
      throw Error(error.code(), name + "cannot be used (" + error.what() +
                                    "): remove it to begin with the pre-trained student");
    }
  }
  if (!state || fingerprint != student.fingerprint) {
    throw Error(ErrorCode::manifest_mismatch,
                name +
                    "is the state of another student: start with the flags that it was saved "
                    "with (--student, --weights, --classes, --input, --train-batch-norm, "
                    "--selected-classes), or name another file");
  }
  return state;
}

ModelState starting_state(const std::filesystem::path& path, const ModelState& initial,
                          const StudentValues& student) {
  if (path.empty()) return initial;
  std::optional<ModelState> saved = read_saved_state(path, student);
  if (!saved) return initial;
  log::info("resuming", {{"state", path.string()}, {"version", saved->version().number}});
  return std::move(*saved);
}

void write_saved_state(const std::filesystem::path& path, const ModelState& state,
                       Digest student_fingerprint) {
  std::vector<std::byte> bytes = encode_snapshot(state);
  for (std::size_t i = 0; i < fingerprint_bytes; ++i) {
    bytes.push_back(static_cast<std::byte>(student_fingerprint >> (8 * i)));
  }
  write_file_atomically(path, bytes);
}

}  // namespace ams
