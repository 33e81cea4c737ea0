// A program of three translation units that has nothing but the headers: this one trains.
#include <all_headers.hpp>  // run.sh writes it
#include <bit>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "parts.hpp"

namespace {

using namespace ams;

std::shared_ptr<const Manifest> network() {
  return std::make_shared<const Manifest>(std::vector<TensorSpec>{
      {.name = "conv.weight", .shape = {32, 3, 5, 5}},
      {.name = "bn.weight", .shape = {32}, .role = TensorRole::normalization},
      {.name = "bn.running_var", .shape = {32}, .kind = TensorKind::statistic},
      {.name = "head.weight", .shape = {19, 32, 3}, .role = TensorRole::head},
      {.name = "head.bias", .shape = {19}, .role = TensorRole::head}});
}

std::vector<float> noise(std::size_t count, float scale, Random& random) {
  std::vector<float> values(count);
  for (float& value : values) value = scale * (static_cast<float>(random.uniform()) - 0.5F);
  return values;
}

void optimise(const char* what, std::string_view strategy, const AdamOptions& options) {
  const auto manifest = network();
  GradientGuidedAdam adam(manifest, make_selection_strategy(strategy, 0.05), options, 3);
  Random random(5);
  std::vector<float> parameters = noise(manifest->dimension(), 0.2F, random);
  std::uint64_t digest = 0;
  for (int phase = 0; phase < 4; ++phase) {
    adam.begin_phase();
    for (int step = 0; step < 9; ++step) {
      adam.step(parameters, noise(parameters.size(), step % 4 == 0 ? 1e-4F : 3.0F, random));
    }
    adam.coordinates().for_each([&](std::uint32_t i) { digest = mix64(digest ^ i); });
  }
  const AdamState& state = adam.state().adam;
  for (const auto& values : {parameters, state.first_moment, state.second_moment}) {
    digest = mix64(digest ^ parameter_digest(values));
  }
  report(what, digest);
}

struct Disagreement {
  std::optional<double> operator()(const LabelMap& prediction, const LabelMap& truth) const {
    return label_disagreement(prediction, truth, ClassSubset::first(3));
  }
};

/// The loop of a session: labels come, rates are decided.
std::uint64_t observe(Random& random) {
  PhiScoreTracker<LabelMap, Disagreement> phi({});
  SamplingRateController sampling({.step_fps = 0.37, .phi_target = 0.41, .interval_seconds = 0.7});
  TrainingRateController training;
  SlidingMiou miou(ClassSubset::first(3));
  std::uint64_t rates = 0;
  LabelMap before;
  for (int i = 0; i < 60; ++i) {
    LabelMap labels{5, 3, std::vector<std::uint8_t>(15)};
    for (auto& id : labels.ids) id = static_cast<std::uint8_t>(random.below(i % 20 < 9 ? 1 : 3));
    phi.add(labels);
    if (i > 0) miou.add(before, labels, i);
    before = labels;
    if (!sampling.due(0.3 * i)) continue;
    if (const auto mean = phi.take_mean()) training.observe(sampling.decide(0.3 * i, *mean));
    for (const double value : {sampling.rate_fps(), sampling.state().next_decision_seconds,
                               training.advance(), miou.summary().sliding.value_or(0)}) {
      rates = mix64(rates ^ std::bit_cast<std::uint64_t>(value));
    }
  }
  return rates;
}

}  // namespace

void report(const char* what, std::uint64_t digest) {
  std::printf("%-40s %016llx\n", what, static_cast<unsigned long long>(digest));
}

void train() {
  optimise("gradient-guided Adam", "gradient_guided", {});
  optimise("Adam, epsilon inside the root", "full",
           {.epsilon = 1e-3, .epsilon_placement = EpsilonPlacement::inside_root});
  optimise(
      "Adam, groups at rates of their own", "normalization+gradient_guided",
      {.learning_rate = 3e-3, .beta1 = 0.83, .multipliers = {.weight = 0.3, .normalization = 5}});

  HorizonReplayBuffer<int> buffer({.horizon_seconds = 60});
  for (int i = 0; i < 100; ++i) buffer.add(i, i);
  Random random(7);
  std::uint64_t samples = 0;
  for (const auto& batch : buffer.draw(100, 20, 8, random)) {
    for (const int sample : batch) samples = mix64(samples ^ static_cast<std::uint64_t>(sample));
  }
  report("replay buffer", samples);

  report("phi-score, both rates, mIoU", observe(random));
}
