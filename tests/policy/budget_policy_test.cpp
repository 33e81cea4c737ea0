#include "ams/policy/budget/budget_policy.hpp"

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
#include "ams/session/write_update.hpp"

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

/// A budget policy without a session: plans at a time, and writes what a trainer gives.
struct Driver {
  explicit Driver(const std::shared_ptr<const ams::Manifest>& manifest, double budget_bps,
                  double interval_seconds = 10)
      : policy(options(budget_bps, interval_seconds)),
        held(std::make_shared<const ams::ModelState>(
            manifest, std::vector<float>(manifest->dimension(), 0.1F))),
        adam(manifest->dimension()) {
    policy.prepare(*held);
    policy.start(0);
  }

  static ams::BudgetOptions options(double budget_bps, double interval_seconds) {
    ams::BudgetOptions options{.budget = {.budget_bps = budget_bps}};
    options.pace.update_interval_seconds = interval_seconds;
    return options;
  }

  ams::PhasePlan plan(double now) {
    coordinates = {};
    ams::PhasePlan plan = policy.plan(
        {now, *held, adam, now, previous.empty() ? nullptr : &previous, 1, 1}, random);
    coordinates = previous = plan.coordinates;
    return plan;
  }

  /// The update; nothing when it is withheld.
  std::optional<ams::Bytes> write(double now, std::vector<float> trained) {
    ams::WrittenUpdate written = ams::write_update(
        {held, std::move(trained), adam, coordinates, policy.encode(now, {})});
    const bool is_withheld = written.next == nullptr;
    if (!is_withheld) {
      held = written.next;
      policy.on_sent(ams::Update{written.bytes}, false, now);
    }
    policy.on_written({is_withheld, written.bytes.size(), written.usual_bytes, written.coordinates,
                       held->values(), written.trained});
    if (is_withheld) return std::nullopt;
    return written.bytes;
  }

  ams::BudgetPolicy policy;
  std::shared_ptr<const ams::ModelState> held;
  ams::AdamState adam;
  ams::Random random{3};
  ams::CoordinateSet coordinates, previous;
};

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
  Driver driver(manifest, budget_bps, interval_seconds);
  ams::ModelState device = *driver.held;
  driver.adam.step_count = 1;
  std::mt19937 noise(4);
  std::normal_distribution<float> normal;
  Outcome outcome;
  double bytes = 0;
  std::vector<bool> computed(manifest->tensors().size(), false);
  constexpr double end = 900, start_up = 60;
  for (double now = interval_seconds; now <= end; now += interval_seconds) {
    // Moments are where the phase before computed gradients.
    std::size_t at = 0;
    for (std::size_t t = 0; t < manifest->tensors().size(); ++t) {
      for (std::size_t i = 0; i < manifest->tensors()[t].size; ++i, ++at) {
        const float moment = normal(noise);
        driver.adam.first_moment[at] = !computed[t] ? 0.0F : moment == 0 ? 1.0F : moment;
        driver.adam.second_moment[at] = 1;
      }
    }
    const bool changed = std::fmod(now, 150) < interval_seconds;
    driver.policy.on_phi(changed ? 3 : 0.5);
    const ams::PhasePlan plan = driver.plan(now);
    const std::string strategy = driver.policy.strategy().name();
    outcome.changes += !outcome.strategy.empty() && outcome.strategy != strategy;
    outcome.strategy = strategy;
    const bool has_weights = strategy.find("gradient_guided") != std::string::npos ||
                             strategy.find("last_layers") != std::string::npos;
    CHECK((plan.adam.multipliers.weight > 1) == has_weights);
    if (strategy == "normalization+last_layers+gradient_guided") {
      std::size_t random_choices = 0;
      plan.coordinates.for_each(
          [&](std::uint32_t i) { random_choices += driver.adam.first_moment[i] == 0; });
      CHECK(random_choices == 0);
    }
    computed = plan.required_gradients;
    std::vector<float> trained(driver.held->values().begin(), driver.held->values().end());
    plan.coordinates.for_each(
        [&](std::uint32_t i) { trained[i] += (changed ? 0.05F : 0.01F) * normal(noise); });
    const auto update = driver.write(now, std::move(trained));
    if (!update) {
      ++outcome.withheld;
      continue;
    }
    ams::apply_update(update->span(), device);
    CHECK(device.version() == driver.held->version());
    outcome.largest = std::max(outcome.largest, double(update->size()));
    if (now > start_up) bytes += double(update->size()) + 28;
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
      std::make_shared<const ams::Manifest>(manifest->with_roles({.normalization = {}, .head = {"weight0"}}));
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
    const ams::DownlinkBudget budget({.budget_bps = budget_bps});
    return ams::UpdateLadder(*network(with_roles, head_size)).choose(budget.steady_bytes(10));
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
        .strategy->select(ams::SelectionInput{*manifest, adam, {}, {}}, random)
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
          strategy->select({*manifest, adam, {}, {}, keeps && phase > 0 ? &previous : nullptr}, random);
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
    Driver driver(manifest, budget_bps);
    driver.adam.step_count = 1;
    std::fill(driver.adam.second_moment.begin(), driver.adam.second_moment.end(), 1.0F);
    std::mt19937 noise(4);
    std::normal_distribution<float> normal;
    std::size_t fraction_before = 0;  // its size, when the phase before was the first with one
    bool checked = false;
    for (double now = 10; now <= 60 && !checked; now += 10) {
      for (float& moment : driver.adam.first_moment) moment = normal(noise);
      const ams::PhasePlan plan = driver.plan(now);
      if (fraction_before > 0) {
        CHECK(plan.coordinates.size() >= fraction_before);
        checked = true;
      }
      if (driver.policy.strategy().name() == "normalization+last_layers+gradient_guided") {
        fraction_before = plan.coordinates.size();
      }
      std::vector<float> trained = plan.parameters;
      plan.coordinates.for_each([&](std::uint32_t i) { trained[i] += 0.01F * normal(noise); });
      driver.write(now, std::move(trained));
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
      ams::BudgetPolicy policy(Driver::options(budget_bps, 10));
      policy.prepare(held);
      policy.start(0);
      std::vector<float> trained(held.values().begin(), held.values().end());
      for (std::size_t i = 0; i < 2000; ++i) trained[i] += 0.01F * normal(noise);
      std::vector<std::uint32_t> indices(2000);
      std::iota(indices.begin(), indices.end(), 0U);
      for (std::uint32_t i = 2200; statistics == 1 && i < 2420; ++i) trained[i] += 20 * normal(noise);
      const auto coordinates =
          ams::CoordinateSet::from_sorted(manifest->dimension(), std::move(indices));
      const ams::WrittenUpdate written =
          ams::write_update({std::make_shared<const ams::ModelState>(held), trained, {},
                             coordinates, policy.encode(1000, {})});
      if (!written.next) continue;
      ++sent;
      double wanted = 0, moved = 0;
      for (std::size_t i = 0; i < 2000; ++i) {
        wanted += std::abs(trained[i] - held.values()[i]);
        moved += std::abs(written.next->values()[i] - held.values()[i]);
      }
      CHECK(moved >= 0.05 * wanted);
    }
  }
  CHECK(sent > 0);
}

TEST_CASE("a bad budget is refused") {
  CHECK_THROWS_AS(ams::BudgetPolicy({.budget = {.budget_bps = -1}}), ams::Error);
}
