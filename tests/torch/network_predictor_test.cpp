#include "ams/torch/network_predictor.hpp"

#include <doctest/doctest.h>

#include <set>

#include "ams/core/error.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "scene.hpp"

namespace {

ams::StudentSpec small_spec() {
  ams::StudentSpec spec;
  spec.num_classes = 4;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

std::vector<float> trained(const ams::StudentSpec& spec, std::size_t iterations) {
  const auto trainer = ams::make_segmentation_trainer(spec);
  const ams::StudentValues start = ams::load_student_values(spec);
  const std::size_t n = start.manifest->dimension();
  ams::TrainingJob job{start.manifest,
                       start.values,
                       ams::AdamState(n),
                       {},
                       {},
                       ams::CoordinateSet::all(n),
                       std::vector<bool>(start.manifest->tensors().size(), true),
                       {}};
  for (std::size_t k = 0; k < iterations; ++k) {
    job.mini_batches.push_back(
        {ams::testing::make_scene(2 * k), ams::testing::make_scene(2 * k + 1)});
  }
  return trainer->train(std::move(job)).parameters;
}

double accuracy(ams::Predictor& predictor) {
  std::size_t right = 0, all = 0;
  for (std::uint64_t seed = 900; seed < 905; ++seed) {
    const auto scene = ams::testing::make_scene(seed);
    const auto found = ams::testing::predict(predictor, scene->frame);
    for (std::size_t i = 0; i < found.ids.size(); ++i) {
      if (scene->labels.ids[i] == 255) continue;
      ++all;
      right += found.ids[i] == scene->labels.ids[i];
    }
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

}  // namespace

TEST_CASE("two instances are two copies: one moves on, the other does not") {
  const ams::StudentSpec spec = small_spec();
  const auto active = ams::make_predictor(spec);
  const auto inactive = ams::make_predictor(spec);
  CHECK(active->manifest()->digest() == ams::load_student_values(spec).manifest->digest());
  const auto frame = ams::testing::make_scene(1)->frame;
  const auto before = ams::testing::predict(*active, frame).ids;
  CHECK(ams::testing::predict(*inactive, frame).ids == before);

  const double untrained = accuracy(*active);
  inactive->load(trained(spec, 40));
  CHECK(ams::testing::predict(*active, frame).ids == before);
  CHECK(accuracy(*inactive) > 0.8);
  CHECK(accuracy(*inactive) > untrained + 0.1);
  inactive->load(ams::load_student_values(spec).values);
  CHECK(ams::testing::predict(*inactive, frame).ids == before);
}

TEST_CASE("labels are selected classes at the input size, for frames of any size") {
  ams::StudentSpec spec = small_spec();
  spec.selected_classes = {1, 3};
  const auto predictor = ams::make_predictor(spec);
  for (const auto& [width, height] : {std::pair{64, 32}, {200, 77}, {20, 10}}) {
    const auto frame = ams::testing::make_scene(3, width, height)->frame;
    const auto labels = ams::testing::predict(*predictor, frame);
    CHECK(labels.width == 64);
    CHECK(labels.height == 32);
    CHECK(labels.ids.size() == 64 * 32);
    for (const auto id : labels.ids) REQUIRE((id == 1 || id == 3));
  }
}

TEST_CASE("bfloat16 labels nearly all pixels as float32 does") {
  const ams::StudentSpec spec = small_spec();
  const auto values = trained(spec, 40);
  const auto wide = ams::make_predictor(spec);
  const auto narrow = ams::make_predictor(spec, {.bfloat16 = true});
  wide->load(values);
  narrow->load(values);
  std::size_t equal = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto frame = ams::testing::make_scene(seed)->frame;
    const auto a = ams::testing::predict(*wide, frame).ids;
    const auto b = ams::testing::predict(*narrow, frame).ids;
    for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
  }
  CHECK(equal > 5 * 64 * 32 * 97 / 100);
}

TEST_CASE("values and frames that do not fit are refused, and the old values stay") {
  const auto predictor = ams::make_predictor(small_spec());
  const auto frame = ams::testing::make_scene(1)->frame;
  const auto before = ams::testing::predict(*predictor, frame).ids;
  CHECK_THROWS_AS(predictor->load(std::vector<float>(7)), ams::Error);
  ams::Frame broken = frame;
  broken.rgb.pop_back();
  CHECK_THROWS_AS(ams::testing::predict(*predictor, broken), ams::Error);
  CHECK(ams::testing::predict(*predictor, frame).ids == before);
}
