#include "ams/torch/safetensors.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "ams/core/error.hpp"
#include "fixtures.hpp"

namespace {

std::vector<std::byte> file_of(const std::string& header, std::size_t body_bytes,
                               std::int64_t length = -1) {
  const std::uint64_t n = length < 0 ? header.size() : static_cast<std::uint64_t>(length);
  std::vector<std::byte> bytes(8 + header.size() + body_bytes);
  std::memcpy(bytes.data(), &n, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

ams::ErrorCode code_of(const std::vector<std::byte>& bytes) {
  try {
    ams::parse_safetensors(bytes);
  } catch (const ams::Error& error) {
    return error.code();
  }
  FAIL("accepted");
  return {};
}

ams::Safetensors sample() {
  ams::Safetensors content;
  content.metadata = {{"architecture", "test"}, {"note", "\"quotes\" and \u00fc"}};
  std::mt19937 engine(4);
  for (int i = 0; i < 5; ++i) {
    std::vector<float> values(static_cast<std::size_t>(6 * (i + 1)));
    for (float& value : values)
      value = static_cast<float>(static_cast<int>(engine() % 2000) - 1000) / 64;
    content.tensors.push_back(
        ams::StoredTensor::from_float("layer." + std::to_string(i), {2, 3, i + 1}, values,
                                      i % 2 == 0 ? ams::TensorType::f32 : ams::TensorType::f16));
  }
  content.tensors.push_back({"counter", ams::TensorType::i64, {}, std::vector<std::byte>(8)});
  content.tensors.push_back({"empty", ams::TensorType::f32, {0, 4}, {}});
  return content;
}

}  // namespace

TEST_CASE("what is written is read") {
  const ams::Safetensors content = sample();
  const std::string path = ams::testing::temporary_folder().file("sample.safetensors");
  ams::write_safetensors(path, content);
  const ams::Safetensors read = ams::read_safetensors(path);
  CHECK(read.metadata == content.metadata);
  REQUIRE(read.tensors.size() == content.tensors.size());
  for (std::size_t i = 0; i < read.tensors.size(); ++i) {
    CHECK(read.tensors[i].name == content.tensors[i].name);
    CHECK(read.tensors[i].type == content.tensors[i].type);
    CHECK(read.tensors[i].shape == content.tensors[i].shape);
    CHECK(read.tensors[i].bytes == content.tensors[i].bytes);
  }
  ams::write_safetensors(path, {});
  CHECK(ams::read_safetensors(path).tensors.empty());
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
    ++files;
  }
  CHECK(files == 1);  // nothing is left of the writing
}

TEST_CASE("narrow types round to the nearest value that they have") {
  const auto through = [](float value, ams::TensorType type) {
    return ams::StoredTensor::from_float("x", {1}, std::vector<float>{value}, type).to_float()[0];
  };
  using ams::TensorType;
  CHECK(through(0.1F, TensorType::f32) == 0.1F);
  CHECK(through(1.0F + 0x1p-11F, TensorType::f16) == 1.0F);  // a tie goes to even
  CHECK(through(1.0F + 3 * 0x1p-11F, TensorType::f16) == 1.0F + 0x1p-9F);
  CHECK(through(0x1p-24F, TensorType::f16) == 0x1p-24F);  // smallest subnormal
  CHECK(through(0x1p-26F, TensorType::f16) == 0);
  CHECK(through(65504.0F, TensorType::f16) == 65504.0F);
  CHECK(through(-2.5F, TensorType::bf16) == -2.5F);
  CHECK(through(1.0F + 0x1p-8F, TensorType::bf16) == 1.0F);
  CHECK(std::isinf(through(-std::numeric_limits<float>::infinity(), TensorType::f16)));
  CHECK(std::isnan(through(std::nanf(""), TensorType::f16)));
  CHECK_THROWS_AS(through(65520.0F, TensorType::f16), ams::Error);
  CHECK_THROWS_AS(through(1.0F, TensorType::i64), ams::Error);
  CHECK_THROWS_AS(ams::StoredTensor::from_float("x", {2}, std::vector<float>(3)), ams::Error);
  CHECK_THROWS_AS(
      (ams::StoredTensor{"x", TensorType::u8, {1}, std::vector<std::byte>(1)}.to_float()),
      ams::Error);
}

TEST_CASE("files that are not as the format says are refused") {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  REQUIRE(ams::parse_safetensors(file_of(good, 8)).tensors.size() == 1);

  struct Case {
    const char* what;
    std::string header;
    std::size_t body;
  };
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
           "}}";
  };
  const std::string two = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                          R"("b":{"dtype":"U8","shape":[4],"data_offsets":)";
  std::string deep = R"({"a":)";
  for (int i = 0; i < 10000; ++i) deep += '[';
  for (int i = 0; i < 10000; ++i) deep += ']';
  const std::vector<Case> cases{
      {"no header", "", 0},
      {"not JSON", "{\"a\":", 0},
      {"not an object", "[1]", 0},
      {"text after the object", good + "x", 8},
      {"deep nesting", deep + "}", 0},
      {"a name twice",
       R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       1},
      {"entry is a number", R"({"a":1})", 0},
      {"no dtype", R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8},
      {"no shape", R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8},
      {"no offsets", R"({"a":{"dtype":"F32","shape":[2]}})", 8},
      {"an extra key", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8},
      {"unknown dtype", entry("\"F31\"", "[2]", "[0,8]"), 8},
      {"dtype is a number", entry("32", "[2]", "[0,8]"), 8},
      {"shape is a number", entry("\"F32\"", "2", "[0,8]"), 8},
      {"negative extent", entry("\"F32\"", "[-2]", "[0,8]"), 8},
      {"fractional extent", entry("\"F32\"", "[2.0]", "[0,8]"), 8},
      {"too many extents", entry("\"U8\"", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1},
      {"size overflows", entry("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0},
      {"size overflows to what fits", entry("\"F32\"", "[4611686018427387906]", "[0,8]"), 8},
      {"extent over 63 bits", entry("\"U8\"", "[18446744073709551615]", "[0,18446744073709551615]"),
       8},
      {"shape larger than range", entry("\"F32\"", "[3]", "[0,8]"), 8},
      {"range beyond the file", entry("\"F32\"", "[4]", "[0,16]"), 8},
      {"range backwards", entry("\"F32\"", "[2]", "[8,0]"), 8},
      {"one offset", entry("\"F32\"", "[2]", "[8]"), 8},
      {"negative offset", entry("\"F32\"", "[2]", "[-8,0]"), 8},
      {"does not begin at 0", entry("\"F32\"", "[1]", "[4,8]"), 8},
      {"bytes left at the end", good, 9},
      {"bytes missing", good, 7},
      {"ranges overlap", two + "[2,6]}}", 6},
      {"the same range twice", two + "[0,4]}}", 4},
      {"a gap", two + "[5,9]}}", 9},
      {"metadata not an object", R"({"__metadata__":[]})", 0},
      {"metadata not text", R"({"__metadata__":{"a":1}})", 0},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(code_of(file_of(c.header, c.body)) == ams::ErrorCode::malformed_data);
  }
  CHECK(code_of({}) == ams::ErrorCode::malformed_data);
  CHECK(code_of(std::vector<std::byte>(7)) == ams::ErrorCode::malformed_data);
  CHECK(code_of(file_of(good, 8, 63)) == ams::ErrorCode::malformed_data);
  CHECK(code_of(file_of(good, 8, std::numeric_limits<std::int64_t>::max())) ==
        ams::ErrorCode::malformed_data);
}

TEST_CASE("no damaged file is accepted as something that it cannot be") {
  const std::vector<std::byte> good = ams::serialize_safetensors(sample());
  std::mt19937 engine(12);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    auto bytes = good;
    if (round % 3 == 0) {
      bytes.resize(engine() % bytes.size());
    } else {
      for (int i = 0; i < 1 + round % 4; ++i) {
        bytes[engine() % 700] = static_cast<std::byte>(engine() & 255U);
      }
    }
    try {
      std::size_t total = 0;
      for (const auto& tensor : ams::parse_safetensors(bytes).tensors) {
        std::size_t values = 1;
        for (const auto extent : tensor.shape) values *= static_cast<std::size_t>(extent);
        CHECK(tensor.bytes.size() == values * ams::bytes_per_value(tensor.type));
        total += tensor.bytes.size();
      }
      CHECK(total < bytes.size());
    } catch (const ams::Error& error) {
      CHECK(error.code() == ams::ErrorCode::malformed_data);
      ++refused;
    }
  }
  CHECK(refused > 2000);
}

TEST_CASE("writing refuses what could not be read, and keeps the old file") {
  const std::string path = ams::testing::temporary_folder().file("kept.safetensors");
  ams::write_safetensors(path, sample());
  ams::Safetensors twice = sample();
  twice.tensors[1].name = twice.tensors[0].name;
  CHECK_THROWS_AS(ams::write_safetensors(path, twice), ams::Error);
  ams::Safetensors short_one = sample();
  short_one.tensors[0].bytes.pop_back();
  CHECK_THROWS_AS(ams::write_safetensors(path, short_one), ams::Error);
  CHECK(ams::read_safetensors(path).tensors.size() == sample().tensors.size());
  try {
    ams::read_safetensors(path + ".none");
    FAIL("accepted");
  } catch (const ams::Error& error) {
    CHECK(error.code() == ams::ErrorCode::io_error);
  }
  CHECK_THROWS_AS(ams::write_safetensors(path + ".none/x", sample()), ams::Error);
  try {
    ams::read_safetensors(std::filesystem::temp_directory_path().string());
    FAIL("accepted");
  } catch (const ams::Error& error) {
    CHECK(error.code() == ams::ErrorCode::io_error);
    CHECK(std::string(error.what()).find("folder") != std::string::npos);
  }
}
