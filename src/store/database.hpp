#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ams::store_detail {

/// An SQLite connection, and statements on it. Every failure throws Error(unavailable) with the
/// file's name and SQLite's words. Not thread-safe.
class Database {
 public:
  /// Opens or makes the file.
  explicit Database(std::string file);

  static bool is_damage(int code) noexcept {
    return code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
  }

  /// Runs statements that give no rows.
  void run(const char* sql);

  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_as_damaged(const std::string& what) const;

  /// SQLite's code of the latest failure.
  int failure_code() const noexcept { return failure_code_; }
  sqlite3* handle() const noexcept { return handle_.get(); }
  const std::string& file() const noexcept { return file_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
  };
  std::string file_;
  std::unique_ptr<sqlite3, Close> handle_;
  mutable int failure_code_ = SQLITE_OK;
};

/// A prepared statement: bind from left to right, then step.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);

  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view text);
  Statement& bind(std::span<const std::byte> bytes);  ///< which live until the statement is done

  /// The next row; false: there is none.
  bool step();
  void run() {
    while (step()) {
    }
  }

  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  std::string text(int column) const;
  std::vector<std::byte> bytes(int column) const;

 private:
  void check(int code) const;

  struct Finalize {
    void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
  };
  const Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  int bound_ = 0;
};

/// Everything or nothing: rolls back unless it was committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {
    database_.run("BEGIN IMMEDIATE");
  }
  ~Transaction() {
    if (!committed_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void commit() {
    database_.run("COMMIT");
    committed_ = true;
  }

 private:
  Database& database_;
  bool committed_ = false;
};

}  // namespace ams::store_detail
