#include "ams/server/update_planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/error.hpp"
#include "ams/core/random.hpp"

namespace {

using ams::TensorKind;
using ams::TensorRole;

/// 40,000 values: ten layers, their scales and shifts, a classifier of 1.5%. Besides, statistics.
std::shared_ptr<const ams::Manifest> network(bool with_roles, std::int64_t head_size = 600) {
  std::vector<ams::TensorSpec> tensors;
  const auto add = [&](const std::string& name, std::int64_t size, TensorRole role) {
    ams::TensorSpec tensor;
    tensor.name = name;
    tensor.shape = {size};
    if (with_roles) tensor.role = role;
    tensors.push_back(tensor);
  };
  for (int layer = 0; layer < 10; ++layer) {
    add("weight" + std::to_string(layer), 3900, TensorRole::weight);
    add("scale" + std::to_string(layer), 40, TensorRole::normalization);
    add("mean" + std::to_string(layer), 2, TensorRole::normalization);
    tensors.back().kind = TensorKind::statistic;
  }
  add("classifier", head_size, TensorRole::head);
  return std::make_shared<const ams::Manifest>(tensors);
}

struct Outcome {
  double bps = 0;        ///< every byte counted, after the first window
  double largest = 0;    ///< update, bytes
  std::string strategy;  ///< of the last phase
  std::size_t withheld = 0;
  std::size_t changes = 0;  ///< of the strategy, from phase to phase
};

/// A trainer that moves what it may by noise, harder when the scene changes; and a device that
/// takes it.
Outcome stream(const std::shared_ptr<const ams::Manifest>& manifest, double budget_bps,
               double interval_seconds) {
  ams::ModelState server(manifest, std::vector<float>(manifest->dimension(), 0.1F));
  ams::ModelState device = server;
  ams::UpdatePlanner planner(manifest, {.budget_bps = budget_bps});
  ams::AdamState adam(manifest->dimension());
  adam.step_count = 1;
  ams::Random random(3);
  std::mt19937 noise(4);
  std::normal_distribution<float> normal;
  Outcome outcome;
  double bytes = 0;
  std::vector<bool> computed(manifest->tensors().size(), false);
  ams::CoordinateSet previous;
  constexpr double end = 900, start_up = 60;
  for (double now = interval_seconds; now <= end; now += interval_seconds) {
    const auto choice = planner.choose(interval_seconds);
    const auto& strategy = *choice.strategy;
    outcome.changes += !outcome.strategy.empty() && outcome.strategy != strategy.name();
    outcome.strategy = strategy.name();
    const bool has_weights = outcome.strategy.find("gradient_guided") != std::string::npos ||
                             outcome.strategy.find("last_layers") != std::string::npos;
    CHECK((choice.multipliers.weight > 1) == has_weights);
    // Moments are where the phase before computed gradients.
    std::size_t at = 0;
    for (std::size_t t = 0; t < manifest->tensors().size(); ++t) {
      for (std::size_t i = 0; i < manifest->tensors()[t].size; ++i, ++at) {
        const float moment = normal(noise);
        adam.first_moment[at] = !computed[t] ? 0.0F : moment == 0 ? 1.0F : moment;
        adam.second_moment[at] = 1;
      }
    }
    const ams::CoordinateSet chosen = strategy.select(
        ams::SelectionInput{*manifest, adam, {}, previous.empty() ? nullptr : &previous}, random);
    previous = chosen;
    if (strategy.name() == "normalization+last_layers+gradient_guided") {
      std::size_t random_choices = 0;
      chosen.for_each([&](std::uint32_t i) { random_choices += adam.first_moment[i] == 0; });
      CHECK(random_choices == 0);
    }
    computed = choice.gradients->required_gradients(*manifest);
    const bool changed = std::fmod(now, 150) < interval_seconds;
    std::vector<float> trained(server.values().begin(), server.values().end());
    chosen.for_each(
        [&](std::uint32_t i) { trained[i] += (changed ? 0.05F : 0.01F) * normal(noise); });
    const auto encode =
        planner.fit(choice, server, trained, chosen, now, interval_seconds, changed);
    if (!encode) {
      ++outcome.withheld;
      continue;
    }
    const auto update = ams::encode_update(server, trained, chosen, *encode);
    planner.spend(now, update.size(), interval_seconds);
    ams::apply_update(update, device);
    CHECK(device.version() == server.version());
    outcome.largest = std::max(outcome.largest, double(update.size()));
    if (now > start_up) bytes += double(update.size()) + 28;
  }
  outcome.bps = bytes * 8 / (end - start_up);
  return outcome;
}

}  // namespace

TEST_CASE("the budget is used and kept, whatever it is") {
  for (const bool with_roles : {true, false}) {
    const auto manifest = network(with_roles);
    for (const double budget_bps : {500.0, 1000.0, 3000.0, 10000.0}) {
      CAPTURE(with_roles);
      CAPTURE(budget_bps);
      const Outcome outcome = stream(manifest, budget_bps, 10);
      CHECK(outcome.bps <= budget_bps + 1e-6);
      CHECK(outcome.bps > 0.85 * budget_bps);
      CHECK(outcome.largest <= 4 * budget_bps * 10 / 8);
    }
  }
}

TEST_CASE("more budget trains more of the model") {
  const auto manifest = network(true);
  CHECK(stream(manifest, 500, 10).strategy.starts_with("normalization"));
  CHECK(stream(manifest, 3000, 10).strategy == "normalization+last_layers+gradient_guided");
  CHECK(stream(manifest, 200000, 10).strategy == "full");
  // A classifier that is more than the last 2%; and one that comes first.
  const auto large = network(true, 900);
  const auto first =
      std::make_shared<const ams::Manifest>(manifest->with_roles({.head = {"weight0"}}));
  for (const auto& other : {large, first}) {
    CHECK(stream(other, 3000, 10).strategy == "normalization_and_head+gradient_guided");
  }
  const auto plain = network(false);
  CHECK(stream(plain, 500, 10).strategy == "gradient_guided");
  CHECK(stream(plain, 200000, 10).strategy == "full");
}

TEST_CASE("groups are not traded for each other back and forth") {
  const auto manifest = network(true);
  std::size_t with_last_layers = 0, with_head = 0;
  for (double budget_bps = 60; budget_bps <= 400; budget_bps += 10) {
    CAPTURE(budget_bps);
    const Outcome outcome = stream(manifest, budget_bps, 10);
    if (outcome.strategy.find("gradient_guided") != std::string::npos) continue;
    with_last_layers += outcome.strategy == "normalization+last_layers";
    with_head += outcome.strategy == "normalization_and_head";
    CHECK(outcome.changes <= 2);
  }
  CHECK(with_last_layers > 0);
  CHECK(with_head > 0);
}

TEST_CASE(
    "a fraction waits for moments to choose it by, where there is a group to train meanwhile") {
  const auto first = [](bool with_roles, double budget_bps, std::int64_t head_size = 600) {
    return ams::UpdatePlanner(network(with_roles, head_size), {.budget_bps = budget_bps})
        .choose(10);
  };
  CHECK(first(true, 3000).strategy->name() == "normalization+last_layers");
  CHECK(first(true, 3000).gradients->name() == "normalization+last_layers+gradient_guided");
  CHECK(first(true, 3000, 900).strategy->name() == "normalization_and_head");
  CHECK(first(true, 3000, 900).gradients->name() == "normalization_and_head+gradient_guided");
  CHECK(first(true, 500).gradients->name().starts_with("normalization"));
  CHECK(first(true, 200000).strategy->name() == "full");
  // What is trained learns as fast as suits it, and not what will be trained next.
  CHECK(first(true, 3000, 900).multipliers.weight == 1);
  CHECK(first(true, 3000, 900).multipliers.normalization == 5);
  CHECK(first(true, 3000, 900).multipliers.head == 4);
  CHECK(first(true, 3000).multipliers.weight == 16);
  CHECK(first(true, 3000).multipliers.normalization == 5);
  CHECK(first(true, 3000).multipliers.head == 16);
  CHECK(first(true, 200000).multipliers.normalization == 1);
  CHECK(first(false, 1000).multipliers.weight == 16);
  // Without groups the largest fraction that fits, by random choice.
  ams::Random random(1);
  const auto manifest = network(false);
  const auto count = [&](double budget_bps) {
    const ams::AdamState adam(manifest->dimension());
    return first(false, budget_bps)
        .strategy->select(ams::SelectionInput{*manifest, adam, {}}, random)
        .size();
  };
  CHECK(count(1000) > 200);
  CHECK(count(10000) > 3000);
}

TEST_CASE("a fraction that stays from phase to phase costs fewer bytes than one chosen anew") {
  const auto manifest = network(true);
  const auto strategy =
      ams::make_selection_strategy("normalization_and_head+gradient_guided", 0.05);
  const auto bytes = [&](bool keeps) {
    ams::ModelState state(manifest, std::vector<float>(manifest->dimension(), 0.1F));
    ams::AdamState adam(manifest->dimension());
    adam.step_count = 1;
    std::fill(adam.second_moment.begin(), adam.second_moment.end(), 1.0F);
    ams::Random random(3);
    std::mt19937 noise(4);
    std::normal_distribution<float> normal;
    ams::CoordinateSet previous;
    ams::EncodeOptions options;
    options.profile = ams::UpdateProfile::compact;
    std::size_t sum = 0;
    for (int phase = 0; phase < 12; ++phase) {
      for (float& moment : adam.first_moment) moment = normal(noise);
      const auto chosen =
          strategy->select({*manifest, adam, {}, keeps && phase > 0 ? &previous : nullptr}, random);
      previous = chosen;
      std::vector<float> trained(state.values().begin(), state.values().end());
      chosen.for_each([&](std::uint32_t i) { trained[i] += 0.01F * normal(noise); });
      const std::size_t size = ams::encode_update(state, trained, chosen, options).size();
      if (phase >= 4) sum += size;
    }
    return sum;
  };
  const std::size_t kept = bytes(true), anew = bytes(false);
  CAPTURE(kept);
  CAPTURE(anew);
  CHECK(static_cast<double>(kept) < 0.7 * static_cast<double>(anew));
}

TEST_CASE("what says once where a new fraction is does not make the next one smaller") {
  const auto manifest = network(true);
  for (const double budget_bps : {700.0, 1000.0, 1500.0, 2000.0}) {
    CAPTURE(budget_bps);
    ams::UpdatePlanner planner(manifest, {.budget_bps = budget_bps});
    ams::ModelState state(manifest, std::vector<float>(manifest->dimension(), 0.1F));
    ams::AdamState adam(manifest->dimension());
    adam.step_count = 1;
    std::fill(adam.second_moment.begin(), adam.second_moment.end(), 1.0F);
    ams::Random random(3);
    std::mt19937 noise(4);
    std::normal_distribution<float> normal;
    ams::CoordinateSet previous;
    std::size_t fraction_before =
        0;  // the rung, when the phase before was the first with a fraction
    bool checked = false;
    for (double now = 10; now <= 60 && !checked; now += 10) {
      const auto choice = planner.choose(10);
      if (fraction_before > 0) {
        CHECK(choice.rung >= fraction_before);
        checked = true;
      }
      for (float& moment : adam.first_moment) moment = normal(noise);
      const auto chosen = choice.strategy->select(
          {*manifest, adam, {}, previous.empty() ? nullptr : &previous}, random);
      if (choice.strategy->name() == "normalization+last_layers+gradient_guided") {
        fraction_before = choice.rung;
      }
      previous = chosen;
      std::vector<float> trained(state.values().begin(), state.values().end());
      chosen.for_each([&](std::uint32_t i) { trained[i] += 0.01F * normal(noise); });
      if (const auto way = planner.fit(choice, state, trained, chosen, now, 10, false)) {
        planner.spend(now, ams::encode_update(state, trained, chosen, *way).size(), 10);
      }
    }
    CHECK(checked);
  }
}

TEST_CASE("what does not fit at all is withheld") {
  const auto manifest = network(true);
  const Outcome outcome = stream(manifest, 200, 1);
  CHECK(outcome.withheld > 0);
  CHECK(outcome.bps <= 200);
}

TEST_CASE(
    "statistics, which are always written finely, do not make a coarse update worth sending") {
  std::vector<ams::TensorSpec> tensors(3);
  tensors[0] = {.name = "scale", .shape = {2000}, .role = TensorRole::normalization};
  tensors[1] = {.name = "head", .shape = {200}, .role = TensorRole::head};
  tensors[2] = {.name = "variance", .shape = {220}, .kind = TensorKind::statistic};
  const auto manifest = std::make_shared<const ams::Manifest>(tensors);
  const ams::ModelState held(manifest, std::vector<float>(manifest->dimension(), 1));
  std::mt19937 noise(5);
  std::normal_distribution<float> normal;
  std::size_t sent = 0;
  for (int statistics = 0; statistics < 2; ++statistics) {
    CAPTURE(statistics);
    for (const double budget_bps : {50.0, 60.0, 70.0, 80.0, 200.0}) {
      CAPTURE(budget_bps);
      ams::UpdatePlanner planner(manifest, {.budget_bps = budget_bps});
      const auto choice = planner.choose(10);
      std::vector<float> trained(held.values().begin(), held.values().end());
      for (std::size_t i = 0; i < 2000; ++i) trained[i] += 0.01F * normal(noise);
      std::vector<std::uint32_t> indices(2000);
      std::iota(indices.begin(), indices.end(), 0U);
      for (std::uint32_t i = 2200; statistics == 1 && i < 2420; ++i) {
        trained[i] += 20 * normal(noise);
        indices.push_back(i);
      }
      const auto coordinates =
          ams::CoordinateSet::from_sorted(manifest->dimension(), std::move(indices));
      const auto encode = planner.fit(choice, held, trained, coordinates, 1000, 10, true);
      if (!encode) continue;
      ++sent;
      ams::ModelState copy = held;
      ams::encode_update(copy, trained, coordinates, *encode);
      double wanted = 0, moved = 0;
      for (std::size_t i = 0; i < 2000; ++i) {
        wanted += std::abs(trained[i] - held.values()[i]);
        moved += std::abs(copy.values()[i] - held.values()[i]);
      }
      CHECK(moved >= 0.05 * wanted);
    }
  }
  CHECK(sent > 0);
}

TEST_CASE("a null manifest and a bad budget are refused") {
  CHECK_THROWS_AS(ams::UpdatePlanner(nullptr, {}), ams::Error);
  CHECK_THROWS_AS(ams::UpdatePlanner(network(true), {.budget_bps = -1}), ams::Error);
}
