#include "ams/runtime/model_journal.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/random.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/runtime/files.hpp"
#include "core/expect_error.hpp"

using namespace ams;
using ams::test::expect_error;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t dimension = 40000;

std::shared_ptr<const Manifest> manifest() {
  static const auto one =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{"weight", {dimension}}});
  return one;
}

/// A folder that goes with the test.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "ams-journal-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  fs::path file() const { return path / "state"; }
  fs::path journal() const { return path / "state.journal"; }
};

/// A device's model that goes on by updates.
struct Device {
  ModelState state{manifest(), [] {
                     Random noise(3);
                     std::vector<float> values(dimension);
                     for (float& value : values) value = static_cast<float>(noise.uniform());
                     return values;
                   }()};
  Random random{1};

  Bytes update() {
    std::vector<float> trained(state.values().begin(), state.values().end());
    std::vector<std::uint32_t> moved;
    for (std::uint32_t i = 0; i < dimension; i += 20) {
      trained[i] += static_cast<float>(random.uniform()) - 0.5F;
      moved.push_back(i);
    }
    return Bytes(encode_update(state, trained, CoordinateSet::from_sorted(dimension, moved)));
  }
  std::vector<Bytes> updates(int count) {
    std::vector<Bytes> made;
    while (count-- > 0) made.push_back(update());
    return made;
  }
};

ModelVersion version_in(const Folder& folder) {
  const auto state = ModelJournal(folder.file(), manifest()).load();
  REQUIRE(state);
  return state->version();
}

}  // namespace

TEST_CASE("every life has what the one before kept, for the bytes of its updates") {
  const Folder folder;
  Device device;
  std::uint64_t update_bytes = 0, written = 0, snapshots = 0;
  for (int life = 0; life < 12; ++life) {
    CAPTURE(life);
    ModelJournal journal(folder.file(), manifest());
    const auto found = journal.load();
    REQUIRE(found.has_value() == (life > 0));
    if (found) CHECK(found->version() == device.state.version());
    for (int saves = 0; saves < 3; ++saves) {
      const std::vector<Bytes> updates = device.updates(1 + life % 3);
      for (const Bytes& update : updates) update_bytes += update.size();
      const std::uint64_t before = journal.written_bytes();
      journal.save(device.state, updates);
      if (journal.written_bytes() - before > 100000) ++snapshots;
      CHECK(version_in(folder) == device.state.version());
      CHECK((!fs::exists(folder.journal()) ||
             fs::file_size(folder.journal()) <= fs::file_size(folder.file())));
    }
    written += journal.written_bytes();
  }
  CHECK(snapshots >= 2);
  CHECK(snapshots <= 4);
  CHECK(written < 3 * update_bytes + 2 * fs::file_size(folder.file()));
}

TEST_CASE("a state that updates do not lead to is written whole") {
  const Folder folder;
  Device device;
  ModelJournal journal(folder.file(), manifest());
  journal.save(device.state, device.updates(1));  // nothing was loaded
  device.updates(3);
  journal.save(device.state);
  CHECK(version_in(folder) == device.state.version());
  device.updates(2);
  journal.save(device.state, device.updates(1));  // two are missing
  CHECK(version_in(folder) == device.state.version());
  CHECK_FALSE(fs::exists(folder.journal()));
  // The server has begun anew: an older number.
  Device other;
  other.update();
  journal.save(device.state, device.updates(2));
  CHECK(fs::exists(folder.journal()));
  journal.save(other.state);
  CHECK(version_in(folder) == other.state.version());
}

TEST_CASE("whatever a power cut leaves of the journal, a version that was saved is found") {
  const Folder folder;
  Device device;
  std::vector<ModelVersion> versions;
  {
    ModelJournal journal(folder.file(), manifest());
    journal.save(device.state);
    versions.push_back(device.state.version());
    for (int i = 0; i < 4; ++i) {
      journal.save(device.state, device.updates(1));
      versions.push_back(device.state.version());
    }
  }
  const std::vector<std::byte> whole = *read_file(folder.journal(), 1 << 20);
  const auto place = [&](ModelVersion version) {
    return std::find(versions.begin(), versions.end(), version) - versions.begin();
  };
  std::ptrdiff_t before = 0;
  for (std::size_t size = 0; size <= whole.size(); size += 1 + whole.size() / 40) {
    CAPTURE(size);
    write_file_atomically(folder.journal(), std::span(whole).first(size));
    const auto found = place(version_in(folder));
    CHECK(found < std::ptrdiff_t(versions.size()));
    CHECK(found >= before);
    before = found;
    // The next life goes on behind it.
    ModelJournal journal(folder.file(), manifest());
    Device next;
    next.state = *journal.load();
    journal.save(next.state, next.updates(1));
    CHECK(version_in(folder) == next.state.version());
  }
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 60) {
    CAPTURE(at);
    std::vector<std::byte> damaged = whole;
    damaged[at] ^= std::byte{16};
    write_file_atomically(folder.journal(), damaged);
    CHECK(place(version_in(folder)) < std::ptrdiff_t(versions.size()) - 1);
    ModelJournal journal(folder.file(), manifest());
    Device next;
    next.state = *journal.load();
    journal.save(next.state, next.updates(1));
    CHECK(version_in(folder) == next.state.version());
  }
}

TEST_CASE("the power went between the snapshot and the journal's end") {
  const Folder folder;
  Device device;
  ModelJournal journal(folder.file(), manifest());
  journal.save(device.state);
  journal.save(device.state, device.updates(3));
  const std::vector<std::byte> old = *read_file(folder.journal(), 1 << 20);
  journal.save(device.state, device.updates(40));  // more than a snapshot has
  const ModelVersion version = device.state.version();
  write_file_atomically(folder.journal(), old);
  CHECK(version_in(folder) == version);
}

TEST_CASE("a damaged snapshot is set aside; another file is left alone") {
  const Folder folder;
  Device device;
  ModelJournal journal(folder.file(), manifest(), {.student_fingerprint = 5});
  journal.save(device.state);
  const std::vector<std::byte> good = *read_file(folder.file(), 1 << 20);
  for (const std::size_t at : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
    std::vector<std::byte> damaged = good;
    damaged[at] ^= std::byte{1};
    write_file_atomically(folder.file(), damaged);
    fs::path told;
    ModelJournal next(folder.file(), manifest(),
                      {.student_fingerprint = 5,
                       .on_damaged = [&](const fs::path& file, const std::string&) { told = file; }});
    CHECK_FALSE(next.load());
    CHECK(told == folder.path / "state.damaged");
    CHECK(fs::exists(told));
    CHECK_FALSE(fs::exists(folder.file()));
  }
  write_file_atomically(folder.file(), good);
  expect_error(ErrorCode::manifest_mismatch,
               [&] { ModelJournal(folder.file(), manifest(), {.student_fingerprint = 6}).load(); });
  write_file_atomically(folder.file(), std::string_view("my diary"));
  expect_error(ErrorCode::invalid_argument, [&] { ModelJournal(folder.file(), manifest()).load(); });
  expect_error(ErrorCode::invalid_argument, [&] { ModelJournal(folder.file(), nullptr); });
  expect_error(ErrorCode::invalid_argument, [&] { ModelJournal("", manifest()); });
}

TEST_CASE("a full disk loses nothing, and the next save brings what was missed") {
  const Folder folder;
  Device device;
  ModelJournal journal(folder.file(), manifest());
  journal.save(device.state);
  journal.save(device.state, device.updates(1));
  const ModelVersion kept = device.state.version();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit little{fs::file_size(folder.journal()) + 100, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &little) == 0);
  for (int i = 0; i < 3; ++i) {
    expect_error(ErrorCode::io_error, [&] { journal.save(device.state, device.updates(1)); });
  }
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(version_in(folder) == kept);
  journal.save(device.state, device.updates(1));
  CHECK(version_in(folder) == device.state.version());
}
