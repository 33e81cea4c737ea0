#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ams/core/bytes.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_state.hpp"

namespace ams {

struct ModelJournalOptions {
  /// Keeps apart the students of one manifest (StudentValues::fingerprint).
  Digest student_fingerprint = 0;
  /// Told where a damaged state was moved to (an empty path: it could not be moved), and what is
  /// wrong with it.
  std::function<void(const std::filesystem::path& moved_to, const std::string& reason)> on_damaged =
      nullptr;
};

/// A device's model on its disk, for a restart: a snapshot in `path`, and the updates since then in
/// `path` with ".journal" at its end. An update costs its own bytes; once the journal would have
/// more than the snapshot has, a new snapshot takes the place of both. So flash memory lasts.
///
///     snapshot: encode_snapshot(), the student's fingerprint (8 bytes), byte_digest() of both (8)
///     journal:  of each update byte_digest() of the rest (8), its size (4), its version (4), the
///               update; all little-endian
///
/// A power cut or a kill at any moment costs at most the updates of the save() under way: what is
/// left of them is not read. Not thread-safe.
class ModelJournal {
 public:
  /// Touches no file. Throws Error(invalid_argument) on a null manifest and an empty path.
  ModelJournal(std::filesystem::path path, std::shared_ptr<const Manifest> manifest,
               ModelJournalOptions options = {});

  /// What was saved last, or nothing. A damaged snapshot is set aside as `path` with ".damaged" at
  /// its end, and there is nothing. Throws Error when saving would overwrite something else:
  /// invalid_argument for another kind of file, manifest_mismatch for the state of another student,
  /// and the decoder's codes; and Error(io_error).
  std::optional<ModelState> load();

  /// Keeps `state`. updates: they lead to it from what was loaded or saved before; where they do
  /// not, or there are none, the whole state is written. It is on the disk on return. Throws
  /// Error(io_error), e.g. when the disk is full; what was kept before stays.
  void save(const ModelState& state, std::span<const Bytes> updates = {});

  /// Bytes written by save() so far.
  std::uint64_t written_bytes() const noexcept { return written_bytes_; }

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void read_journal(ModelState& state);
  void write_snapshot(const ModelState& state);
  void append(std::span<const std::byte> records);

  const std::filesystem::path path_, journal_path_;
  const std::shared_ptr<const Manifest> manifest_;
  const ModelJournalOptions options_;
  std::optional<ModelVersion> saved_;  ///< nothing: the next save() writes the whole state
  std::size_t snapshot_bytes_ = 0;
  std::size_t journal_bytes_ = 0;  ///< that can be read
  std::uint64_t written_bytes_ = 0;
};

}  // namespace ams
