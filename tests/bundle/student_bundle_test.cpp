#include "ams/bundle/student_bundle.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "bundle/bundle_file.hpp"
#include "core/expect_error.hpp"

using namespace ams;
using ams::test::BundleFile;
using ams::test::bytes_of;
using ams::test::expect_error;
using ams::test::Folder;

namespace {

using Change = std::function<void(BundleFile&)>;

/// Opening a bundle with this change is this error.
template <class... Words>
void refused(ErrorCode code, const Change& change, const Words&... words) {
  const Folder folder;
  BundleFile file;
  change(file);
  file.write(folder / "x.bundle");
  expect_error(
      code, [&] { open_student_bundle(folder / "x.bundle"); }, "x.bundle", words...);
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a bundle gives what was put into it") {
  const Folder folder;
  BundleFile().write(folder / "x.bundle");
  const StudentBundle bundle = open_student_bundle(folder / "x.bundle");
  CHECK(bundle.name == "x.bundle");
  CHECK(bundle.fingerprint == 0x0123456789abcdefULL);
  CHECK(bundle.input_width == 64);
  CHECK(bundle.input_height == 32);
  CHECK(bundle.mean == std::array<float, 3>{0.5F, 0.25F, 0});
  CHECK(bundle.standard_deviation == std::array<float, 3>{1, 2, 0.5F});
  CHECK(bundle.num_classes == 3);
  CHECK(bundle.class_names == std::vector<std::string>{"road", "car", "sky"});
  CHECK(bundle.selected_classes == std::vector{0, 2});
  CHECK(bundle.train_batch_norm_statistics);
  CHECK(bundle.has_torchscript());
  CHECK(bundle.torch_file->size() == 8);
  CHECK(bundle.values == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(bundle.onnx_offsets == std::vector<std::size_t>{8, 40});
  CHECK(bundle.onnx->size() == 51);
  const Manifest expected(
      {{.name = "conv.weight", .shape = {2, 3}},
       {.name = "bn.running_mean", .shape = {2}, .kind = TensorKind::statistic}});
  CHECK(bundle.manifest->digest() == expected.digest());
}

TEST_CASE("a built-in network comes with its weights, and names of classes may be missing") {
  const Folder folder;
  BundleFile file;
  file.json["network"] = "edanet";
  file.json["weights"] = "weights.safetensors";
  file.json["class_names"] = nullptr;
  file.json["selected_classes"] = nlohmann::json::array();
  file.entries.erase("network.pt");
  file.entries["weights.safetensors"] = "tensors";
  file.write(folder / "x.bundle");
  const StudentBundle bundle = open_student_bundle(folder / "x.bundle");
  CHECK(bundle.network == "edanet");
  CHECK_FALSE(bundle.has_torchscript());
  CHECK(bundle.torch_file->size() == 7);
  CHECK(bundle.class_names.empty());
  CHECK(bundle.selected_classes.empty());
}

TEST_CASE("what is no bundle is refused with what it is") {
  const Folder folder;
  expect_error(
      ErrorCode::io_error, [&] { open_student_bundle(folder / "none.bundle"); }, "none.bundle",
      "No such file");
  write_bytes(folder / "text.bundle", "not an archive");
  expect_error(
      ErrorCode::malformed_data, [&] { open_student_bundle(folder / "text.bundle"); },
      "is not a student bundle", "ams.export.bundle()");
  refused(
      ErrorCode::malformed_data, [](BundleFile& file) { file.json = nullptr; }, "no bundle.json");
  refused(
      ErrorCode::malformed_data, [](BundleFile& file) { file.json["format"] = "other"; },
      "\"format\"");
  refused(
      ErrorCode::unsupported_version, [](BundleFile& file) { file.json["version"] = 2; },
      "version 2", "version 1");
}

TEST_CASE("a truncated bundle is refused wherever it ends, and one with a wrong byte is") {
  const Folder folder;
  BundleFile().write(folder / "x.bundle");
  const std::string whole = read_bytes(folder / "x.bundle");
  for (std::size_t size = 0; size < whole.size(); size += 13) {
    write_bytes(folder / "cut.bundle", whole.substr(0, size));
    CAPTURE(size);
    expect_error(
        ErrorCode::malformed_data, [&] { open_student_bundle(folder / "cut.bundle"); },
        "cut.bundle");
  }
  std::string changed = whole;
  const std::string entry = "network.onnx";
  const auto at = changed.find(entry);  // in front of its content
  REQUIRE(at != std::string::npos);
  changed[at + entry.size() + 20] ^= 1;
  write_bytes(folder / "changed.bundle", changed);
  expect_error(
      ErrorCode::malformed_data, [&] { open_student_bundle(folder / "changed.bundle"); },
      "network.onnx is damaged");
}

TEST_CASE("an archive that unpacks to far more than it is, is refused before it is unpacked") {
  refused(
      ErrorCode::limit_exceeded,
      [](BundleFile& file) { file.entries["network.onnx"] = std::string(8 << 20, '\0'); },
      "network.onnx", "unpacks from");
}

TEST_CASE("a missing entry is named") {
  for (const char* entry : {"values.bin", "network.onnx", "network.pt"}) {
    refused(
        ErrorCode::malformed_data, [&](BundleFile& file) { file.entries.erase(entry); },
        std::string("no ") + entry);
  }
}

TEST_CASE("each trained tensor must be in the graph, with its values, apart from the others") {
  const auto offset = [](std::size_t i, std::int64_t value) {
    return [=](BundleFile& file) { file.json["onnx"]["tensors"][i]["offset"] = value; };
  };
  refused(
      ErrorCode::malformed_data, [](BundleFile& file) { file.json["onnx"]["tensors"].erase(0); },
      "lacks the trained tensor 'bn.running_mean'");
  refused(ErrorCode::malformed_data, offset(0, 44), "outside network.onnx");
  refused(ErrorCode::malformed_data, offset(0, 1'000'000), "\"offset\"");
  refused(ErrorCode::malformed_data, offset(0, -8), "\"offset\"");
  refused(ErrorCode::malformed_data, offset(0, 39), "are not those in values.bin");
  refused(
      ErrorCode::malformed_data,
      [](BundleFile& file) {
        file.json["onnx"]["tensors"].push_back({{"name", "other"}, {"offset", 0}});
      },
      "none of the student's tensors");
  refused(
      ErrorCode::malformed_data,
      [](BundleFile& file) {
        file.json["onnx"]["tensors"].push_back({{"name", "conv.weight"}, {"offset", 8}});
      },
      "twice");
  refused(
      ErrorCode::malformed_data,
      [](BundleFile& file) {
        const std::vector<float> same(6, 1.0F);
        file.entries["values.bin"] = bytes_of(same) + bytes_of({1, 1});
        file.entries["network.onnx"] = bytes_of(same);
        file.json["onnx"]["tensors"][1]["offset"] = 0;
        file.json["onnx"]["tensors"][0]["offset"] = 4;
      },
      "overlap");
}

TEST_CASE("values are as many as the tensors say, and finite") {
  refused(
      ErrorCode::malformed_data, [](BundleFile& file) { file.entries["values.bin"].pop_back(); },
      "values.bin has 31");
  refused(
      ErrorCode::malformed_data,
      [](BundleFile& file) {
        file.mean[1] = std::numeric_limits<float>::quiet_NaN();
        file.entries["values.bin"] = bytes_of(file.weight) + bytes_of(file.mean);
      },
      "'bn.running_mean' is not finite");
}

TEST_CASE("fields out of their range are refused by name") {
  const auto set = [](const char* pointer, nlohmann::json value) {
    return [=](BundleFile& file) { file.json[nlohmann::json::json_pointer(pointer)] = value; };
  };
  refused(ErrorCode::malformed_data, set("/fingerprint", "0123"), "\"fingerprint\"");
  refused(ErrorCode::malformed_data, set("/fingerprint", "0123456789ABCDEF"), "\"fingerprint\"");
  refused(ErrorCode::malformed_data, set("/input/width", 31), "\"width\"");
  refused(ErrorCode::malformed_data, set("/input", 3), "\"input\"");
  refused(ErrorCode::malformed_data, set("/normalization/standard_deviation/1", 0),
          "\"standard_deviation\"");
  refused(ErrorCode::malformed_data, set("/num_classes", 255), "\"num_classes\"");
  refused(ErrorCode::malformed_data, set("/class_names", {"road"}), "\"class_names\"");
  refused(ErrorCode::malformed_data, set("/selected_classes", {2, 0}), "\"selected_classes\"");
  refused(ErrorCode::malformed_data, set("/selected_classes", {2}), "at least two");
  refused(ErrorCode::malformed_data, set("/train_batch_norm_statistics", 1), "true or false");
  refused(ErrorCode::malformed_data, set("/network", ""), "\"network\"");
  refused(ErrorCode::malformed_data, set("/tensors", nlohmann::json::array()), "\"tensors\"");
  refused(ErrorCode::malformed_data, set("/tensors/0", 1), "\"tensors\"");
  refused(ErrorCode::malformed_data, set("/tensors/0/kind", "other"), "\"kind\"");
  refused(ErrorCode::malformed_data, set("/tensors/0/shape/0", 0), "\"shape\"");
  refused(ErrorCode::malformed_data, set("/tensors/0/shape", {4294967295, 4294967295}),
          "more than");
  refused(ErrorCode::malformed_data, set("/tensors/1/name", "conv.weight"), "conv.weight");
}
