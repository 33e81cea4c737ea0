// Opens stores whose content is hostile. The first byte chooses what the rest of the input is:
//   0 to 3  the column `model`, `moments` or `counters`, or `bytes` of an update;
//   4       8 bytes in each of the columns of whole numbers;
//   others  bytes of the database file, from a place on that the next two bytes give.
// load() gives a whole record, nothing, or Error; then save() and load() work.
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/model_feed.hpp"
#include "ams/store/sqlite_store.hpp"
#include "scratch.hpp"

namespace {

using namespace ams;

constexpr std::size_t dimension = 40;

const std::shared_ptr<const Manifest>& manifest() {
  static const auto value =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{"weight", {dimension}}});
  return value;
}

SessionRecord record(std::uint32_t version) {
  ModelFeed feed(ModelState(manifest(), std::vector<float>(dimension, 0.5F)), {});
  while (feed.held().version().number < version) {
    std::vector<float> trained(feed.held().values().begin(), feed.held().values().end());
    for (float& value : trained) value += 0.25F;
    feed.publish(trained, CoordinateSet::all(dimension), 0, {});
  }
  return {"camera", feed.held(), AdamState(dimension),
          version,  {},          {feed.history().begin(), feed.history().end()}};
}

std::filesystem::path folder() {
  return scratch() / "data";
}
std::filesystem::path database() {
  return folder() / "sessions.db";
}

/// A good database, as it lies on the disk.
const std::vector<std::byte>& good() {
  static const std::vector<std::byte> bytes = [] {
    {
      SqliteStore store(folder().string(), manifest());
      store.save(record(1));
      store.save(record(3));
    }
    std::ifstream file(database(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto view = std::as_bytes(std::span(text));
    return std::vector<std::byte>(view.begin(), view.end());
  }();
  return bytes;
}

void change_rows(int what, std::span<const std::byte> input) {
  sqlite3* handle = nullptr;
  if (sqlite3_open(database().c_str(), &handle) != SQLITE_OK) std::abort();
  constexpr std::array columns = {
      "UPDATE sessions SET model = ?1", "UPDATE moments SET moments = ?1",
      "UPDATE newest SET counters = CAST(?1 AS TEXT)", "UPDATE updates SET bytes = ?1"};
  constexpr std::array numbers = {
      "UPDATE newest SET version = ?1",    "UPDATE newest SET digest = ?1",
      "UPDATE newest SET last_batch = ?1", "UPDATE newest SET model_version = ?1",
      "UPDATE moments SET steps = ?1",      "UPDATE newest SET moments_version = ?1",
      "UPDATE updates SET base_digest = ?1", "UPDATE updates SET version = version + ?1"};
  const auto run = [&](const char* sql, auto&& bind) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, nullptr) != SQLITE_OK) std::abort();
    bind(statement);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
  };
  if (what < 4) {
    run(columns[static_cast<std::size_t>(what)], [&](sqlite3_stmt* statement) {
      const void* data = input.empty() ? static_cast<const void*>("") : input.data();
      sqlite3_bind_blob64(statement, 1, data, input.size(), SQLITE_STATIC);
    });
  } else {
    for (const char* sql : numbers) {
      if (input.size() < 8) break;
      std::int64_t number = 0;
      std::memcpy(&number, input.data(), 8);
      input = input.subspan(8);
      if (number != 0) {  // so that one of them can be wrong alone
        run(sql, [&](sqlite3_stmt* statement) { sqlite3_bind_int64(statement, 1, number); });
      }
    }
  }
  sqlite3_close(handle);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  std::vector<std::byte> bytes = good();
  auto input = std::as_bytes(std::span(data, size)).subspan(1);
  std::filesystem::remove_all(folder());
  std::filesystem::create_directory(folder());
  if (data[0] > 4) {
    const std::size_t place = (data[1] | static_cast<std::size_t>(data[2]) << 8) % bytes.size();
    input = input.subspan(2, std::min(input.size() - 2, bytes.size() - place));
    std::ranges::copy(input, bytes.begin() + static_cast<std::ptrdiff_t>(place));
  }
  write_file(database(), bytes);
  if (data[0] <= 4) change_rows(data[0], input);
  std::unique_ptr<SqliteStore> store;
  try {
    store = std::make_unique<SqliteStore>(folder().string(), manifest());
  } catch (const Error& error) {  // of a version to come
    return 0;
  }
  try {
    if (const std::optional<SessionRecord> found = store->load("camera")) {
      if (found->last_batch_id >= max_batch_id) std::abort();
      ModelFeed feed(found->held, {});
      feed.restore_history(found->history);
    }
  } catch (const Error&) {
  }
  try {
    store->save(record(5));
  } catch (const Error&) {  // an odd schema that SQLite takes for one
    return 0;
  }
  return 0;
}
