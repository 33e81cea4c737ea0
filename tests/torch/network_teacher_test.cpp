#include "ams/torch/network_teacher.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "ams/core/error.hpp"
#include "ams/torch/network_predictor.hpp"
#include "fixtures.hpp"
#include "png.hpp"
#include "scene.hpp"
#include "shared_data.hpp"

namespace {

ams::NetworkTeacherSpec spec_of(const std::string& path) {
  ams::NetworkTeacherSpec spec;
  spec.network = path;
  spec.num_classes = 4;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

}  // namespace

TEST_CASE("a TorchScript module and an AOTInductor package of one network label alike") {
  const std::string script = ams::testing::fixture("script");
  if (script.empty()) return;
  const auto by_script = ams::make_network_teacher(spec_of(script));
  const std::string package = ams::testing::fixture("package", ".pt2");
  const auto by_package = ams::make_network_teacher(spec_of(package));
  std::set<int> seen;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto frame = ams::testing::make_scene(seed, 100, 50)->frame;
    const auto a = ams::testing::label(*by_script, frame);
    const auto b = ams::testing::label(*by_package, frame);
    REQUIRE(a.width * a.height == static_cast<int>(a.ids.size()));
    REQUIRE(a.ids.size() == b.ids.size());
    std::size_t equal = 0;
    for (std::size_t i = 0; i < a.ids.size(); ++i) equal += a.ids[i] == b.ids[i];
    CHECK(static_cast<double>(equal) > 0.99 * static_cast<double>(a.ids.size()));
    seen.insert(a.ids.begin(), a.ids.end());
  }
  CHECK(seen.size() > 1);

  auto spec = spec_of(package);
  spec.selected_classes = {3};
  for (const auto id :
       ams::testing::label(*ams::make_network_teacher(spec), ams::testing::make_scene(0)->frame)
           .ids) {
    REQUIRE(id == 3);
  }
}

TEST_CASE("FDDWNet labels the probe picture as expected") {
  const std::string weights = ams::testing::shared_data("weights/fddwnet_cityscapes.safetensors");
  if (weights.empty()) return;
  const auto input =
      ams::testing::read_png(ams::testing::shared_data("weights/probe/input.png"), 3);
  const auto expected =
      ams::testing::read_png(ams::testing::shared_data("weights/probe/fddwnet_argmax.png"), 1);
  if (input.bytes.empty()) return;
  ams::NetworkTeacherSpec spec;
  spec.weights = weights;
  spec.input_width = 512;
  spec.input_height = 256;
  const auto labels = ams::testing::label(*ams::make_network_teacher(spec),
                                          {input.width, input.height, input.bytes, 0});
  REQUIRE(labels.ids.size() == expected.bytes.size());
  std::size_t equal = 0;
  for (std::size_t i = 0; i < labels.ids.size(); ++i) equal += labels.ids[i] == expected.bytes[i];
  CHECK(static_cast<double>(equal) > 0.999 * static_cast<double>(labels.ids.size()));
}

TEST_CASE("teachers that cannot work are refused when they are opened") {
  const auto refused = [](ams::ErrorCode code, const std::string& named,
                          const ams::NetworkTeacherSpec& spec) {
    try {
      ams::make_network_teacher(spec);
      FAIL("accepted");
    } catch (const ams::Error& error) {
      CHECK_MESSAGE(error.code() == code, error.what());
      CHECK_MESSAGE(std::string(error.what()).find(named) != std::string::npos, error.what());
    }
  };
  using Code = ams::ErrorCode;
  refused(Code::invalid_argument, "needs a weights file", spec_of("fddwnet"));
  auto spec = spec_of("unet");
  spec.weights = "x.safetensors";
  refused(Code::invalid_argument, "allowed are fddwnet", spec);
  spec = spec_of("fddwnet");
  spec.weights = "nowhere.safetensors";
  refused(Code::io_error, "nowhere.safetensors", spec);
  spec.network = "nowhere.pt";
  refused(Code::invalid_argument, "weights are not for", spec);
  refused(Code::io_error, "nowhere.pt2", spec_of("nowhere.pt2"));
  spec = spec_of("fddwnet");
  spec.input_width = 1;
  refused(Code::invalid_argument, "input_width", spec);

  const std::string script = ams::testing::fixture("script");
  if (script.empty()) return;
  spec = spec_of(script);
  spec.num_classes = 19;
  refused(Code::invalid_argument, "is num_classes right?", spec);
  const std::string garbage = ams::testing::temporary_folder().file("garbage.pt2");
  std::filesystem::copy_file(AMS_TEST_FIXTURES, garbage);
  refused(Code::malformed_data, "it is a text file", spec_of(garbage));
  const std::string unknown = ams::testing::temporary_folder().file("unknown.pt2");
  std::ofstream(unknown) << "\1\2\3 neither text nor a package";
  refused(Code::unavailable, "unknown.pt2", spec_of(unknown));
}
