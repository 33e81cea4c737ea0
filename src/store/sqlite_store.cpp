#include "ams/store/sqlite_store.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/update_codec.hpp"
#include "database.hpp"
#include "record_fields.hpp"

namespace ams {
namespace {

using store_detail::Database;
using store_detail::Statement;
using store_detail::Transaction;

constexpr std::int64_t format_version = 1;
constexpr int model_zstd_level = 1;

// student: manifest and initial values. version: what the device holds. model: a snapshot of
// model_version, which the updates behind it lead on from; those before it are for a device that is
// behind. samples: batches of the replay buffer. newest: what changes with every update; SQLite writes
// a row whole, so it is in none that has a model or moments. The same columns of `sessions` are those
// of model_version. paused: devices that an operator has paused.
constexpr const char* schema = R"(
CREATE TABLE IF NOT EXISTS sessions (
  student TEXT NOT NULL, device TEXT NOT NULL,
  version INTEGER NOT NULL, digest INTEGER NOT NULL,
  model_version INTEGER NOT NULL, model BLOB NOT NULL,
  moments_version INTEGER NOT NULL, moments BLOB NOT NULL, steps INTEGER NOT NULL,
  last_batch INTEGER NOT NULL, counters TEXT NOT NULL,
  PRIMARY KEY (student, device));
CREATE TABLE IF NOT EXISTS updates (
  student TEXT NOT NULL, device TEXT NOT NULL, version INTEGER NOT NULL,
  base_digest INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (student, device, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (
  student TEXT NOT NULL, device TEXT NOT NULL, batch INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (student, device, batch));
CREATE TABLE IF NOT EXISTS newest (
  student TEXT NOT NULL, device TEXT NOT NULL,
  version INTEGER NOT NULL, digest INTEGER NOT NULL,
  model_version INTEGER NOT NULL, moments_version INTEGER NOT NULL,
  last_batch INTEGER NOT NULL, counters TEXT NOT NULL,
  PRIMARY KEY (student, device)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moments (
  student TEXT NOT NULL, device TEXT NOT NULL,
  moments BLOB NOT NULL, steps INTEGER NOT NULL,
  PRIMARY KEY (student, device));
CREATE TABLE IF NOT EXISTS paused (
  student TEXT NOT NULL, device TEXT NOT NULL,
  PRIMARY KEY (student, device)) WITHOUT ROWID;
)";

std::int64_t as_integer(Digest digest) {
  return std::bit_cast<std::int64_t>(digest);
}
Digest as_digest(std::int64_t integer) {
  return std::bit_cast<Digest>(integer);
}

std::string student_key(const Manifest& manifest, Digest fingerprint) {
  return fmt::format("{:016x}-{:016x}", manifest.digest(), fingerprint);
}

/// Opens the database, sets one aside that is none, and takes it for this process.
class OpenedDatabase {
 public:
  OpenedDatabase(std::filesystem::path file, std::function<void(const std::string&)> on_damaged,
                 const std::function<void(const std::string&)>& on_full)
      : file_(std::move(file)), on_damaged_(std::move(on_damaged)) {
    for (bool is_new = false;; is_new = true) {
      auto database = std::make_unique<Database>(file_.string());
      try {
        take(*database);
        database_ = std::move(database);
        is_taken_ = true;
        return;
      } catch (const Error& error) {
        const int code = database->failure_code();
        if (code == SQLITE_BUSY) {
          throw Error(ErrorCode::unavailable,
                      file_.string() + " is open in another process; a server needs a folder of its "
                                      "own for its sessions");
        }
        if (code == SQLITE_FULL) {  // nothing is in it yet; each use tries again
          database_ = std::move(database);
          if (on_full) on_full(error.what());
          return;
        }
        if (!Database::is_damage(code) || is_new) throw;
      }
      database.reset();
      set_aside();
    }
  }

  /// After a failure: when the file is damaged, sets it aside and begins a new one. False: it is not.
  bool renew() {
    if (!Database::is_damage(database_->failure_code())) return false;
    database_.reset();
    set_aside();
    is_taken_ = false;
    database_ = std::make_unique<Database>(file_.string());
    **this;
    return true;
  }

  Database& operator*() {
    if (!is_taken_) take(*database_);
    is_taken_ = true;
    return *database_;
  }

 private:
  static void take(Database& database) {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("PRAGMA journal_mode = WAL");  // with FULL: on the disk when COMMIT returns
    database.run("PRAGMA synchronous = FULL");
    Statement version(database, "PRAGMA user_version");
    version.step();
    const std::int64_t found = version.integer(0);
    if (found > format_version) {
      throw Error(ErrorCode::unsupported_version,
                  fmt::format("{} is of format {}; this version of libams reads up to {}",
                              database.file(), found, format_version));
    }
    version.run();
    Transaction transaction(database);
    database.run(schema);
    if (found != format_version) {  // it always writes, and a full disk must not prevent reading
      database.run(fmt::format("PRAGMA user_version = {}", format_version).c_str());
    }
    transaction.commit();
  }

  void set_aside() {
    const std::string damaged_file = file_.string() + ".damaged";
    std::error_code error;
    std::filesystem::rename(file_, damaged_file, error);
    for (const char* companion : {"-wal", "-journal"}) {
      std::filesystem::remove(file_.string() + companion, error);
    }
    if (on_damaged_) on_damaged_(damaged_file);
  }

  const std::filesystem::path file_;
  const std::function<void(const std::string&)> on_damaged_;
  std::unique_ptr<Database> database_;
  bool is_taken_ = false;
};

std::filesystem::path make_folder(const std::string& folder) {
  const std::filesystem::path path(folder);
  std::error_code error;
  if (std::filesystem::create_directories(path, error)) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (!std::filesystem::is_directory(path, error)) {
    throw Error(ErrorCode::unavailable,
                "cannot keep sessions in " + folder + ": it is no folder and cannot be made one");
  }
  return path;
}

}  // namespace

/// One student's sessions.
class SqliteStore::Impl {
 public:
  Impl(const std::string& folder, std::shared_ptr<const Manifest> manifest,
       SqliteStoreOptions options)
      : manifest_(std::move(manifest)),
        options_(std::move(options)),
        student_(student_key(*manifest_, options_.student_fingerprint)),
        shared_(std::make_shared<Shared>(make_folder(folder) / "sessions.db", options_)) {}

  Impl(const Impl& same_folder, std::shared_ptr<const Manifest> manifest, Digest fingerprint)
      : manifest_(std::move(manifest)),
        options_(same_folder.options_),
        student_(student_key(*manifest_, fingerprint)),
        shared_(same_folder.shared_) {}

  std::optional<SessionRecord> load(const std::string& device_id) {
    const std::lock_guard lock(mutex_);
    try {
      std::optional<SessionRecord> record = unless_damaged([&] { return read(device_id); });
      unreadable_.erase(device_id);
      return record;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) unreadable_.insert(device_id);
      throw;
    }
  }

  void save(const SessionRecord& record) {
    const std::lock_guard lock(mutex_);
    unless_damaged([&] { return write(record), true; });
  }

  void erase(const std::string& device_id) {
    const std::lock_guard lock(mutex_);
    unless_damaged([&] { return remove(device_id), true; });
  }

 private:
  /// What the database has of a device.
  struct Saved {
    ModelVersion version;
    std::uint32_t model_version = 0;
    std::uint32_t moments_version = 0;
  };

  /// Once more with a new file, when the old one turns out to be damaged.
  template <class Work>
  std::invoke_result_t<Work> unless_damaged(Work&& work) {
    try {
      return work();
    } catch (const Error&) {
      if (!database_.renew()) throw;
    }
    return work();
  }

  std::optional<SessionRecord> read(const std::string& device_id) {
    Statement row(*database_,
                  "SELECT model_version, model, moments, steps, last_batch, counters "
                  "FROM sessions WHERE student = ? AND device = ?");
    row.bind(student_).bind(device_id);
    if (!row.step()) return std::nullopt;
    SessionRecord record;
    record.device_id = device_id;
    record.held = decode_snapshot(row.bytes(1), manifest_);
    if (record.held.version().number != row.integer(0)) {
      throw Error(ErrorCode::malformed_data, "the model of the session is of another version");
    }
    record.last_batch_id = static_cast<std::uint64_t>(row.integer(4));
    record.counters = store_detail::read_counters(row.text(5));
    Statement newest(*database_,
                     "SELECT last_batch, counters FROM newest WHERE student = ? AND device = ?");
    newest.bind(student_).bind(device_id);
    if (newest.step()) {
      record.last_batch_id = static_cast<std::uint64_t>(newest.integer(0));
      record.counters = store_detail::read_counters(newest.text(1));
    }
    if (record.last_batch_id >= max_batch_id) record.last_batch_id = 0;  // damaged: none would follow
    Statement moments(*database_,
                      "SELECT moments, steps FROM moments WHERE student = ? AND device = ?");
    moments.bind(student_).bind(device_id);
    const bool has_newer = moments.step();
    try {
      record.adam = has_newer ? store_detail::read_moments(moments.bytes(0), moments.integer(1),
                                                           manifest_->dimension())
                              : store_detail::read_moments(row.bytes(2), row.integer(3),
                                                           manifest_->dimension());
    } catch (const Error&) {  // training finds new ones
      record.adam = AdamState(manifest_->dimension());
    }
    Statement paused(*database_, "SELECT 1 FROM paused WHERE student = ? AND device = ?");
    paused.bind(student_).bind(device_id);
    record.is_paused = paused.step();
    read_updates(record);
    read_samples(record);
    return record;
  }

  void write(const SessionRecord& record) {
    const std::string& device = record.device_id;
    Transaction transaction(*database_);
    std::optional<Saved> saved;
    if (!unreadable_.contains(device)) saved = find(device);
    // The updates that lead from what is saved to what the device will hold.
    const auto& history = record.history;
    const auto next = std::find_if(history.begin(), history.end(), [&](const PublishedUpdate& u) {
      return saved && u.base == saved->version;
    });
    const bool is_same = saved && saved->version == record.held.version();
    const bool leads_on = is_same || (saved && next != history.end());
    if (!leads_on) {
      Statement(*database_, "DELETE FROM updates WHERE student = ? AND device = ?")
          .bind(student_)
          .bind(device)
          .run();
      write_model(record);
      for (const PublishedUpdate& update : history) write_update(device, update);
    } else {
      for (auto update = next; update != history.end(); ++update) write_update(device, *update);
      const std::size_t behind_model = record.held.version().number - saved->model_version;
      if (behind_model > options_.max_updates_after_model) {
        write_model(record);
      } else {
        write_state(record, *saved);
      }
    }
    forget_old_updates(record);
    write_samples(record, leads_on);
    Statement(*database_, record.is_paused ? "INSERT OR IGNORE INTO paused VALUES (?, ?)"
                                           : "DELETE FROM paused WHERE student = ? AND device = ?")
        .bind(student_)
        .bind(device)
        .run();
    transaction.commit();
    unreadable_.erase(device);
  }

  void remove(const std::string& device_id) {
    Transaction transaction(*database_);
    for (const char* sql : {"DELETE FROM sessions WHERE student = ? AND device = ?",
                            "DELETE FROM updates WHERE student = ? AND device = ?",
                            "DELETE FROM samples WHERE student = ? AND device = ?",
                            "DELETE FROM newest WHERE student = ? AND device = ?",
                            "DELETE FROM moments WHERE student = ? AND device = ?",
                            "DELETE FROM paused WHERE student = ? AND device = ?"}) {
      Statement(*database_, sql).bind(student_).bind(device_id).run();
    }
    transaction.commit();
  }

  std::optional<Saved> find(const std::string& device) {
    Statement row(*database_,
                  "SELECT version, digest, model_version, moments_version FROM newest "
                  "WHERE student = ? AND device = ?");
    row.bind(student_).bind(device);
    if (!row.step()) return std::nullopt;
    return Saved{{static_cast<std::uint32_t>(row.integer(0)), as_digest(row.integer(1))},
                 static_cast<std::uint32_t>(row.integer(2)),
                 static_cast<std::uint32_t>(row.integer(3))};
  }

  /// Moves record.held on from the model as far as the updates can be read.
  void read_updates(SessionRecord& record) {
    Statement rows(*database_,
                   "SELECT version, base_digest, bytes FROM updates "
                   "WHERE student = ? AND device = ? ORDER BY version");
    rows.bind(student_).bind(record.device_id);
    while (rows.step()) {
      const auto version = static_cast<std::uint32_t>(rows.integer(0));
      const ModelVersion base{version - 1, as_digest(rows.integer(1))};
      Bytes bytes(rows.bytes(2));
      const std::uint32_t held = record.held.version().number;
      if (version > held) {
        if (base != record.held.version()) continue;  // damaged, or behind one that is
        try {
          apply_update(bytes.span(), record.held);
        } catch (const Error&) {
          continue;
        }
      }
      // A gap: what is before it leads nowhere.
      if (!record.history.empty() && record.history.back().base.number + 1 != base.number) {
        record.history.clear();
      }
      record.history.push_back({base, std::move(bytes)});
    }
    if (!record.history.empty() &&
        record.history.back().base.number + 1 != record.held.version().number) {
      record.history.clear();
    }
  }

  /// What cannot be read is left out.
  void read_samples(SessionRecord& record) {
    Statement rows(*database_,
                   "SELECT batch, bytes FROM samples WHERE student = ? AND device = ? "
                   "ORDER BY batch");
    rows.bind(student_).bind(record.device_id);
    while (rows.step()) {
      try {
        record.samples.push_back(
            store_detail::read_batch(static_cast<std::uint64_t>(rows.integer(0)), rows.bytes(1)));
      } catch (const Error&) {
        continue;
      }
    }
  }

  /// Those that are new, and takes away those that the buffer has no more.
  void write_samples(const SessionRecord& record, bool leads_on) {
    const std::string& device = record.device_id;
    std::set<std::int64_t> there;
    if (!leads_on) {  // of another life, perhaps with the same numbers
      Statement(*database_, "DELETE FROM samples WHERE student = ? AND device = ?")
          .bind(student_)
          .bind(device)
          .run();
    } else {
      Statement rows(*database_, "SELECT batch FROM samples WHERE student = ? AND device = ?");
      rows.bind(student_).bind(device);
      while (rows.step()) there.insert(rows.integer(0));
    }
    for (const LabelledBatch& batch : record.samples) {
      const auto id = static_cast<std::int64_t>(batch.batch_id);
      if (there.erase(id) > 0) continue;
      const std::vector<std::byte> bytes = store_detail::write_batch(batch);
      Statement(*database_, "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)")
          .bind(student_)
          .bind(device)
          .bind(id)
          .bind(std::span<const std::byte>(bytes))
          .run();
    }
    for (const std::int64_t id : there) {
      Statement(*database_, "DELETE FROM samples WHERE student = ? AND device = ? AND batch = ?")
          .bind(student_)
          .bind(device)
          .bind(id)
          .run();
    }
  }

  void write_model(const SessionRecord& record) {
    const std::vector<std::byte> model = encode_snapshot(record.held, model_zstd_level);
    const std::vector<std::byte> moments = store_detail::write_moments(record.adam);
    const std::string counters = store_detail::write_counters(record.counters);
    const ModelVersion version = record.held.version();
    Statement(*database_,
              "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(student_)
        .bind(record.device_id)
        .bind(std::int64_t{version.number})
        .bind(as_integer(version.digest))
        .bind(std::int64_t{version.number})
        .bind(std::span<const std::byte>(model))
        .bind(std::int64_t{version.number})
        .bind(std::span<const std::byte>(moments))
        .bind(std::int64_t{record.adam.step_count})
        .bind(static_cast<std::int64_t>(record.last_batch_id))
        .bind(counters)
        .run();
    Statement(*database_, "DELETE FROM moments WHERE student = ? AND device = ?")
        .bind(student_)
        .bind(record.device_id)
        .run();
    write_newest(record, version.number, version.number);
  }

  void write_newest(const SessionRecord& record, std::uint32_t model_version,
                    std::uint32_t moments_version) {
    const ModelVersion version = record.held.version();
    Statement(*database_, "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(student_)
        .bind(record.device_id)
        .bind(std::int64_t{version.number})
        .bind(as_integer(version.digest))
        .bind(std::int64_t{model_version})
        .bind(std::int64_t{moments_version})
        .bind(static_cast<std::int64_t>(record.last_batch_id))
        .bind(store_detail::write_counters(record.counters))
        .run();
  }

  /// All but the model.
  void write_state(const SessionRecord& record, const Saved& saved) {
    const std::uint32_t version = record.held.version().number;
    if (version - saved.moments_version < options_.updates_per_moments) {
      return write_newest(record, saved.model_version, saved.moments_version);
    }
    const std::vector<std::byte> moments = store_detail::write_moments(record.adam);
    Statement(*database_, "INSERT OR REPLACE INTO moments VALUES (?, ?, ?, ?)")
        .bind(student_)
        .bind(record.device_id)
        .bind(std::span<const std::byte>(moments))
        .bind(std::int64_t{record.adam.step_count})
        .run();
    write_newest(record, saved.model_version, version);
  }

  void write_update(const std::string& device, const PublishedUpdate& update) {
    Statement(*database_, "INSERT OR REPLACE INTO updates VALUES (?, ?, ?, ?, ?)")
        .bind(student_)
        .bind(device)
        .bind(std::int64_t{update.base.number} + 1)
        .bind(as_integer(update.base.digest))
        .bind(update.bytes.span())
        .run();
  }

  /// Those that neither the model nor a device that is behind needs, and those of another life.
  void forget_old_updates(const SessionRecord& record) {
    const std::int64_t oldest = record.history.empty()
                                    ? std::int64_t{record.held.version().number} + 1
                                    : std::int64_t{record.history.front().base.number} + 1;
    Statement(*database_,
              "DELETE FROM updates WHERE student = ?1 AND device = ?2 AND (version > ?3 OR "
              "(version < ?4 AND version <= (SELECT model_version FROM sessions "
              "WHERE student = ?1 AND device = ?2)))")
        .bind(student_)
        .bind(record.device_id)
        .bind(std::int64_t{record.held.version().number})
        .bind(oldest)
        .run();
  }

  const std::shared_ptr<const Manifest> manifest_;
  const SqliteStoreOptions options_;
  const std::string student_;
  /// By the stores of all students of a folder.
  struct Shared {
    Shared(std::filesystem::path file, const SqliteStoreOptions& options)
        : database(std::move(file), options.on_damaged, options.on_full) {}
    std::mutex mutex;
    OpenedDatabase database;
  };
  const std::shared_ptr<Shared> shared_;
  std::mutex& mutex_ = shared_->mutex;
  OpenedDatabase& database_ = shared_->database;
  std::set<std::string> unreadable_;  // devices: what is there leads nowhere and is written anew
};

SqliteStore::SqliteStore(const std::string& folder, std::shared_ptr<const Manifest> manifest,
                         SqliteStoreOptions options) {
  const auto require = [](bool ok, const char* what) {
    if (!ok) throw Error(ErrorCode::invalid_argument, std::string("SqliteStore: ") + what);
  };
  require(manifest != nullptr, "the manifest is null");
  require(options.max_updates_after_model >= 1,
          "max_updates_after_model is 0; allowed is 1 or more");
  require(options.updates_per_moments >= 1, "updates_per_moments is 0; allowed is 1 or more");
  impl_ = std::make_unique<Impl>(folder, std::move(manifest), std::move(options));
}

SqliteStore::SqliteStore(const SqliteStore& same_folder, std::shared_ptr<const Manifest> manifest,
                         Digest student_fingerprint) {
  if (!manifest) throw Error(ErrorCode::invalid_argument, "SqliteStore: the manifest is null");
  impl_ = std::make_unique<Impl>(*same_folder.impl_, std::move(manifest), student_fingerprint);
}

SqliteStore::~SqliteStore() = default;

std::optional<SessionRecord> SqliteStore::load(const std::string& device_id) {
  return impl_->load(device_id);
}
void SqliteStore::save(const SessionRecord& record) {
  impl_->save(record);
}
void SqliteStore::erase(const std::string& device_id) {
  impl_->erase(device_id);
}
}  // namespace ams
