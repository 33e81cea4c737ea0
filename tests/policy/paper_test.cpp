#include "ams/policy/paper.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <vector>

#include "ams/core/gradient_guided_adam.hpp"
#include "ams/session/write_update.hpp"

using namespace ams;

namespace {

std::shared_ptr<const Manifest> manifest() {
  return std::make_shared<const Manifest>(
      std::vector<TensorSpec>{{.name = "weight", .shape = {20, 15}},
                              {.name = "mean", .shape = {7}, .kind = TensorKind::statistic},
                              {.name = "bias", .shape = {20}}});
}

}  // namespace

TEST_CASE("the policy is Algorithm 2, phase by phase") {
  constexpr double gamma = 0.1;
  constexpr int iterations = 5;
  PaperOptions options{.gamma = gamma, .adam = {.learning_rate = 0.01}};
  options.pace.iterations = iterations;
  PaperPolicy policy(options);
  auto held = std::make_shared<const ModelState>(manifest(),
                                                 std::vector<float>(manifest()->dimension(), 0.5F));
  policy.prepare(*held);
  policy.start(0);

  // The reference: the optimiser of core, with the device's values read back after each phase.
  GradientGuidedAdam reference(manifest(), gamma, options.adam);
  AdamState adam(held->values().size());
  Random random(1);
  std::mt19937 noise(2);
  std::normal_distribution<float> normal;
  for (int phase = 0; phase < 4; ++phase) {
    const double now = 10.0 * phase;
    CAPTURE(phase);
    const PhasePlan plan = policy.plan({now, *held, adam, {}, 9, 3}, random);
    CHECK(plan.iterations == iterations);
    CHECK(plan.parameters == std::vector<float>(held->values().begin(), held->values().end()));
    CHECK(plan.coordinates.size() == 32);
    CHECK(plan.required_gradients == std::vector<bool>{true, false, true});
    CHECK(plan.learning_rates.empty());
    reference.begin_phase();
    // The first phase chooses at random; the others by |u|, whatever the random numbers are.
    if (phase > 0) CHECK(plan.coordinates == reference.coordinates());

    std::vector<float> trained = plan.parameters, expected = plan.parameters;
    for (int k = 0; k < iterations; ++k) {
      std::vector<float> gradients(trained.size());
      for (float& g : gradients) g = normal(noise);
      for (std::size_t i = 300; i < 307; ++i) gradients[i] = 0;  // statistics have none
      adam_step(adam, plan.adam, plan.coordinates, trained, gradients, plan.learning_rates);
      reference.step(expected, gradients);
    }
    if (phase > 0) CHECK(trained == expected);
    CHECK(adam.first_moment == reference.state().adam.first_moment);

    const EncodePlan encode = policy.encode(now, {});
    REQUIRE(encode.ways.size() == 1);
    CHECK(encode.ways[0].profile == UpdateProfile::reference);
    const WrittenUpdate written = write_update({held, trained, adam, plan.coordinates, encode});
    REQUIRE(written.next != nullptr);
    CHECK(inspect_update(written.bytes.span()).coordinates == 32);
    held = written.next;
  }
}

TEST_CASE("options out of range are refused") {
  CHECK_THROWS_AS(PaperPolicy({.gamma = 0}), Error);
  CHECK_THROWS_AS(PaperPolicy({.gamma = 1.5}), Error);
  CHECK_THROWS_AS(PaperPolicy({.adam = {.learning_rate = -1}}), Error);
  PaperOptions options;
  options.pace.iterations = 0;
  CHECK_THROWS_AS(PaperPolicy{options}, Error);
}
