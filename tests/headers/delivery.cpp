// The other translation unit: it encodes and decodes.
#include <all_headers_backwards.hpp>  // run.sh writes it
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "parts.hpp"

namespace {

using namespace ams;

void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

std::vector<std::byte> read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  require(in.good(), "cannot read " + path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

float fixed_value(std::uint64_t key, float unit) {
  return static_cast<float>(static_cast<std::int64_t>(mix64(key) >> 40) - (1 << 23)) * unit;
}

/// The golden files of profile `reference`, each from the same state (update_codec_test.cpp).
void decode_reference(const std::string& golden) {
  const auto manifest = std::make_shared<const Manifest>(std::vector<TensorSpec>{
      {.name = "backbone.conv1.weight", .shape = {32, 3, 3, 3}},
      {.name = "backbone.bn1.weight", .shape = {32}},
      {.name = "backbone.bn1.running_mean", .shape = {32}, .kind = TensorKind::statistic},
      {.name = "classifier.weight", .shape = {19, 109}},
      {.name = "temperature", .shape = {}},
      {.name = "classifier.bias", .shape = {1}}});
  std::vector<float> values(manifest->dimension());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = fixed_value(std::uint64_t{1} << 32 | i, 0x1p-26F);
  }
  const ModelState base(manifest, values, 100);
  const std::pair<const char*, Digest> files[] = {{"none", 0x2bf0d92ab09b6950ULL},
                                                  {"runs", 0xbaf24465ea55f8b6ULL},
                                                  {"bits", 0x1fd6ddf2a70d8c56ULL},
                                                  {"all", 0xd94843ac8007d252ULL}};
  for (const auto& [name, digest] : files) {
    ModelState device = base;
    apply_update(read(golden + "/golden_update_" + name + ".bin"), device);
    require(device.version() == ModelVersion{101, digest}, std::string("golden update ") + name);
  }
}

/// Those of profile `compact`, one after another (compact_profile_test.cpp).
void decode_compact(const std::string& golden) {
  const auto manifest = std::make_shared<const Manifest>(
      std::vector<TensorSpec>{{.name = "conv1", .shape = {4, 5}},
                              {.name = "scale", .shape = {6}, .role = TensorRole::normalization},
                              {.name = "shift", .shape = {6}, .role = TensorRole::normalization},
                              {.name = "conv2", .shape = {6, 5, 3}},
                              {.name = "temperature", .shape = {}},
                              {.name = "mean", .shape = {12}, .kind = TensorKind::statistic},
                              {.name = "bias", .shape = {5}},
                              {.name = "head", .shape = {3, 10}, .role = TensorRole::head},
                              {.name = "head_bias", .shape = {3}, .role = TensorRole::head}});
  std::vector<float> values(manifest->dimension());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = fixed_value(i, 0x1p-23F);
  DoubleBufferedHolder<ModelState> device(ModelState(manifest, values, 1000));
  for (int update = 0; update < 4; ++update) {
    const auto bytes = read(golden + "/golden_compact_" + std::to_string(update) + ".bin");
    device.modify([&](ModelState& state) { apply_update(bytes, state); });
  }
  const ModelVersion expected = {1004, 0x4ad2faf564045e4aULL};
  require(device.read()->version() == expected, "golden updates of profile compact");
  const auto snapshot = decode_snapshot(read(golden + "/golden_compact_snapshot.bin"), manifest);
  require(snapshot.version() == expected, "golden snapshot");
}

/// What an encoder decides by floating point: steps, their number, the values that result.
void encode(const char* what, const EncodeOptions& options) {
  const auto manifest = std::make_shared<const Manifest>(
      std::vector<TensorSpec>{{.name = "weight", .shape = {40, 50}},
                              {.name = "scale", .shape = {40}, .role = TensorRole::normalization},
                              {.name = "variance", .shape = {40}, .kind = TensorKind::statistic}});
  std::vector<float> values(manifest->dimension());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = fixed_value(i, 0x1p-24F);
  ModelState server(manifest, values);
  ModelState device = server;
  for (std::uint64_t update = 1; update < 5; ++update) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] += fixed_value(update << 32 | i, update % 2 == 0 ? 0x1p-33F : 0x1.8p-30F);
    }
    apply_update(encode_update(server, values, CoordinateSet::all(values.size()), options), device);
    require(device.version() == server.version(), "server and device differ");
  }
  report(what, device.version().digest);
}

}  // namespace

void deliver(const std::string& golden) {
  decode_reference(golden);
  decode_compact(golden);
  encode("updates of profile reference", {});
  encode("updates of profile compact", {.profile = UpdateProfile::compact});
  encode("the same, other steps",
         {.profile = UpdateProfile::compact, .compact = {.relative_step = 0.3, .dead_zone = 0.7}});
}

int main(int count, char** arguments) {
  require(count == 2, "name the folder of the golden files");
  train();
  deliver(arguments[1]);
  converse();
}
