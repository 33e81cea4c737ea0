#include "ams/executorch/executorch_predictor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "ams/segmentation/frame_resize.hpp"
#include "bundle/tiny_student.hpp"
#include "core/expect_error.hpp"

using namespace ams;
using namespace ams::test;

namespace {

/// Made by data/make_tiny_bundle.py.
StudentBundle tiny() {
  return open_student_bundle(AMS_SOURCE_DIR "/tests/executorch/data/tiny.bundle");
}

/// The same with another program.
template <class Change>
StudentBundle changed(const Change& change) {
  StudentBundle bundle = tiny();
  ExecutorchProgram program = *bundle.executorch;
  std::vector<std::byte> bytes = *program.bytes;
  change(bytes);
  program.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  bundle.executorch = std::make_shared<const ExecutorchProgram>(std::move(program));
  return bundle;
}

}  // namespace

TEST_CASE("frames of any size are scaled as students see them") {
  const StudentBundle bundle = tiny();
  for (const bool all_cores : {false, true}) {
    const auto predictor = make_executorch_predictor(bundle, {.all_cores = all_cores});
    CHECK(predictor->manifest()->digest() == bundle.manifest->digest());
    for (const auto& [width, height] : {std::pair{32, 32}, {90, 50}, {5, 7}}) {
      const Frame frame = noise(width, height);
      const LabelMap labels = predictor->predict(Handle::make(frame)).as<LabelMap>();
      CHECK(labels.width == 32);
      CHECK(labels.height == 32);
      CHECK(labels.ids == largest(resize_area(frame, 32, 32)));
    }
  }
}

TEST_CASE("loaded values are what predicts, and can be replaced again") {
  const StudentBundle bundle = tiny();
  const auto predictor = make_executorch_predictor(bundle);
  const Frame frame = noise(32, 32);
  predictor->load(exchanged(bundle));
  CHECK(ids(*predictor, frame) == largest(frame, true));
  predictor->load(bundle.values);
  CHECK(ids(*predictor, frame) == largest(frame));
  // Batch norm is folded anew: only green is left.
  std::vector<float> values = bundle.values;
  const auto* const bias = &bundle.manifest->tensors().back();
  REQUIRE(bias->name == "bn.bias");
  values[bias->offset + 1] = 100;
  predictor->load(values);
  CHECK(ids(*predictor, frame) == std::vector<std::uint8_t>(32 * 32, 1));
  expect_error(
      ErrorCode::invalid_argument, [&] { predictor->load(std::vector<float>(3)); }, "3 values",
      "15");
  CHECK(ids(*predictor, frame) == std::vector<std::uint8_t>(32 * 32, 1));
}

TEST_CASE("one copy loads while another predicts, and the bundle stays as it was") {
  const StudentBundle bundle = tiny();
  const auto active = make_executorch_predictor(bundle);
  const auto inactive = make_executorch_predictor(bundle);
  const Frame frame = noise(32, 32);
  std::atomic<bool> loaded = false;
  std::thread loader([&] {
    for (int i = 0; i < 20; ++i) inactive->load(i % 2 == 0 ? bundle.values : exchanged(bundle));
    loaded = true;
  });
  do {
    CHECK(ids(*active, frame) == largest(frame));
  } while (!loaded);
  loader.join();
  CHECK(ids(*inactive, frame) == largest(frame, true));
  CHECK(ids(*make_executorch_predictor(bundle), frame) == largest(frame));
}

TEST_CASE("a bundle without a program for ExecuTorch says how to write one") {
  StudentBundle bundle = tiny();
  bundle.executorch = nullptr;
  expect_error(
      ErrorCode::unavailable, [&] { make_executorch_predictor(bundle); }, "tiny.bundle",
      "--executorch", "executorch=True");
}

TEST_CASE("a program that is none, or of another shape than the bundle says, is refused") {
  StudentBundle bundle = tiny();
  bundle.input_width = 64;
  expect_error(
      ErrorCode::malformed_data, [&] { make_executorch_predictor(bundle); }, "tiny.bundle",
      "[1, 32, 64, 3] of uint8", "[1, 32, 32, 3]");
  const auto refused = [](const StudentBundle& other) {
    expect_error(
        ErrorCode::malformed_data, [&] { make_executorch_predictor(other); }, "tiny.bundle",
        "network.pte: ExecuTorch cannot open it");
  };
  refused(changed([](auto& bytes) { std::fill_n(bytes.begin(), 20, std::byte{0xff}); }));
  // The table of the program is cut; its constants are still there.
  refused(changed([](auto& bytes) { std::fill_n(bytes.begin() + 32, 64, std::byte{0xff}); }));
}
