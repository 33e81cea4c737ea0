#include "edge/saved_state.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"
#include "common/files.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

using ByteView = std::span<const std::byte>;

constexpr std::size_t max_state_bytes = std::size_t{1} << 30;
constexpr std::size_t digest_bytes = 8;
constexpr std::string_view snapshot_magic = "AMSS";

void append(std::vector<std::byte>& bytes, Digest digest) {
  for (std::size_t i = 0; i < digest_bytes; ++i) {
    bytes.push_back(static_cast<std::byte>(digest >> (8 * i)));
  }
}

/// Takes the digest at the end away.
Digest take_digest(ByteView& bytes) {
  const ByteView last = bytes.last(digest_bytes);
  bytes = bytes.first(bytes.size() - digest_bytes);
  Digest digest = 0;
  for (std::size_t i = 0; i < digest_bytes; ++i) {
    digest |= std::to_integer<Digest>(last[i]) << (8 * i);
  }
  return digest;
}

/// Whether this is what write_saved_state() wrote, or what a failing disk has left of it: nothing,
/// zeros, or one wrong byte in the magic.
bool may_be_state(ByteView bytes) {
  const ByteView head = bytes.first(std::min(bytes.size(), snapshot_magic.size()));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < head.size(); ++i) {
    if (head[i] != static_cast<std::byte>(snapshot_magic[i])) ++wrong;
  }
  const bool is_zero =
      std::all_of(head.begin(), head.end(), [](std::byte b) { return b == std::byte{}; });
  return is_zero || wrong == 0 || (wrong == 1 && head.size() == snapshot_magic.size());
}

/// Out of the way of the next state.
void set_aside(const std::filesystem::path& path, const std::string& reason) {
  std::filesystem::path aside = path;
  aside += ".damaged";
  std::error_code error;
  std::filesystem::rename(path, aside, error);
  if (!error) sync_folder_of(aside);
  log::warning("state_damaged",
               {{"state", path.string()},
                {"reason", reason},
                {"moved_to", error ? "nowhere: " + error.message() : aside.string()},
                {"message", "the pre-trained student starts"}});
}

}  // namespace

std::optional<ModelState> read_saved_state(const std::filesystem::path& path,
                                           const StudentValues& student) {
  const auto bytes = read_file(path, max_state_bytes);
  if (!bytes) return std::nullopt;
  const std::string name = "--state '" + path.string() + "' ";
  if (!may_be_state(*bytes)) {
    throw Error(ErrorCode::invalid_argument,
                name +
                    "is not a saved state, and saving would overwrite it: name a file that is "
                    "not there yet");
  }
  ByteView rest = *bytes;
  const auto damaged = [&](const std::string& how) {
    throw Error(ErrorCode::digest_mismatch, name + "is damaged: " + how);
  };
  if (rest.size() < 2 * digest_bytes) damaged("it has " + std::to_string(rest.size()) + " bytes");
  if (take_digest(rest) != byte_digest(rest)) damaged("its content is not what was saved");
  const Digest fingerprint = take_digest(rest);
  std::optional<ModelState> state;
  try {
    state = decode_snapshot(rest, student.manifest);
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
  std::optional<ModelState> saved;
  try {
    saved = read_saved_state(path, student);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::digest_mismatch) throw;
    set_aside(path, error.what());
  }
  if (!saved) return initial;
  log::info("resuming", {{"state", path.string()}, {"version", saved->version().number}});
  return std::move(*saved);
}

void write_saved_state(const std::filesystem::path& path, const ModelState& state,
                       Digest student_fingerprint) {
  std::vector<std::byte> bytes = encode_snapshot(state);
  append(bytes, student_fingerprint);
  append(bytes, byte_digest(bytes));
  write_file_atomically(path, bytes);
}

}  // namespace ams
