#include <torch/script.h>
#include <torch/torch.h>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>

#include "ams/core/error.hpp"
#include "ams/torch/deeplabv3_mobilenetv2.hpp"
#include "ams/torch/edanet.hpp"
#include "ams/torch/fddwnet.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/network.hpp"
#include "png.hpp"
#include "shared_data.hpp"

namespace {

std::int64_t count(const std::vector<ams::NetworkTensor>& tensors, std::int64_t dimensions = -1) {
  std::int64_t values = 0;
  for (const auto& item : tensors) {
    if (dimensions < 0 || item.tensor.dim() == dimensions) values += item.tensor.numel();
  }
  return values;
}

std::int64_t statistics_count(const ams::Network& network) {
  std::int64_t values = 0;
  for (const auto& buffer : network.buffers()) {
    if (ams::is_batch_norm_statistic(buffer)) values += buffer.tensor.numel();
  }
  return values;
}

/// Statistics, scales and shifts that are not those of an untrained network.
void disturb(ams::Network& network) {
  torch::manual_seed(3);
  const torch::NoGradGuard no_gradients;
  for (auto& buffer : network.buffers()) {
    if (!ams::is_batch_norm_statistic(buffer)) continue;
    buffer.tensor.uniform_(0.5, 1.5);
  }
  for (auto& parameter : network.parameters()) {
    if (parameter.tensor.dim() == 1) parameter.tensor.uniform_(0.5, 1.5);
  }
}

/// The probe picture through a network: logits and agreement with the expected labels.
void check_probe(ams::Network& network, const std::string& weights, const std::string& expected,
                 double mean, double deviation) {
  const std::string file = ams::testing::shared_data("weights/" + weights);
  if (file.empty()) return;
  const auto input =
      ams::testing::read_png(ams::testing::shared_data("weights/probe/input.png"), 3);
  const auto labels =
      ams::testing::read_png(ams::testing::shared_data("weights/probe/" + expected), 1);
  if (input.bytes.empty()) {
    MESSAGE("skipped: built without libpng");
    return;
  }
  ams::load_tensors(network, ams::read_safetensors(file));
  network.train(false);
  const torch::NoGradGuard no_gradients;
  const ams::Frame frame{input.width, input.height, input.bytes, 0};
  const torch::Tensor batch =
      ams::normalized_batch({ams::scaled_rgb(frame, input.width, input.height)}, {});
  const auto run = [&] {
    return ams::resize_logits(network.forward(batch), input.height, input.width,
                              network.align_corners());
  };
  const torch::Tensor logits = run();
  CHECK(logits.mean().item<double>() == doctest::Approx(mean).epsilon(1e-4));
  CHECK(logits.std().item<double>() == doctest::Approx(deviation).epsilon(1e-4));
  const ams::LabelMap found = ams::argmax_labels(logits, {});
  REQUIRE(found.ids.size() == labels.bytes.size());
  std::size_t equal = 0;
  for (std::size_t i = 0; i < found.ids.size(); ++i) equal += found.ids[i] == labels.bytes[i];
  CHECK(static_cast<double>(equal) > 0.999 * static_cast<double>(found.ids.size()));

  network.prepare_inference();
  CHECK((run() - logits).abs().max().item<double>() < 1e-3);
}

}  // namespace

TEST_CASE("parameter counts are those of the papers") {
  const auto deeplab = ams::make_deeplabv3_mobilenetv2(19);
  CHECK(count(deeplab->parameters()) == 2'113'043);
  CHECK(count(deeplab->parameters(), 4) == 1'780'160 + 299'795 - 19);
  CHECK(count(deeplab->parameters(), 1) == 33'088 + 19);
  CHECK(statistics_count(*deeplab) == 33'088);

  const auto edanet = ams::make_edanet(19);
  CHECK(count(edanet->parameters()) == 686'679);
  const auto fddwnet = ams::make_fddwnet(19);
  CHECK(count(fddwnet->parameters()) == 773'682);
}

TEST_CASE("DeepLabV3 sees as far as its last three dilated blocks reach") {
  // With image pooling out of the way, a coarse logit depends on the input pixels of its receptive
  // field: one block more at dilation 2 would make it 32 pixels wider, one less 32 narrower.
  const auto network = ams::make_deeplabv3_mobilenetv2(2);
  ams::initialize_tensors(*network, 1);
  for (const ams::NetworkTensor& p : network->parameters()) {
    if (p.name.starts_with("image_pooling")) p.tensor.data().zero_();
  }
  network->train(false);
  torch::manual_seed(1);
  const auto input = torch::rand({1, 3, 1024, 64}).requires_grad_(true);
  const auto logits = network->forward(input);
  logits.index({0, 0, 32, 2}).backward();
  const auto rows = input.grad().abs().sum({0, 1, 3}).nonzero();
  const auto extent = rows.max().item<std::int64_t>() - rows.min().item<std::int64_t>() + 1;
  // 1 + sum over the 3x3 layers of 2 * dilation * stride so far: stem 2, row 24: 2 * 2 + 2 * 4,
  // row 32: 2 * 4 + 2 * 2 * 8, row 64: 2 * 8 + 3 * 2 * 16, row 96: 3 * 2 * 16, row 160: 2 * 16 +
  // 2 * 2 * 2 * 16, row 320: 2 * 2 * 16; the 16-channel row: 2 * 2.
  const std::int64_t field = 1 + 2 + 4 + (4 + 8) + (8 + 32) + (16 + 96) + 96 + (32 + 128) + 64;
  CHECK(extent <= field);
  CHECK(extent > field - 32);
}

TEST_CASE("EDANet with its public weights gives the expected labels") {
  check_probe(*ams::make_edanet(19), "edanet_cityscapes.safetensors", "edanet_argmax.png", -6.1858,
              4.2067);
}

TEST_CASE("FDDWNet with its public weights gives the expected labels") {
  check_probe(*ams::make_fddwnet(19), "fddwnet_cityscapes.safetensors", "fddwnet_argmax.png",
              1.8562, 2.5164);
}

TEST_CASE("every way through a frozen batch norm gives the same") {
  for (const auto& network :
       {ams::make_edanet(5), ams::make_deeplabv3_mobilenetv2(5), ams::make_fddwnet(5)}) {
    ams::initialize_tensors(*network, 7);
    disturb(*network);
    network->train(false);
    // In double, where a rounding does not flip a ReLU.
    for (auto& tensors : {network->parameters(), network->buffers()}) {
      for (auto item : tensors) {
        if (item.tensor.is_floating_point()) item.tensor.set_data(item.tensor.to(torch::kDouble));
      }
    }
    torch::manual_seed(1);
    const torch::Tensor input = torch::randn({1, 3, 32, 40}, torch::kDouble);

    // Reference: no weight asks for a gradient, scales do, so the layers run libtorch's own batch
    // norm.
    for (auto& parameter : network->parameters()) {
      parameter.tensor.set_requires_grad(parameter.tensor.dim() == 1);
    }
    const torch::Tensor plain = network->forward(input);
    const torch::Tensor target = torch::randn_like(plain);
    (plain * target).sum().backward();
    std::vector<torch::Tensor> gradients;
    for (auto& parameter : network->parameters()) {
      if (parameter.tensor.dim() == 1) gradients.push_back(parameter.tensor.grad().clone());
    }
    const double scale = plain.abs().max().item<double>();
    const auto agrees = [&](const torch::Tensor& output) {
      return (output - plain).abs().max().item<double>() < 1e-10 * scale;
    };

    for (auto& parameter : network->parameters()) {
      parameter.tensor.set_requires_grad(true);
      parameter.tensor.mutable_grad() = torch::Tensor();
    }
    const torch::Tensor folded = network->forward(input);
    CHECK(agrees(folded));
    (folded * target).sum().backward();
    std::size_t i = 0;
    for (auto& parameter : network->parameters()) {
      REQUIRE(parameter.tensor.grad().defined());
      if (parameter.tensor.dim() != 1) continue;
      const torch::Tensor& expected = gradients[i++];
      CHECK((parameter.tensor.grad() - expected).norm().item<double>() <=
            1e-9 * (expected.norm().item<double>() + scale));
    }

    const torch::NoGradGuard no_gradients;
    CHECK(agrees(network->forward(input)));
    network->prepare_inference();
    CHECK(agrees(network->forward(input)));
  }
}

TEST_CASE("students take any input size") {
  for (const auto& network : {ams::make_edanet(4), ams::make_deeplabv3_mobilenetv2(4)}) {
    network->train(false);
    const torch::NoGradGuard no_gradients;
    for (const auto& [height, width] : {std::pair{128, 256}, {65, 97}, {32, 32}}) {
      const torch::Tensor logits =
          ams::resize_logits(network->forward(torch::zeros({1, 3, height, width})), height, width,
                             network->align_corners());
      CHECK(logits.sizes() == torch::IntArrayRef{1, 4, height, width});
    }
  }
}

TEST_CASE("initial values depend on the seed alone") {
  const auto first = ams::make_edanet(3);
  const auto second = ams::make_edanet(3);
  ams::initialize_tensors(*first, 5);
  ams::initialize_tensors(*second, 5);
  CHECK(ams::tensors_digest(first->parameters()) == ams::tensors_digest(second->parameters()));
  ams::initialize_tensors(*second, 6);
  CHECK(ams::tensors_digest(first->parameters()) != ams::tensors_digest(second->parameters()));
}

TEST_CASE("a tensor with a value that fp16 has no number for is stored in float32") {
  const auto network = ams::make_edanet(3);
  ams::initialize_tensors(*network, 5);
  for (const ams::NetworkTensor& buffer : network->buffers()) {
    if (buffer.name.ends_with("running_var")) {
      torch::Tensor(buffer.tensor)[0] = 81985.5;
      break;
    }
  }
  const ams::Safetensors content = ams::store_tensors(*network, ams::TensorType::f16);
  const auto wide = std::count_if(content.tensors.begin(), content.tensors.end(),
                                  [](const auto& t) { return t.type == ams::TensorType::f32; });
  CHECK(wide == 1);
  const auto copy = ams::make_edanet(3);
  ams::load_tensors(*copy, content);
  bool found = false;
  for (const ams::NetworkTensor& buffer : copy->buffers()) {
    found = found ||
            (buffer.name.ends_with("running_var") && buffer.tensor[0].item<float>() == 81985.5F);
  }
  CHECK(found);
}

namespace {

/// Its convolution has two names, and its table whole numbers.
struct WholeNumbers : torch::nn::Module {
  WholeNumbers() {
    register_module("first", convolution);
    register_module("again", convolution);
    register_buffer("table", table);
    register_buffer("mask", mask);
  }
  torch::Tensor forward(const torch::Tensor& x) { return convolution->forward(x); }

  torch::nn::Conv2d convolution{torch::nn::Conv2dOptions(3, 2, 1)};
  torch::Tensor table = torch::tensor({1L, 70'001L, -5L}, torch::kLong);
  torch::Tensor mask = torch::tensor({true, false}, torch::kBool);
};

}  // namespace

TEST_CASE("whole numbers are stored as they are, and a tensor of two names loads from either") {
  const auto original = std::make_shared<WholeNumbers>();
  auto content = ams::store_tensors(*ams::wrap_module(original), ams::TensorType::f16);
  std::erase_if(content.tensors, [](const auto& t) { return t.name.starts_with("first."); });
  const auto copy = std::make_shared<WholeNumbers>();
  {
    const torch::NoGradGuard no_gradients;
    copy->table.zero_();
    copy->mask.zero_();
  }
  ams::load_tensors(*ams::wrap_module(copy), content);
  CHECK(torch::equal(copy->table, original->table));
  CHECK(torch::equal(copy->mask, original->mask));
  CHECK(torch::allclose(copy->convolution->weight, original->convolution->weight, 1e-2, 1e-3));
}

TEST_CASE("what wrappers add to the names of a file is ignored") {
  const auto network = ams::make_edanet(3);
  ams::initialize_tensors(*network, 5);
  const ams::Safetensors content = ams::store_tensors(*network, ams::TensorType::f32);
  const auto loaded = [&](const std::function<std::string(const std::string&)>& rename) {
    ams::Safetensors renamed = content;
    for (auto& tensor : renamed.tensors) tensor.name = rename(tensor.name);
    const auto copy = ams::make_edanet(3);
    ams::load_tensors(*copy, renamed);
    return ams::tensors_digest(copy->parameters());
  };
  const auto expected = ams::tensors_digest(network->parameters());
  for (const std::string prefix : {"module.", "_orig_mod.", "model.module._orig_mod."}) {
    CHECK(loaded([&](const std::string& name) { return prefix + name; }) == expected);
  }
  CHECK(loaded([](std::string name) {
          return name.insert(name.find('.') + 1, "_orig_mod.");
        }) == expected);
  CHECK_THROWS_WITH_AS(loaded([](const std::string& name) { return "encoder." + name + ".x"; }),
                       doctest::Contains("unexpected are encoder."), ams::Error);
}

TEST_CASE("stored tensors come back, and others are refused by name") {
  const auto network = ams::make_edanet(3);
  ams::initialize_tensors(*network, 5);
  disturb(*network);
  const ams::Safetensors content = ams::store_tensors(*network, ams::TensorType::f32);
  const auto copy = ams::make_edanet(3);
  ams::load_tensors(*copy, content);
  const auto own = network->buffers();
  const auto loaded = copy->buffers();
  CHECK(ams::tensors_digest(network->parameters()) == ams::tensors_digest(copy->parameters()));
  for (std::size_t i = 0; i < own.size(); ++i) CHECK(torch::equal(own[i].tensor, loaded[i].tensor));

  const auto refused = [&](const ams::Safetensors& other, ams::ErrorCode code,
                           const std::string& named) {
    const auto before = ams::tensors_digest(copy->parameters());
    try {
      ams::load_tensors(*copy, other);
      FAIL("accepted");
    } catch (const ams::Error& error) {
      CHECK(error.code() == code);
      CHECK_MESSAGE(std::string(error.what()).find(named) != std::string::npos, error.what());
    }
    CHECK(ams::tensors_digest(copy->parameters()) == before);
  };
  ams::Safetensors other = content;
  other.tensors.erase(other.tensors.begin());
  refused(other, ams::ErrorCode::manifest_mismatch, "missing are stage1.conv.weight");
  other = content;
  other.tensors[0].name = "stage9.weight";
  refused(other, ams::ErrorCode::manifest_mismatch, "unexpected are stage9.weight");
  const auto wider = ams::make_edanet(4);
  refused(ams::store_tensors(*wider, ams::TensorType::f16), ams::ErrorCode::manifest_mismatch,
          "project.weight ([3, 450, 1, 1], in the file [4, 450, 1, 1])");
  other = content;
  other.tensors[0].bytes[3] = std::byte{0x7f};
  other.tensors[0].bytes[2] = std::byte{0x80};
  refused(other, ams::ErrorCode::malformed_data, "stage1.conv.weight");
}
