#include "ams/store/sqlite_store.hpp"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/expect_error.hpp"
#include "store/kept_session.hpp"

using namespace ams;
using namespace ams::test;

namespace {

void run_sql(const fs::path& file, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("every life of a store has what the one before kept") {
  const Folder folder;
  Session session, other;
  other.train();
  std::mt19937 dice(7);
  std::unique_ptr<SqliteStore> store;
  const SqliteStoreOptions options{.max_updates_after_model = 4, .updates_per_moments = 3};
  for (int i = 0; i < 60; ++i) {
    CAPTURE(i);
    if (!store || dice() % 3 == 0) {
      store.reset();
      store = std::make_unique<SqliteStore>(folder.text(), manifest(), options);
      CHECK_FALSE(fs::exists(folder.damaged()));
      const auto found = store->load("camera 1");
      REQUIRE(found.has_value() == (i > 0));
      if (found) {
        check_equal(*found, session.record());
        CHECK(found->adam.step_count + 3 > session.adam.step_count);
        // A server that goes on from it is in step with every device of the history.
        ModelFeed feed(found->held, {.max_history_updates = 5});
        CHECK_NOTHROW(feed.restore_history(found->history));
      }
      if (i == 0) store->save(other.record("camera 2"));
    }
    for (unsigned updates = dice() % 8; updates-- > 0;) session.train();
    store->save(session.record());
  }
  check_equal(*store->load("camera 2"), other.record("camera 2"));
  store->erase("camera 1");
  CHECK_FALSE(store->load("camera 1"));
  CHECK(store->load("camera 2"));
}

TEST_CASE("students are kept apart") {
  const Folder folder;
  Session session;
  session.train();
  {
    SqliteStore store(folder.text(), manifest(), {.student_fingerprint = 1});
    store.save(session.record());
  }
  {
    SqliteStore store(folder.text(), manifest(), {.student_fingerprint = 2});
    CHECK_FALSE(store.load("camera 1"));
  }
  SqliteStore store(folder.text(), manifest(), {.student_fingerprint = 1});
  CHECK(store.load("camera 1"));
}

TEST_CASE("several students share a folder") {
  const Folder folder;
  Session session, other;
  session.train();
  {
    SqliteStore first(folder.text(), manifest(), {.student_fingerprint = 1});
    SqliteStore second(first, manifest(), 2);
    first.save(session.record());
    CHECK_FALSE(second.load("camera 1"));
    second.save(other.record());
    expect_error(
        ErrorCode::invalid_argument, [&] { SqliteStore(first, nullptr, 3); }, "manifest");
  }
  SqliteStore second(folder.text(), manifest(), {.student_fingerprint = 2});
  check_equal(*second.load("camera 1"), other.record());
  check_equal(*SqliteStore(second, manifest(), 1).load("camera 1"), session.record());
}

TEST_CASE("a server that is killed has kept what it said it had") {
  for (int round = 0; round < 12; ++round) {
    CAPTURE(round);
    const Folder folder;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Session session;
      SqliteStore store(folder.text(), manifest(), {.max_updates_after_model = 3});
      for (;;) {
        session.train();
        store.save(session.record());
        const std::uint32_t version = session.feed.held().version().number;
        if (write(ends[1], &version, sizeof version) != sizeof version) _exit(1);
      }
    }
    close(ends[1]);
    std::uint32_t kept = 0, version = 0;
    const std::uint32_t enough = 2 + static_cast<std::uint32_t>(round) * 2;
    while (kept < enough && read(ends[0], &version, sizeof version) == sizeof version) {
      kept = version;
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(ends[0], &version, sizeof version) == sizeof version) kept = version;
    close(ends[0]);

    SqliteStore store(folder.text(), manifest());
    CHECK_FALSE(fs::exists(folder.damaged()));
    const auto found = store.load("camera 1");
    REQUIRE(found);
    CHECK(found->held.version().number >= kept);
    Session same;  // the same numbers
    while (same.feed.held().version().number < found->held.version().number) same.train();
    check_equal(*found, same.record());
  }
}

TEST_CASE("a full disk loses nothing, and the next save brings what was missed") {
  const Folder folder;
  Session session;
  session.train();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  {
    SqliteStore store(folder.text(), manifest());
    store.save(session.record());
    const SessionRecord kept = session.record();
    const rlimit none{1, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
    for (int i = 0; i < 3; ++i) {
      session.train();
      CHECK_THROWS_AS(store.save(session.record()), Error);
    }
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    check_equal(*store.load("camera 1"), kept);
    session.train();
    store.save(session.record());
    check_equal(*store.load("camera 1"), session.record());
  }
  SqliteStore store(folder.text(), manifest());
  check_equal(*store.load("camera 1"), session.record());
}

TEST_CASE("a file that is no database is set aside") {
  for (const std::string& content : {std::string("what?"), std::string(5000, '\1')}) {
    const Folder folder;
    fs::create_directories(folder.text());
    write_text(folder.file(), content);
    std::string told;
    SqliteStore store(folder.text(), manifest(),
                      {.on_damaged = [&](const std::string& file) { told = file; }});
    CHECK(told == folder.damaged());
    CHECK(fs::exists(folder.damaged()));
    CHECK_FALSE(store.load("camera 1"));
    Session session;
    session.train();
    store.save(session.record());
    CHECK(store.load("camera 1"));
  }
}

TEST_CASE("a page that is damaged costs what was kept, and keeping goes on") {
  const Folder folder;
  Session session;
  {
    SqliteStore store(folder.text(), manifest());
    session.train();
    store.save(session.record());
  }
  for (const bool is_loaded : {true, false}) {
    CAPTURE(is_loaded);
    {
      std::fstream file(folder.file(), std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(4096);  // behind the header and the schema
      file << std::string(3 * 4096, '\1');
    }
    int told = 0;
    SqliteStore store(folder.text(), manifest(),
                      {.on_damaged = [&](const std::string&) { ++told; }});
    if (is_loaded) CHECK_FALSE(store.load("camera 1"));
    session.train();
    store.save(session.record());
    CHECK(told == 1);
    CHECK(fs::exists(folder.damaged()));
    check_equal(*store.load("camera 1"), session.record());
  }
}

TEST_CASE("what is damaged in one session costs that session its newest updates at most") {
  const Folder folder;
  Session session, older;
  {
    SqliteStore store(folder.text(), manifest());
    for (int i = 0; i < 4; ++i) {
      session.train();
      if (i < 2) older.train();
      store.save(session.record());
      if (i == 0) store.save(session.record("camera 2"));
    }
  }
  run_sql(folder.file(),
          "UPDATE updates SET bytes = x'0102' WHERE device = 'camera 1' AND version = 3");
  {
    SqliteStore store(folder.text(), manifest());
    const auto found = store.load("camera 1");
    REQUIRE(found);
    CHECK(found->held.version() == older.feed.held().version());
    CHECK(store.load("camera 2"));
  }
  run_sql(folder.file(),
          "UPDATE sessions SET model = x'0102', moments = x'03' WHERE device = 'camera 1'");
  SqliteStore store(folder.text(), manifest());
  CHECK_THROWS_AS(store.load("camera 1"), Error);
  CHECK(store.load("camera 2"));
  Session anew;  // what the host then begins
  anew.train();
  store.save(anew.record());
  check_equal(*store.load("camera 1"), anew.record());
}

TEST_CASE("what changes without an update is saved, and the model is not written for it") {
  const Folder folder;
  Session session;
  SessionRecord record = session.record();  // nothing is learned yet
  record.is_paused = true;
  {
    SqliteStore store(folder.text(), manifest());
    store.save(record);
    CHECK(store.load("camera 1")->is_paused);
  }
  run_sql(folder.file(),
          "CREATE TRIGGER whole BEFORE INSERT ON sessions BEGIN "
          "SELECT RAISE(ABORT, 'the model'); END");
  {
    SqliteStore store(folder.text(), manifest());
    record.is_paused = false;
    record.last_batch_id = 17;
    ++record.counters.samples;
    store.save(record);
    const auto found = store.load("camera 1");
    check_equal(*found, record);
    CHECK_FALSE(found->is_paused);
    CHECK(found->counters.samples == 1);
    session.train();
    record = session.record();
    record.is_paused = true;
    store.save(record);  // the update alone
    record.last_batch_id = 99;
    store.save(record);
    check_equal(*store.load("camera 1"), record);
  }
  run_sql(folder.file(), "DROP TRIGGER whole");
  SqliteStore store(folder.text(), manifest());
  check_equal(*store.load("camera 1"), record);
  CHECK(store.load("camera 1")->is_paused);
  store.erase("camera 1");
  record.is_paused = false;
  store.save(record);
  CHECK_FALSE(store.load("camera 1")->is_paused);
}

TEST_CASE("a session that cannot be read and begins anew is written whole") {
  const Folder folder;
  Session session;
  {
    SqliteStore store(folder.text(), manifest());
    store.save(session.record());
  }
  run_sql(folder.file(), "UPDATE sessions SET model = x'0102'");
  SqliteStore store(folder.text(), manifest());
  CHECK_THROWS_AS(store.load("camera 1"), Error);
  store.save(session.record());  // the same version
  session.train();
  store.save(session.record());
  check_equal(*store.load("camera 1"), session.record());
}

TEST_CASE("one process has a folder, and formats to come are refused") {
  const Folder folder;
  {
    SqliteStore store(folder.text(), manifest());
    expect_error(
        ErrorCode::unavailable, [&] { SqliteStore(folder.text(), manifest()); }, "another process");
  }
  run_sql(folder.file(), "PRAGMA user_version = 9");
  expect_error(
      ErrorCode::unsupported_version, [&] { SqliteStore(folder.text(), manifest()); }, "format 9");
  const Folder other;
  write_text(other.path / "data", "");
  expect_error(
      ErrorCode::unavailable, [&] { SqliteStore(other.text(), manifest()); }, other.text().c_str());
  expect_error(
      ErrorCode::invalid_argument, [&] { SqliteStore(folder.text(), nullptr); }, "manifest");
  expect_error(
      ErrorCode::invalid_argument,
      [&] { SqliteStore(folder.text(), manifest(), {.updates_per_moments = 0}); },
      "updates_per_moments");
}

TEST_CASE("samples are kept with their session, and those that cannot be read are left out") {
  const Folder folder;
  const auto bytes = [](std::size_t size, int value) {
    return Bytes(std::vector<std::byte>(size, static_cast<std::byte>(value)));
  };
  const auto batch = [&](std::uint64_t id) {
    const double time = double(id) * 10;
    return LabelledBatch{id, {time, time + 1, time + 2}, -3.5, bytes(100 + id, 1),
                         {bytes(7, 2), Bytes(), bytes(3, 4)}};
  };
  const auto ids = [](const SessionRecord& record) {
    std::vector<std::uint64_t> found;
    for (const LabelledBatch& kept : record.samples) found.push_back(kept.batch_id);
    return found;
  };
  using Ids = std::vector<std::uint64_t>;
  Session session;
  session.train();
  {
    SqliteStore store(folder.text(), manifest());
    SessionRecord record = session.record();
    record.samples = {batch(1), batch(2)};
    store.save(record);
    session.train();
    record = session.record();
    record.samples = {batch(2), batch(3), batch(4)};
    store.save(record);
    const auto found = store.load("camera 1");
    REQUIRE(ids(*found) == Ids{2, 3, 4});
    for (const LabelledBatch& kept : found->samples) {
      const LabelledBatch wanted = batch(kept.batch_id);
      CHECK(kept.capture_seconds == wanted.capture_seconds);
      CHECK(kept.offset_seconds == wanted.offset_seconds);
      CHECK(kept.bitstream == wanted.bitstream);
      CHECK(kept.labels == wanted.labels);
    }
  }
  run_sql(folder.file(), "UPDATE samples SET bytes = zeroblob(length(bytes)) WHERE batch = 3");
  run_sql(folder.file(), "UPDATE samples SET bytes = substr(bytes, 1, 9) WHERE batch = 2");
  SqliteStore store(folder.text(), manifest());
  CHECK(ids(*store.load("camera 1")) == Ids{4});
  // Of a session that began anew, whose batches count from 1 again.
  Session anew;
  anew.train();
  SessionRecord record = anew.record();
  record.samples = {batch(1)};
  store.save(record);
  CHECK(ids(*store.load("camera 1")) == Ids{1});
  store.erase("camera 1");
  record.samples.clear();
  store.save(record);
  CHECK(store.load("camera 1")->samples.empty());
}

TEST_CASE("several threads save and load at once, each its own device") {
  const Folder folder;
  SqliteStore store(folder.text(), manifest());
  SqliteStore of_another_student(store, manifest(), 9);
  std::vector<Session> sessions(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    threads.emplace_back([&, i] {
      SqliteStore& own = i % 2 == 0 ? store : of_another_student;
      const std::string id = "camera " + std::to_string(i);
      for (int update = 0; update < 20; ++update) {
        sessions[i].train();
        own.save(sessions[i].record(id));
        CHECK(own.load(id));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const std::string id = "camera " + std::to_string(i);
    check_equal(*(i % 2 == 0 ? store : of_another_student).load(id), sessions[i].record(id));
  }
}
