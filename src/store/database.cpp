#include "database.hpp"

#include <utility>

#include "ams/core/error.hpp"

namespace ams::store_detail {

Database::Database(std::string file) : file_(std::move(file)) {
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(file_.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(opened);
  if (code != SQLITE_OK) fail("open");
}

void Database::run(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("write");
}

void Database::fail(const std::string& what) const {
  failure_code_ = handle_ ? sqlite3_errcode(handle_.get()) & 0xff : SQLITE_NOMEM;
  throw Error(ErrorCode::unavailable, "cannot " + what + " " + file_ + ": " +
                                          (handle_ ? sqlite3_errmsg(handle_.get()) : "no memory"));
}

void Database::fail_as_damaged(const std::string& what) const {
  try {
    fail(what);
  } catch (const Error&) {
    failure_code_ = SQLITE_CORRUPT;
    throw;
  }
}

Statement::Statement(const Database& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      &prepared, nullptr);
  // A table or column that is not there: the schema has rotted.
  if (code == SQLITE_ERROR) database.fail_as_damaged("use");
  check(code);
  handle_.reset(prepared);
}

Statement& Statement::bind(std::int64_t value) {
  check(sqlite3_bind_int64(handle_.get(), ++bound_, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  check(sqlite3_bind_text64(handle_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(std::span<const std::byte> bytes) {
  // A null pointer would be NULL, not an empty blob.
  const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  check(sqlite3_bind_blob64(handle_.get(), ++bound_, data, bytes.size(), SQLITE_STATIC));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail("use");
  return false;
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  return data ? std::string(data, static_cast<std::size_t>(
                                      sqlite3_column_bytes(handle_.get(), column)))
              : std::string();
}

std::vector<std::byte> Statement::bytes(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return data ? std::vector<std::byte>(data, data + size) : std::vector<std::byte>();
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_.fail("use");
}

}  // namespace ams::store_detail
