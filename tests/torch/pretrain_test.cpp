#include "ams/torch/pretrain.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>

#include "ams/core/error.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/safetensors.hpp"
#include "fixtures.hpp"
#include "scene.hpp"

namespace {

ams::StudentSpec small_spec() {
  ams::StudentSpec spec;
  spec.num_classes = 3;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

ams::LabelledDataset scenes() {
  return {40, [](std::size_t index) { return ams::testing::make_scene(index); }};
}

ams::PretrainOptions quick(int steps) {
  ams::PretrainOptions options;
  options.steps = steps;
  options.batch_size = 4;
  options.learning_rate = 3e-3;
  options.warmup_steps = 5;
  return options;
}

std::string output() {
  return ams::testing::temporary_folder().file("student.safetensors");
}

}  // namespace

TEST_CASE("a student trained from nothing labels new scenes; its file is fp16 and loads") {
  int calls = 0;
  auto options = quick(120);
  options.progress = [&](int step, double loss) {
    CHECK(step == ++calls);
    CHECK(loss >= 0);
    return true;
  };
  const auto result = ams::pretrain(small_spec(), scenes(), options, output());
  CHECK(calls == 120);
  CHECK(result.steps == 120);
  CHECK(result.loss < 0.3);
  CHECK(std::filesystem::file_size(output()) < 2 * 700'000);

  ams::StudentSpec spec = small_spec();
  spec.weights = output();
  const auto predictor = ams::make_predictor(spec);
  std::size_t right = 0, all = 0;
  for (std::uint64_t seed = 500; seed < 506; ++seed) {
    const auto scene = ams::testing::make_scene(seed);
    const auto found = ams::testing::predict(*predictor, scene->frame);
    for (std::size_t i = 0; i < found.ids.size(); ++i) {
      if (scene->labels.ids[i] == 255) continue;
      ++all;
      right += found.ids[i] == scene->labels.ids[i];
    }
  }
  CHECK(static_cast<double>(right) > 0.9 * static_cast<double>(all));

  const auto further = ams::pretrain(spec, scenes(), quick(10), output());
  CHECK(further.loss < 0.5);
}

TEST_CASE("the same seed gives the same student; progress can end training") {
  auto options = quick(50);
  options.progress = [](int step, double) { return step < 3; };
  const std::string first = ams::testing::temporary_folder().file("first.safetensors");
  CHECK(ams::pretrain(small_spec(), scenes(), options, first, ams::TensorType::f32).steps == 3);
  ams::pretrain(small_spec(), scenes(), options, output(), ams::TensorType::f32);
  const auto a = ams::read_safetensors(first), b = ams::read_safetensors(output());
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i)
    CHECK(a.tensors[i].bytes == b.tensors[i].bytes);
  options.seed = 2;
  ams::pretrain(small_spec(), scenes(), options, output(), ams::TensorType::f32);
  CHECK(ams::read_safetensors(output()).tensors[0].bytes != a.tensors[0].bytes);
}

TEST_CASE("the file names the clips of its training, and of the one before") {
  auto options = quick(1);
  options.clip_names = {"drive \"a\"", "b"};
  ams::pretrain(small_spec(), scenes(), options, output());
  const auto clips = [] {
    return ams::read_safetensors(output()).metadata.at("ams_pretrained_on");
  };
  CHECK(clips() == R"([{"digest":"","name":"drive \"a\""},{"digest":"","name":"b"}])");

  ams::StudentSpec next = small_spec();
  next.weights = output();
  options.clip_names = {"c"};
  ams::pretrain(next, scenes(), options, output());
  CHECK(
      clips() ==
      R"([{"digest":"","name":"drive \"a\""},{"digest":"","name":"b"},{"digest":"","name":"c"}])");

  ams::pretrain(small_spec(), scenes(), quick(1), output());
  CHECK_FALSE(ams::read_safetensors(output()).metadata.contains("ams_pretrained_on"));
}

TEST_CASE("options out of range are refused and nothing is written") {
  const std::string path = ams::testing::temporary_folder().file("none.safetensors");
  const auto refused = [&](const std::function<void(ams::PretrainOptions&)>& change) {
    auto options = quick(2);
    change(options);
    CHECK_THROWS_AS(ams::pretrain(small_spec(), scenes(), options, path), ams::Error);
  };
  refused([](auto& o) { o.steps = 0; });
  refused([](auto& o) { o.batch_size = 1; });
  refused([](auto& o) { o.learning_rate = 0; });
  refused([](auto& o) { o.color_jitter = 1; });
  refused([](auto& o) { o.weight_decay = -1; });
  CHECK_THROWS_AS(ams::pretrain(small_spec(), {}, quick(2), path), ams::Error);
  CHECK_THROWS_AS(ams::pretrain(small_spec(), scenes(), quick(2), path, ams::TensorType::i64),
                  ams::Error);
  CHECK(!std::filesystem::exists(path));
}
