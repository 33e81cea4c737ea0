#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"
#include "ams/runtime/session_store.hpp"

namespace ams {

struct SqliteStoreOptions {
  /// Keeps the sessions of different students apart, beside the manifest: of the initial values.
  Digest student_fingerprint = 0;
  /// The whole model is written again after so many updates, >= 1. What is read at a restart is a
  /// model and at most so many updates.
  std::size_t max_updates_after_model = 256;
  /// Adam's moments are written with every so many updates, >= 1. Training goes on from moments
  /// that are so old after a kill; what the device holds is always the newest.
  std::size_t updates_per_moments = 16;
  /// Told where a damaged file was moved to. Called from any thread, and by the constructor.
  std::function<void(const std::string& damaged_file)> on_damaged = nullptr;
  /// Told by the constructor when the disk has no room for a new database. Each load() and save()
  /// tries again.
  std::function<void(const std::string& problem)> on_full = nullptr;
};

/// Sessions in one SQLite database, `sessions.db` in a folder. save() writes what has changed: the
/// update, the batches of samples that are new, and now and then the model and Adam's moments. It
/// returns when the disk has it, so that a server which is killed at any moment goes on with the
/// version that its device has been sent.
///
/// load() reads one device's session, so the number of sessions on disk costs nothing at the start.
/// A session whose newest updates cannot be read goes on from the newest version that can, and
/// without the samples that cannot.
///
/// Thread-safe. One process has a folder open at a time.
class SqliteStore final : public SessionStore {
 public:
  /// Makes the folder where there is none, readable by its owner alone. A file that is no database
  /// is set aside as `sessions.db.damaged`. A full disk is no error: what is there can be read.
  /// Throws Error(invalid_argument) on a null manifest and options out of range, and
  /// Error(unavailable), naming the file, when it cannot be opened, is open in another process, or
  /// was written by a newer version of libams.
  SqliteStore(const std::string& folder, std::shared_ptr<const Manifest> manifest,
              SqliteStoreOptions options = {});
  /// The sessions of another student in the same database, with the same options but the
  /// fingerprint. Throws Error(invalid_argument) on a null manifest.
  SqliteStore(const SqliteStore& same_folder, std::shared_ptr<const Manifest> manifest,
              Digest student_fingerprint);
  ~SqliteStore() override;

  // A file that turns out to be damaged is set aside, and a new one begins: load() then finds
  // nothing, and save() keeps the whole session.

  /// Throws Error(unavailable) when the disk cannot be read, and Error(malformed_data) when the
  /// session's model cannot.
  std::optional<SessionRecord> load(const std::string& device_id) override;

  /// Throws Error(unavailable), e.g. when the disk is full; what was kept before stays. The next
  /// save() brings what this one could not.
  void save(const SessionRecord& record) override;

  void erase(const std::string& device_id) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
