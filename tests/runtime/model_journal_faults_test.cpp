// A device's state whose process is killed at every step, whose disk fails at every step, and whose
// files rot.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/runtime/model_journal.hpp"
#include "faulty_disk.hpp"
#include "store/kept_session.hpp"

using namespace ams;
using namespace ams::test;

namespace {

constexpr int saves = 24;

fs::path state_of(const Folder& folder) {
  return folder.path / "device.state";
}
fs::path journal_of(const Folder& folder) {
  return folder.path / "device.state.journal";
}

std::uint32_t version_of(const Session& session) {
  return session.feed.held().version().number;
}

void save_next(ModelJournal& journal, Session& session) {
  session.train();
  const Bytes update = session.feed.history().back().bytes;
  journal.save(session.feed.held(), {&update, 1});
}

/// Two lives of a device, with snapshots, updates behind them and new snapshots.
template <class Kept>
void live_twice(const Folder& folder, Kept&& kept) {
  Session session;
  for (int life = 0; life < 2; ++life) {
    ModelJournal journal(state_of(folder), manifest());
    journal.load();
    for (int i = 0; i < saves / 2; ++i) {
      save_next(journal, session);
      kept(version_of(session));
    }
  }
}

/// What is there is a version that the device had, whole.
std::uint32_t check_whole(const Folder& folder) {
  const std::optional<ModelState> found = ModelJournal(state_of(folder), manifest()).load();
  if (!found) return 0;
  Session same;
  while (version_of(same) < found->version().number) same.train();
  CHECK(found->version() == same.feed.held().version());
  CHECK(std::ranges::equal(found->values(), same.feed.held().values()));
  return version_of(same);
}

int steps_of_two_lives() {
  const Folder folder;
  const FaultyDisk disk;
  live_twice(folder, [](std::uint32_t) {});
  return disk.calls();
}

void check_goes_on(const Folder& folder) {
  Session session;
  session.random = Random(2);  // training takes another way now
  ModelJournal journal(state_of(folder), manifest());
  journal.load();
  for (int i = 0; i < 3; ++i) save_next(journal, session);
  const auto found = ModelJournal(state_of(folder), manifest()).load();
  REQUIRE(found);
  CHECK(found->version() == session.feed.held().version());
}

}  // namespace

TEST_CASE("killed at any step, a device has what it said it had") {
  const int steps = steps_of_two_lives();
  REQUIRE(steps > 2 * saves);
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
      CHECK(check_whole(folder) >= *kept.value);
      CHECK_FALSE(fs::exists(folder.path / "device.state.damaged"));
      check_goes_on(folder);
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
        Session session;
        ModelJournal journal(state_of(folder), manifest());
        std::uint32_t kept = 0;
        {
          const FaultyDisk disk(fault, step, more);
          for (int i = 0; i < saves; ++i) {
            try {
              save_next(journal, session);
              kept = version_of(session);
            } catch (const Error& error) {
              CHECK(error.code() == ErrorCode::io_error);
            }
          }
        }
        CHECK(check_whole(folder) >= kept);
        save_next(journal, session);
        CHECK(check_whole(folder) == version_of(session));
        CHECK_FALSE(fs::exists(folder.path / "device.state.damaged"));
      }
    }
  }
}

TEST_CASE("a state that rots gives a whole version, an Error or nothing") {
  const Folder written;
  live_twice(written, [](std::uint32_t) {});
  std::mt19937 dice(5);
  const auto below = [&](std::size_t bound) { return dice() % bound; };
  int whole = 0;
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    const Folder folder;
    fs::copy_file(state_of(written), state_of(folder));
    fs::copy_file(journal_of(written), journal_of(folder));
    const fs::path file = round % 2 == 0 ? state_of(folder) : journal_of(folder);
    std::ifstream stream(file, std::ios::binary);
    std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
    if (round % 4 < 2) {
      bytes[below(bytes.size())] ^= static_cast<char>(1 << below(8));
    } else {
      bytes.resize(below(bytes.size()));
    }
    std::ofstream(file, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    try {
      whole += check_whole(folder) > 0 ? 1 : 0;
    } catch (const Error&) {
      continue;  // another kind of file by its looks: it stays
    }
    check_goes_on(folder);
  }
  CHECK(whole > 80);
}
