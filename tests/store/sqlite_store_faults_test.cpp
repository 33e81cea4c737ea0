// A store whose process is killed at every step, whose disk fails at every step, and whose files
// rot.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "ams/store/sqlite_store.hpp"
#include "faulty_disk.hpp"
#include "store/kept_session.hpp"

using namespace ams;
using namespace ams::test;

namespace {

const SqliteStoreOptions options{.max_updates_after_model = 3, .updates_per_moments = 2};

std::uint32_t version_of(const Session& session) {
  return session.feed.held().version().number;
}

/// Two lives of a store, with every kind of write: a new database, models, updates, moments, the
/// clean-up at the end, and opening what there is. Tells after every save what has been kept.
template <class Kept>
void live_twice(const Folder& folder, Kept&& kept) {
  Session session;
  for (const int saves : {5, 2}) {
    SqliteStore store(folder.text(), manifest(), options);
    for (int i = 0; i < saves; ++i) {
      session.train();
      store.save(session.record());
      kept(version_of(session));
    }
  }
}

void check_same_model(const SessionRecord& found, const Session& session) {
  CHECK(found.held.version() == session.feed.held().version());
  CHECK(std::ranges::equal(found.held.values(), session.feed.held().values()));
}

/// What is there is a version that the session had, whole.
std::uint32_t check_whole(SqliteStore& store) {
  const std::optional<SessionRecord> found = store.load("camera 1");
  if (!found) return 0;
  Session same;  // the same numbers
  while (version_of(same) < found->held.version().number) same.train();
  check_equal(*found, same.record());
  return version_of(same);
}

int steps_of_two_lives() {
  const Folder folder;
  const FaultyDisk disk;
  live_twice(folder, [](std::uint32_t) {});
  return disk.calls();
}

std::vector<char> read_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_bytes(const fs::path& file, const std::vector<char>& bytes) {
  std::ofstream(file, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("killed at any step, a store has what it said it had") {
  const int steps = steps_of_two_lives();
  REQUIRE(steps > 30);
  for (int step = 0; step < steps; ++step) {
    for (const DiskFault fault : {DiskFault::kill, DiskFault::kill_within}) {
      CAPTURE(step);
      CAPTURE(fault == DiskFault::kill_within);
      const Folder folder;
      const SharedVersion kept;
      const int signal = signal_of(fault, step, [&] {
        live_twice(folder, [&](std::uint32_t version) { *kept.value = version; });
      });
      REQUIRE(signal == SIGKILL);

      int damaged = 0;
      SqliteStoreOptions again = options;
      again.on_damaged = [&](const std::string&) { ++damaged; };
      SqliteStore store(folder.text(), manifest(), again);
      CHECK(check_whole(store) >= *kept.value);
      CHECK(damaged == 0);
      Session session;
      while (version_of(session) < 9) session.train();
      store.save(session.record());
      CHECK(check_whole(store) == 9);
    }
  }
}

TEST_CASE("whatever call the disk fails, what was kept stays, and the next save brings the rest") {
  const int steps = steps_of_two_lives();
  for (const DiskFault fault : {DiskFault::no_space, DiskFault::io_error}) {
    for (const int more : {0, 3}) {
      for (int step = 0; step < steps; ++step) {
        CAPTURE(fault == DiskFault::no_space);
        CAPTURE(more);
        CAPTURE(step);
        const Folder folder;
        std::uint32_t kept = 0;
        {
          const FaultyDisk disk(fault, step, more);
          Session session;
          for (const int saves : {5, 2}) {
            std::optional<SqliteStore> store;
            for (int attempt = 0; !store && attempt <= more + 2; ++attempt) {
              try {
                store.emplace(folder.text(), manifest(), options);
              } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::unavailable);
              }
            }
            REQUIRE(store);
            for (int i = 0; i < saves; ++i) {
              session.train();
              try {
                store->save(session.record());
                kept = version_of(session);
              } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::unavailable);
              }
              try {
                CHECK(check_whole(*store) >= kept);
              } catch (const Error& error) {  // the disk has not come back yet
                CHECK(error.code() == ErrorCode::unavailable);
              }
            }
          }
        }
        CHECK_FALSE(fs::exists(folder.damaged()));
        SqliteStore store(folder.text(), manifest(), options);
        CHECK(check_whole(store) >= kept);
        Session session;
        while (version_of(session) < 9) session.train();
        store.save(session.record());
        CHECK(check_whole(store) == 9);
      }
    }
  }
}

TEST_CASE("a store opens while the disk is full, reads what is there and saves again later") {
  const Folder folder, copy;
  Session session;
  {
    SqliteStore first(folder.text(), manifest(), options);
    session.train();
    first.save(session.record());
    fs::copy(folder.text(), copy.text());  // as kill -9 leaves it: with the -wal file
  }
  int told = 0;
  SqliteStoreOptions telling = options;
  telling.on_full = [&](const std::string&) { ++told; };
  std::optional<SqliteStore> store;
  {
    const FaultyDisk full(DiskFault::full, 0, 1000);
    store.emplace(copy.text(), manifest(), telling);
    CHECK(check_whole(*store) == 1);
    session.train();
    CHECK_THROWS_AS(store->save(session.record()), Error);
    CHECK(check_whole(*store) == 1);
  }
  store->save(session.record());
  CHECK(check_whole(*store) == 2);
  CHECK(told == 0);
}

TEST_CASE("a new store on a full disk says so, and begins when there is room") {
  const Folder folder;
  int told = 0;
  SqliteStoreOptions telling = options;
  telling.on_full = [&](const std::string&) { ++told; };
  Session session;
  session.train();
  std::optional<SqliteStore> store;
  {
    const FaultyDisk full(DiskFault::full, 0, 1000);
    store.emplace(folder.text(), manifest(), telling);
    CHECK(told == 1);
    CHECK_THROWS_AS(store->save(session.record()), Error);
    CHECK_THROWS_AS(store->load("camera 1"), Error);
  }
  CHECK(check_whole(*store) == 0);
  store->save(session.record());
  CHECK(check_whole(*store) == 1);
}

TEST_CASE("a file that rots gives a whole version, an Error or nothing, and keeping goes on") {
  const Folder written;
  live_twice(written, [](std::uint32_t) {});
  const std::vector<char> good = read_bytes(written.file());
  REQUIRE(good.size() > 8192);
  std::mt19937 dice(11);
  const auto below = [&](std::size_t bound) { return dice() % bound; };
  int whole = 0;
  int behind = 0;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::vector<char> bytes = good;
    switch (round % 3) {
      case 0:  // bits
        for (std::size_t flips = 1 + below(4); flips-- > 0;) {
          bytes[below(bytes.size())] ^= static_cast<char>(1 << below(8));
        }
        break;
      case 1:
        bytes.resize(below(bytes.size()));
        break;
      default: {  // zeros from somewhere on, as a disk may leave blocks that it lost
        const std::size_t block = below(bytes.size() / 512) * 512;
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block), 512, '\0');
      }
    }
    const Folder folder;
    fs::create_directories(folder.text());
    write_bytes(folder.file(), bytes);
    SqliteStore store(folder.text(), manifest(), options);
    std::optional<SessionRecord> found;
    try {
      found = store.load("camera 1");
    } catch (const Error&) {
    }
    Session session;
    if (found) {
      while (version_of(session) < found->held.version().number) session.train();
      check_same_model(*found, session);
      CHECK(found->last_batch_id < max_batch_id);
      ++whole;
    }
    session.random = Random(static_cast<std::uint64_t>(round));  // training takes another way now
    std::optional<ModelVersion> before;
    for (int i = 0; i < 2; ++i) {
      session.train();
      store.save(session.record());
      found = store.load("camera 1");
      REQUIRE(found);
      if (before && found->held.version() == *before) {
        ++behind;  // rows that SQLite finds out of order, without a word
      } else {
        check_same_model(*found, session);
      }
      before = session.feed.held().version();
    }
  }
  CHECK(behind < 3);
  CHECK(whole > 50);  // most of a file is not one session's model
}
