#include "ams/torch/open_network.hpp"

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
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
  const std::string folder = ams::testing::temporary_folder().file("model");
  std::filesystem::create_directory(folder);
  refused(Code::io_error, "is a folder", folder, 19, "");
}

TEST_CASE("a file of another kind is said as what it is, with what to do") {
  using namespace std::string_literals;
  struct Case {
    const char* name;
    std::string content;
    const char* what;
    const char* advice;
  };
  std::string tensors(8, '\0');
  tensors[0] = 2;
  tensors += "{}";
  const std::string page = "\n<!DOCTYPE html>\n<html><title>Sign in</title></html>";
  for (const auto& [name, content, what, advice] : {
           Case{"pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
                "a git-lfs pointer", "`git lfs pull`"},
           Case{"page", page, "a web page", "Download the file itself"},
           Case{"empty", "", "an empty file", "again"},
           Case{"text", "weights are here", "a text file", "Python"},
           Case{"cut", "PK\3\4"s + std::string(5000, '\0'), "an archive whose end is missing",
                "again"},
           Case{"onnx", "\x08\x08\x12\x07pytorch\x1a\x03"s + std::string(50, '\0'),
                "an ONNX network", "Python"},
           Case{"keras", "\x89HDF\r\n\x1a\n\0\0\0"s, "an HDF5 file", "Python"},
           Case{"packed", "\x1f\x8b\x08\0\0"s, "a compressed file", "Unpack"},
           Case{"tensors", tensors, "without a network", "as its weights"},
       }) {
    const auto refused = [&, what = what, advice = advice](const std::string& path,
                                                           const auto& open) {
      try {
        open(path);
        FAIL("accepted: " << path);
      } catch (const ams::Error& error) {
        CHECK(error.code() == ams::ErrorCode::malformed_data);
        for (const std::string part : {path.c_str(), what, advice}) {
          CHECK_MESSAGE(std::string(error.what()).find(part) != std::string::npos, error.what());
        }
      }
    };
    for (const std::string suffix : {".pt", ".pt2", ".bin", ".safetensors"}) {
      const std::string path = ams::testing::temporary_folder().file(name + suffix);
      std::ofstream(path, std::ios::binary) << content;
      refused(path, [](const std::string& p) { ams::open_network(p, 19); });
      if (content != tensors) {
        refused(path, [](const std::string& p) { ams::open_network("edanet", 19, p); });
      }
    }
  }
}

TEST_CASE("networks under another kind's name, and in place of weights") {
  const auto refused = [](const std::string& network, const std::string& weights,
                          const std::string& advice) {
    try {
      ams::open_network(network, 19, weights);
      FAIL("accepted");
    } catch (const ams::Error& error) {
      CHECK_MESSAGE(std::string(error.what()).find(advice) != std::string::npos, error.what());
    }
  };
  const std::string script = ams::testing::fixture("script");
  if (script.empty()) return;
  const std::string package = ams::testing::fixture("package", ".pt2");
  const std::string script_as_package = ams::testing::temporary_folder().file("script.pt2");
  const std::string package_as_script = ams::testing::temporary_folder().file("package.pt");
  std::filesystem::copy_file(script, script_as_package);
  std::filesystem::copy_file(package, package_as_script);
  refused(script_as_package, "", "a TorchScript module. Give it a name that ends in .pt.");
  refused(package_as_script, "", "a teacher alone, under a name that ends in .pt2");
  refused("edanet", script, "name it as the network, without a weights file");
  refused("edanet", package, "name it as the network, without a weights file");
}
