#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/update_codec.hpp"
#include "ams/runtime/session_store.hpp"
#include "ams/session/model_feed.hpp"

/// What the tests of stores keep.
namespace ams::test {

namespace fs = std::filesystem;

inline constexpr std::size_t dimension = 300;

inline std::shared_ptr<const Manifest> manifest() {
  return std::make_shared<const Manifest>(std::vector<TensorSpec>{{"weight", {dimension}}});
}

/// A folder that goes with the test: in memory where there is such a place, as the tests wait for
/// hundreds of fsync().
struct Folder {
  fs::path path;
  Folder() {
    const fs::path memory = "/dev/shm";
    const fs::path parent = fs::is_directory(memory) ? memory : fs::temp_directory_path();
    std::string name = (parent / "ams-store-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string text() const { return (path / "data").string(); }
  fs::path damaged() const { return path / "data" / "sessions.db.damaged"; }
  fs::path file() const { return path / "data" / "sessions.db"; }
};

/// A session as far as a store sees it.
struct Session {
  ModelFeed feed{ModelState(manifest(), std::vector<float>(dimension, 0.5F)),
                 {.max_history_updates = 5}};
  AdamState adam{dimension};
  SessionCounters counters;
  Random random{1};

  void train() {
    std::vector<float> trained(feed.held().values().begin(), feed.held().values().end());
    std::vector<std::uint32_t> moved;
    for (std::uint32_t i = 0; i < dimension; i += 7) {
      trained[i] += static_cast<float>(random.uniform()) - 0.5F;
      moved.push_back(i);
      adam.first_moment[i] = trained[i];
      adam.second_moment[i] = 1 + trained[i];
    }
    ++adam.step_count;
    const EncodeOptions encode{.profile = counters.updates % 2 ? UpdateProfile::compact
                                                               : UpdateProfile::reference};
    feed.publish(trained, CoordinateSet::from_sorted(dimension, std::move(moved)), 0, encode);
    ++counters.updates;
    counters.score_held = random.uniform();
  }

  SessionRecord record(const std::string& id = "camera 1") const {
    return {id,       feed.held(),
            adam,     counters.updates + 3,
            counters, {feed.history().begin(), feed.history().end()}};
  }
};

/// Equal but for moments that are older.
inline void check_equal(const SessionRecord& found, const SessionRecord& wanted) {
  CHECK(found.device_id == wanted.device_id);
  CHECK(found.held.version() == wanted.held.version());
  CHECK(std::equal(found.held.values().begin(), found.held.values().end(),
                   wanted.held.values().begin(), wanted.held.values().end()));
  CHECK(found.last_batch_id == wanted.last_batch_id);
  CHECK(found.counters.updates == wanted.counters.updates);
  CHECK(found.counters.score_held == wanted.counters.score_held);
  // Updates for a device that is behind: at least those that the session had.
  REQUIRE(found.history.size() >= wanted.history.size());
  const std::size_t more = found.history.size() - wanted.history.size();
  for (std::size_t i = 0; i < wanted.history.size(); ++i) {
    CHECK(found.history[more + i].base == wanted.history[i].base);
    CHECK(found.history[more + i].bytes == wanted.history[i].bytes);
  }
}

/// Memory that a process shares with those that it forks.
struct SharedVersion {
  std::atomic<std::uint32_t>* value = static_cast<std::atomic<std::uint32_t>*>(
      mmap(nullptr, sizeof(std::atomic<std::uint32_t>), PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ~SharedVersion() { munmap(value, sizeof *value); }
};

}  // namespace ams::test
