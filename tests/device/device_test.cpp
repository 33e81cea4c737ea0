#include "ams/device/device.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ams/runtime/model_journal.hpp"
#include "core/expect_error.hpp"

using namespace ams;
using ams::test::expect_error;
namespace fs = std::filesystem;

namespace {

std::shared_ptr<const Manifest> manifest() {
  static const auto one =
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{"weight", {4}}});
  return one;
}

/// Says what its first value is.
class Student final : public Predictor {
 public:
  const std::shared_ptr<const Manifest>& manifest() const override { return manifest_; }
  void load(std::span<const float> values) override { first_ = values[0]; }
  Handle predict(const Handle&) override { return Handle::make(first_); }

 private:
  std::shared_ptr<const Manifest> manifest_ = ::manifest();
  float first_ = -1;
};

DeviceParts parts() {
  return {.initial = ModelState(manifest(), std::vector<float>(4, 0.5F)),
          .active = std::make_shared<Student>(),
          .inactive = std::make_shared<Student>(),
          .codec = nullptr};
}

/// Of a port where nobody listens.
DeviceOptions options(const fs::path& state = {}) {
  DeviceOptions options;
  options.link.host = "127.0.0.1";
  options.link.port = 9;
  options.client.student_fingerprint = 7;
  options.state = state;
  return options;
}

float said(Device& device) {
  return device.host().predict(Handle::make(Frame{})).as<float>();
}

}  // namespace

TEST_CASE("a device predicts without a server, before start() and after close()") {
  NoLog log;
  Device device(parts(), options(), log);
  CHECK(said(device) == 0.5F);
  device.start();
  CHECK(said(device) == 0.5F);
  CHECK_FALSE(device.is_closed());
  expect_error(
      ErrorCode::invalid_argument, [&] { device.start(); }, "second time");
  device.close("the end", 10);
  CHECK(device.is_closed());
  CHECK(device.host().status().stopped);
  device.close("the end", 10);
  expect_error(
      ErrorCode::invalid_argument, [&] { device.start(); }, "after close()");
  CHECK(said(device) == 0.5F);
}

TEST_CASE("what was kept is what starts, of this student alone") {
  std::string folder = (fs::temp_directory_path() / "ams-device-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const fs::path state = fs::path(folder) / "state";
  ModelJournal(state, manifest(), {.student_fingerprint = 7})
      .save(ModelState(manifest(), std::vector<float>(4, 2)));
  NoLog log;
  {
    Device device(parts(), options(state), log);
    CHECK(said(device) == 2);
  }
  DeviceOptions other = options(state);
  other.client.student_fingerprint = 8;
  expect_error(
      ErrorCode::manifest_mismatch, [&] { Device(parts(), other, log); }, state.string(),
      "another student", "name another file");
  fs::remove_all(folder);
}
