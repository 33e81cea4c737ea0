#include "ams/torch/student_spec.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"
#include "ams/torch/safetensors.hpp"
#include "fixtures.hpp"
#include "shared_data.hpp"

namespace {

ams::StudentSpec small_spec() {
  ams::StudentSpec spec;
  spec.num_classes = 4;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

void check_refused(ams::ErrorCode code, const std::string& named, const ams::StudentSpec& spec) {
  try {
    ams::load_student_values(spec);
    FAIL("accepted: " << named);
  } catch (const ams::Error& error) {
    CHECK(error.code() == code);
    CHECK_MESSAGE(std::string(error.what()).find(named) != std::string::npos, error.what());
  }
}

}  // namespace

TEST_CASE("server and device start from the same values") {
  const auto server = ams::load_student_values(small_spec());
  const auto device = ams::load_student_values(small_spec());
  CHECK(server.manifest->digest() == device.manifest->digest());
  CHECK(server.fingerprint == device.fingerprint);
  CHECK(ams::student_fingerprint(small_spec()) == device.fingerprint);
  CHECK(ams::ModelState(server.manifest, server.values).version() ==
        ams::ModelState(device.manifest, device.values).version());
  CHECK(server.manifest->tensors().front().name == "stage1.conv.weight");
  CHECK(server.manifest->tensors().back().name == "project.weight");
}

TEST_CASE("normalisation and head can be named by pattern") {
  ams::StudentSpec spec;
  const ams::StudentValues found = ams::load_student_values(spec);
  const auto size_of = [](const ams::Manifest& manifest, ams::TensorRole role) {
    std::size_t size = 0;
    for (const auto& tensor : manifest.tensors()) size += tensor.role == role ? tensor.size : 0;
    return size;
  };
  CHECK(size_of(*found.manifest, ams::TensorRole::normalization) == 3530);
  CHECK(size_of(*found.manifest, ams::TensorRole::head) == 450 * 19);
  spec.roles.normalization = {"stage1.*"};
  spec.roles.head = {"stage3.layers.7.*", "project.*"};
  const ams::StudentValues named = ams::load_student_values(spec);
  CHECK(named.manifest->digest() == found.manifest->digest());
  CHECK(named.fingerprint == found.fingerprint);
  CHECK(size_of(*named.manifest, ams::TensorRole::normalization) == 12 * 27 + 2 * 15);
  CHECK(size_of(*named.manifest, ams::TensorRole::head) > 450 * 19);
  spec.roles.head = {"classifier.*"};
  CHECK_THROWS_WITH_AS(ams::load_student_values(spec), doctest::Contains("classifier.*"),
                       ams::Error);
}

TEST_CASE("the fingerprint sees all that the parameter vector does not hold") {
  const auto fingerprint = ams::student_fingerprint(small_spec());
  const auto differs = [&](const std::function<void(ams::StudentSpec&)>& change) {
    ams::StudentSpec spec = small_spec();
    change(spec);
    CHECK(ams::student_fingerprint(spec) != fingerprint);
  };
  differs([](auto& s) { s.network = "deeplabv3_mobilenetv2"; });
  differs([](auto& s) { s.num_classes = 5; });
  differs([](auto& s) { s.input_width = 96; });
  differs([](auto& s) { s.selected_classes = {1, 2}; });
  differs([](auto& s) { s.normalization.mean[1] = 0.5F; });
  differs([](auto& s) { s.normalization.standard_deviation[2] = 1; });
  differs([](auto& s) { s.train_batch_norm_statistics = true; });
  ams::StudentSpec reseeded = small_spec();
  reseeded.seed = 2;  // other values, and those are in the vector
  CHECK(ams::student_fingerprint(reseeded) == fingerprint);

  // A weights file that differs in a frozen statistic alone.
  ams::Safetensors content;
  {
    ams::StudentSpec spec = small_spec();
    spec.train_batch_norm_statistics = true;
    const auto all = ams::load_student_values(spec);
    for (const auto& tensor : all.manifest->tensors()) {
      content.tensors.push_back(ams::StoredTensor::from_float(
          tensor.name, tensor.shape, std::span(all.values).subspan(tensor.offset, tensor.size)));
    }
  }
  const std::string path = ams::testing::temporary_folder().file("weights.safetensors");
  ams::StudentSpec spec = small_spec();
  spec.weights = path;
  ams::write_safetensors(path, content);
  CHECK(ams::student_fingerprint(spec) == fingerprint);
  const auto before = ams::load_student_values(spec).values;
  content.tensors.back().bytes[2] ^= std::byte{1};
  REQUIRE(content.tensors.back().name.ends_with("running_var"));
  ams::write_safetensors(path, content);
  CHECK(ams::load_student_values(spec).values == before);
  CHECK(ams::student_fingerprint(spec) != fingerprint);
}

TEST_CASE("fields out of range are refused by name, with what is allowed") {
  const auto refused = [](const std::string& named,
                          const std::function<void(ams::StudentSpec&)>& change) {
    ams::StudentSpec spec = small_spec();
    change(spec);
    check_refused(ams::ErrorCode::invalid_argument, named, spec);
  };
  refused("edanet, deeplabv3_mobilenetv2", [](auto& s) { s.network = "unet"; });
  refused("num_classes is 0; allowed are 2 to 254", [](auto& s) { s.num_classes = 0; });
  refused("num_classes is 1; allowed are 2 to 254", [](auto& s) { s.num_classes = 1; });
  refused("num_classes", [](auto& s) { s.num_classes = 255; });
  refused("input_width is 31", [](auto& s) { s.input_width = 31; });
  refused("input_height", [](auto& s) { s.input_height = 5000; });
  refused("selected_classes", [](auto& s) { s.selected_classes = {1, 4}; });
  refused("selected_classes", [](auto& s) { s.selected_classes = {2, 1}; });
  refused("selected_classes", [](auto& s) { s.selected_classes = {-1}; });
  refused("selected_classes has one class", [](auto& s) { s.selected_classes = {2}; });
  refused("standard deviation", [](auto& s) { s.normalization.standard_deviation[0] = 0; });
  ams::StudentSpec spec = small_spec();
  spec.weights = "nowhere.safetensors";
  check_refused(ams::ErrorCode::io_error, "nowhere.safetensors", spec);
  spec = small_spec();
  spec.network = "nowhere.pt";
  check_refused(ams::ErrorCode::io_error, "nowhere.pt", spec);
}

TEST_CASE("weights of another number of classes are refused with the tensor's name") {
  const std::string file = ams::testing::shared_data("weights/edanet_cityscapes.safetensors");
  if (file.empty()) return;
  ams::StudentSpec spec = small_spec();
  spec.weights = file;
  check_refused(ams::ErrorCode::manifest_mismatch, "project.weight", spec);
  spec.num_classes = 19;
  CHECK(ams::load_student_values(spec).manifest->dimension() == 686'679);
}
