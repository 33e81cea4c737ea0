#include "ams/bundle/executorch_program.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "bundle/bundle_file.hpp"
#include "core/expect_error.hpp"

using namespace ams;
using ams::test::BundleFile;
using ams::test::bytes_of;
using ams::test::expect_error;
using ams::test::Folder;
using nlohmann::json;

namespace {

/// A bundle whose program has a constant of each kind, at 8, 32, 40 and 48 of 64 bytes.
BundleFile with_program() {
  BundleFile file;
  file.json["executorch"] = json::parse(R"({
      "file": "network.pte",
      "frozen": [{"name": "bn.running_var", "shape": [2]}, {"name": "bn.bias", "shape": [2]}],
      "constants": [
        {"kind": "weight", "offset": 8, "source": "conv.weight", "order": [1, 0],
         "variance": "bn.running_var", "epsilon": 0},
        {"kind": "shift", "offset": 32, "mean": "bn.running_mean", "shift": "bn.bias",
         "variance": "bn.running_var", "epsilon": 0.75},
        {"kind": "scale", "offset": 40, "scale": "bn.running_mean", "variance": "bn.running_var",
         "epsilon": 0.75},
        {"kind": "copy", "offset": 48, "source": "bn.running_mean"}]})");
  file.entries["frozen.bin"] = bytes_of({0.25F, 3.25F, 100, 200});
  file.entries["network.pte"] = std::string(64, 'p');
  return file;
}

StudentBundle opened(const BundleFile& file) {
  const Folder folder;
  file.write(folder / "x.bundle");
  return open_student_bundle(folder / "x.bundle");
}

using Change = std::function<void(json& executorch, BundleFile& file)>;

/// Opening a bundle with this change is this error.
template <class... Words>
void refused(const Change& change, const Words&... words) {
  BundleFile file = with_program();
  change(file.json["executorch"], file);
  expect_error(
      ErrorCode::malformed_data, [&] { opened(file); }, "x.bundle", words...);
}

}  // namespace

TEST_CASE("a bundle may have a program for ExecuTorch") {
  CHECK(opened(BundleFile()).executorch == nullptr);
  const StudentBundle bundle = opened(with_program());
  REQUIRE(bundle.executorch != nullptr);
  CHECK(bundle.executorch->bytes->size() == 64);
  CHECK(bundle.executorch->frozen_values == std::vector<float>{0.25F, 3.25F, 100, 200});
  CHECK(bundle.executorch->constants.size() == 4);
}

TEST_CASE("a program gets its constants of the student's values") {
  const StudentBundle bundle = opened(with_program());
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8};  // weight [2, 3], mean [2]
  const auto bytes = program_with_values(*bundle.executorch, *bundle.manifest, values);
  REQUIRE(bytes.size() == 64);
  const auto at = [&](std::size_t offset, std::size_t count) {
    std::vector<float> found(count);
    std::memcpy(found.data(), bytes.data() + offset, count * sizeof(float));
    return found;
  };
  const auto s = [](float variance) { return 1 / std::sqrt(variance); };
  const auto near = [](const std::vector<float>& found, const std::vector<float>& expected) {
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]));
  };
  // The weight's channels are scaled, and come last.
  near(at(8, 6),
       {1 * s(0.25F), 4 * s(3.25F), 2 * s(0.25F), 5 * s(3.25F), 3 * s(0.25F), 6 * s(3.25F)});
  near(at(32, 2), {100 - 7 / 1.0F, 200 - 8 / 2.0F});
  near(at(40, 2), {7 / 1.0F, 8 / 2.0F});
  near(at(48, 2), {7, 8});
  for (const std::size_t untouched : {0, 7, 56, 63}) CHECK(bytes[untouched] == std::byte{'p'});
  CHECK(bundle.executorch->bytes->at(8) == std::byte{'p'});
}

TEST_CASE("weights of four extents come in the order that the program has") {
  ExecutorchProgram program;
  program.bytes = std::make_shared<const std::vector<std::byte>>(24 * sizeof(float));
  program.constants = {{.extents = {2, 3, 2, 2}, .order = {0, 2, 3, 1}, .source = 0}};
  const Manifest manifest({{.name = "w", .shape = {2, 3, 2, 2}}});
  std::vector<float> values(24);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto bytes = program_with_values(program, manifest, values);
  std::size_t place = 0;
  for (std::size_t out = 0; out < 2; ++out) {
    for (std::size_t y = 0; y < 2; ++y) {
      for (std::size_t x = 0; x < 2; ++x) {
        for (std::size_t in = 0; in < 3; ++in) {
          float found = 0;
          std::memcpy(&found, bytes.data() + sizeof(float) * place++, sizeof(float));
          CHECK(found == values[((out * 3 + in) * 2 + y) * 2 + x]);
        }
      }
    }
  }
}

TEST_CASE("a damaged description of a program is refused with what is wrong") {
  const auto set = [](const char* pointer, json value) {
    return [=](json& executorch, BundleFile&) { executorch[json::json_pointer(pointer)] = value; };
  };
  const auto erase = [](std::size_t constant, const char* field) {
    return [=](json& executorch, BundleFile&) { executorch["constants"][constant].erase(field); };
  };
  refused([](json& executorch, BundleFile&) { executorch = 3; }, "\"executorch\"");
  refused([](json&, BundleFile& file) { file.entries.erase("network.pte"); }, "no network.pte");
  refused([](json&, BundleFile& file) { file.entries.erase("frozen.bin"); }, "no frozen.bin");
  refused([](json&, BundleFile& file) { file.entries["frozen.bin"].pop_back(); },
          "frozen.bin has 15");
  refused([](json&, BundleFile& file) { file.entries["network.pte"].resize(55); },
          "the constant at 48 is outside network.pte");
  refused(set("/frozen", nullptr), "\"frozen\"");
  refused(set("/frozen/0/name", "conv.weight"), "'conv.weight', which updates change");
  refused(set("/frozen/0/shape", {1, -2}), "\"shape\"");
  refused(set("/constants", json::array()), "\"constants\"");
  refused(set("/constants/0", 7), "\"constants\"");
  refused(set("/constants/0/kind", "other"), "\"kind\" is 'other'");
  refused(erase(0, "kind"), "\"kind\" is missing");
  refused(erase(0, "offset"), "\"offset\" is missing");
  for (const json& offset : {json(-1), json(0.5), json(65), json(1e300), json("8")}) {
    refused(set("/constants/0/offset", offset), "\"offset\"");
  }
  refused(set("/constants/3/offset", 60), "the constant at 60 is outside network.pte");
  refused(set("/constants/3/offset", 36), "two constants overlap at 36");
  refused(erase(3, "source"), "\"source\" is missing");
  refused(set("/constants/3/source", "other"), "'other', which is none of the student's tensors");
  refused(set("/constants/3/source", 3), "\"source\"");
  refused(erase(0, "variance"), "\"variance\" is missing");
  refused(erase(1, "mean"), "\"mean\" is missing");
  refused(erase(1, "epsilon"), "\"epsilon\" is missing");
  refused(set("/constants/1/epsilon", -1), "\"epsilon\"");
  refused(
      [](json& executorch, BundleFile&) {
        executorch["constants"][0].erase("order");
        executorch["constants"][0]["source"] = "bn.bias";
      },
      "lacks the trained tensor 'conv.weight'");
  refused(set("/constants/0/variance", "conv.weight"), "must have 6 channels");
  refused(set("/constants/1/mean", "conv.weight"), "has 6 values; its batch norm has 2");
  refused(set("/constants/1/source", "conv.weight"), "has 6 values; its batch norm has 2");
  refused(set("/constants/1/shift", "conv.weight"), "has 6 values; its batch norm has 2");
  refused(set("/constants/2/scale", "conv.weight"), "has 6 values; its batch norm has 2");
  refused(set("/constants/0/order", {0}), "\"order\"");
  refused(set("/constants/0/order", {0, 0}), "each number from 0 to 1 once");
  refused(set("/constants/0/order", {0, 2}), "\"order\"");
  refused(
      [](json& executorch, BundleFile& file) {
        executorch["frozen"].push_back({{"name", "deep"}, {"shape", {1, 1, 1, 1, 1}}});
        file.entries["frozen.bin"] += bytes_of({1});
        executorch["constants"].push_back(
            {{"kind", "copy"}, {"offset", 56}, {"source", "deep"}, {"order", {4, 3, 2, 1, 0}}});
      },
      "a tensor of 5 extents; allowed are 1 to 4");
}
