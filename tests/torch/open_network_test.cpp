#include "ams/torch/open_network.hpp"

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "ams/core/error.hpp"
#include "fixtures.hpp"

TEST_CASE("named networks open with values from the seed") {
  for (const std::string name : {"edanet", "deeplabv3_mobilenetv2", "fddwnet"}) {
    const auto network = ams::open_network(name, 5);
    const auto parameters = network->parameters();
    const auto again = ams::open_network(name, 5)->parameters();
    const auto other = ams::open_network(name, 5, "", 2)->parameters();
    REQUIRE(parameters.size() == again.size());
    CHECK(ams::tensors_digest(parameters) == ams::tensors_digest(again));
    CHECK(ams::tensors_digest(parameters) != ams::tensors_digest(other));
    network->train(false);
    const torch::NoGradGuard no_gradients;
    CHECK(network->forward(torch::zeros({2, 3, 64, 128})).size(1) == 5);
  }
}

TEST_CASE("named networks open with the values of a file") {
  const std::string path = ams::testing::temporary_folder().file("edanet.safetensors");
  const auto saved = ams::open_network("edanet", 5, "", 7);
  ams::write_safetensors(path, ams::store_tensors(*saved, ams::TensorType::f32));
  const auto loaded = ams::open_network("edanet", 5, path);
  CHECK(ams::tensors_digest(saved->parameters()) == ams::tensors_digest(loaded->parameters()));
}

TEST_CASE("a script is trained, a package infers alone, and both compute the same") {
  const std::string script = ams::testing::fixture("script");
  if (script.empty()) return;
  const auto by_script = ams::open_network(script, 0);
  const auto by_package = ams::open_network(ams::testing::fixture("package", ".pt2"), 0);
  CHECK(!by_script->parameters().empty());
  CHECK(by_package->parameters().empty());
  torch::manual_seed(3);
  const torch::Tensor input = torch::randn({1, 3, 32, 64});
  by_script->train(false);
  const torch::Tensor expected = by_script->forward(input), found = by_package->forward(input);
  CHECK(expected.requires_grad());
  CHECK(!found.requires_grad());
  CHECK(torch::allclose(expected, found, 1e-3, 1e-4));
}

TEST_CASE("networks that cannot be opened are refused with what is allowed") {
  const auto refused = [](ams::ErrorCode code, const std::string& named, const std::string& network,
                          int num_classes, const std::string& weights) {
    try {
      ams::open_network(network, num_classes, weights);
      FAIL("accepted");
    } catch (const ams::Error& error) {
      CHECK_MESSAGE(error.code() == code, error.what());
      CHECK_MESSAGE(std::string(error.what()).find(named) != std::string::npos, error.what());
    }
  };
  using Code = ams::ErrorCode;
  refused(Code::invalid_argument, "allowed are fddwnet", "unet", 19, "");
  refused(Code::invalid_argument, "allowed are 1 to 254", "edanet", 0, "");
  refused(Code::invalid_argument, "allowed are 1 to 254", "fddwnet", 255, "");
  refused(Code::invalid_argument, "weights are not for", "model.pt", 19, "x.safetensors");
  refused(Code::io_error, "nowhere.pt2", "nowhere.pt2", 19, "");
  refused(Code::io_error, "nowhere.pt", "nowhere.pt", 19, "");
  refused(Code::io_error, "nowhere.safetensors", "edanet", 19, "nowhere.safetensors");
  const std::string garbage = ams::testing::temporary_folder().file("garbage.pt2");
  std::filesystem::copy_file(AMS_SOURCE_DIR "/LICENSE", garbage);
  refused(Code::unavailable, "garbage.pt2", garbage, 19, "");
}
