#include "ams/core/selection.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ams/core/coordinate_choice.hpp"
#include "coordinates_reference.hpp"
#include "expect_error.hpp"

using ams::AdamState;
using ams::CoordinateSet;
using ams::ErrorCode;
using ams::Manifest;
using ams::Random;
using ams::TensorKind;
using ams::TensorRole;
using ams::TensorSpec;
using ams::test::expect_error;
using ams::test::listed;
using ams::test::sorted_choice;

namespace {

TensorSpec tensor(std::string name, std::int64_t size, TensorKind kind = TensorKind::parameter) {
  TensorSpec spec;
  spec.name = std::move(name);
  spec.shape = {size};
  spec.kind = kind;
  return spec;
}

/// 3 + [4] + 5 + [2] + [1] + 6 + 2 values; statistics in brackets. Trainable: 16.
Manifest mixed_network() {
  return Manifest({tensor("a", 3), tensor("mean", 4, TensorKind::statistic), tensor("b", 5),
                   tensor("var", 2, TensorKind::statistic), tensor("n", 1, TensorKind::statistic),
                   tensor("c", 6), tensor("d", 2)});
}

const std::vector<std::uint32_t> mixed_trainable = {0,  1,  2,  7,  8,  9,  10, 11,
                                                    15, 16, 17, 18, 19, 20, 21, 22};

/// A convolution, two normalisations (scale, shift, [moving mean]) with another between them, and a
/// head. 4 + 2 + 2 + [2] + 6 + 2 + 2 + 3 values; statistics in brackets. Trainable: 21.
Manifest grouped_network() {
  std::vector<TensorSpec> tensors = {tensor("conv1", 4),  tensor("scale1", 2),
                                     tensor("shift1", 2), tensor("mean1", 2, TensorKind::statistic),
                                     tensor("conv2", 6),  tensor("scale2", 2),
                                     tensor("shift2", 2), tensor("head", 3)};
  for (const std::size_t t : {1U, 2U, 5U, 6U}) tensors[t].role = TensorRole::normalization;
  tensors[7].role = TensorRole::head;
  return Manifest(std::move(tensors));
}

const std::vector<std::uint32_t> grouped_normalization = {4, 5, 6, 7, 16, 17, 18, 19};

CoordinateSet select(const char* name, double gamma, const Manifest& manifest,
                     const AdamState& adam, std::uint64_t seed = 1) {
  Random random(seed);
  return ams::make_selection_strategy(name, gamma)->select({manifest, adam, {}}, random);
}

AdamState state_after_gradients(const std::vector<float>& g) {
  AdamState state(g.size());
  std::vector<float> w(g.size());
  adam_step(state, {}, CoordinateSet::all(g.size()), w, g);
  return state;
}

}  // namespace

TEST_CASE("the gradient-guided choice is random in the first phase") {
  const Manifest manifest({tensor("w", 1000)});
  const AdamState fresh(1000);
  const auto set = select("gradient_guided", 0.1, manifest, fresh, 1);
  CHECK(set.size() == 100);
  CHECK(set == select("random", 0.1, manifest, fresh, 1));
  CHECK_FALSE(set == select("gradient_guided", 0.1, manifest, fresh, 2));
}

TEST_CASE("the gradient-guided choice is of largest |u|, over all tensors together") {
  Random random(8);
  const Manifest manifest({tensor("a", 300), tensor("b", 500), tensor("c", 200)});
  AdamState state(1000);
  std::vector<float> w(1000), g(1000), u(1000);
  for (int step = 0; step < 3; ++step) {
    for (float& x : g) x = static_cast<float>(random.uniform() - 0.5);
    adam_step(state, {}, CoordinateSet::all(1000), w, g);
  }
  adam_update(state, {}, u);
  CHECK(listed(select("gradient_guided", 0.1, manifest, state)) == sorted_choice(u, 100));
}

TEST_CASE("the gradient-guided choice never falls on a statistic") {
  const Manifest manifest = mixed_network();
  std::vector<float> g(manifest.dimension(), 0.0F);
  g[5] = 100;  // statistics have no gradients; were one given, it would not count
  g[9] = 1;
  g[22] = -1e-3F;
  const auto state = state_after_gradients(g);
  CHECK(listed(select("gradient_guided", 2 / 16.0, manifest, state)) ==
        std::vector<std::uint32_t>{9, 22});
  // |u| = 0 for all the rest: any of them, and no statistic.
  std::vector<bool> seen(manifest.dimension());
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const auto chosen = listed(select("gradient_guided", 7 / 16.0, manifest, state, seed));
    CHECK(chosen.size() == 7);
    CHECK(std::is_sorted(chosen.begin(), chosen.end()));
    for (const std::uint32_t moved : {9U, 22U}) {
      CHECK(std::count(chosen.begin(), chosen.end(), moved) == 1);
    }
    for (const std::uint32_t i : chosen) seen[i] = true;
  }
  for (std::uint32_t i = 0; i < manifest.dimension(); ++i) {
    CHECK(seen[i] == (std::count(mixed_trainable.begin(), mixed_trainable.end(), i) == 1));
  }
  CHECK(listed(select("gradient_guided", 1, manifest, state)) == mixed_trainable);
}

TEST_CASE("random choices are of trainable coordinates, all of them in time") {
  const Manifest manifest = mixed_network();
  const auto strategy = ams::make_selection_strategy("random", 0.25);
  const AdamState state = state_after_gradients(std::vector<float>(manifest.dimension(), 1.0F));
  Random random(9);
  std::set<std::uint32_t> seen;
  for (int phase = 0; phase < 200; ++phase) {
    const auto set = strategy->select({manifest, state, {}}, random);
    CHECK(set.size() == 4);
    set.for_each([&](std::uint32_t i) { seen.insert(i); });
  }
  CHECK(std::vector<std::uint32_t>(seen.begin(), seen.end()) == mixed_trainable);
}

TEST_CASE("layers from the ends of the network") {
  const Manifest manifest = mixed_network();
  const AdamState fresh(manifest.dimension());
  const auto first = [&](std::size_t n) {
    return std::vector<std::uint32_t>(mixed_trainable.begin(),
                                      mixed_trainable.begin() + static_cast<std::ptrdiff_t>(n));
  };
  CHECK(listed(select("first_layers", 5 / 16.0, manifest, fresh)) == first(5));
  CHECK(listed(select("last_layers", 3 / 16.0, manifest, fresh)) ==
        std::vector<std::uint32_t>{20, 21, 22});
  CHECK(listed(select("first_and_last_layers", 6 / 16.0, manifest, fresh)) ==
        std::vector<std::uint32_t>{0, 1, 2, 20, 21, 22});
  CHECK(listed(select("first_and_last_layers", 5 / 16.0, manifest, fresh)) ==
        std::vector<std::uint32_t>{0, 1, 2, 21, 22});
  CHECK(listed(select("first_and_last_layers", 1 / 16.0, manifest, fresh)) == first(1));
  for (const char* name : {"first_layers", "last_layers", "first_and_last_layers"}) {
    CHECK(listed(select(name, 1, manifest, fresh)) == mixed_trainable);
    // Stable over phases and seeds.
    const auto later = state_after_gradients(std::vector<float>(manifest.dimension(), 1.0F));
    CHECK(select(name, 0.3, manifest, fresh, 1) == select(name, 0.3, manifest, later, 2));
  }
}

TEST_CASE("full means all that is trainable") {
  const Manifest mixed = mixed_network();
  CHECK(listed(select("full", 0.05, mixed, AdamState(mixed.dimension()))) == mixed_trainable);
  const Manifest plain({tensor("a", 3), tensor("b", 4)});
  CHECK(select("full", 0.05, plain, AdamState(7)).is_all());
}

TEST_CASE("which gradients a strategy needs") {
  const Manifest manifest = mixed_network();
  using Required = std::vector<bool>;
  const auto required = [&](const char* name, double gamma) {
    return ams::make_selection_strategy(name, gamma)->required_gradients(manifest);
  };
  const Required parameters = {true, false, true, false, false, true, true};
  CHECK(required("gradient_guided", 0.05) == parameters);
  CHECK(required("random", 0.05) == parameters);
  CHECK(required("full", 0.05) == parameters);
  CHECK(required("first_layers", 3 / 16.0) ==
        Required{true, false, false, false, false, false, false});
  CHECK(required("first_layers", 4 / 16.0) ==
        Required{true, false, true, false, false, false, false});
  CHECK(required("last_layers", 2 / 16.0) ==
        Required{false, false, false, false, false, false, true});
  CHECK(required("last_layers", 9 / 16.0) ==
        Required{false, false, true, false, false, true, true});
  CHECK(required("first_and_last_layers", 6 / 16.0) ==
        Required{true, false, false, false, false, true, true});
}

TEST_CASE("the tensors that hold a strategy's coordinates are among those it needs gradients of") {
  const Manifest manifest = grouped_network();
  const auto later = state_after_gradients(std::vector<float>(manifest.dimension(), 1.0F));
  for (const auto name : ams::selection_strategy_names()) {
    for (const double gamma : {0.01, 0.2, 0.5, 0.9, 1.0}) {
      const auto strategy = ams::make_selection_strategy(name, gamma);
      const auto required = strategy->required_gradients(manifest);
      Random random(1);
      strategy->select({manifest, later, {}}, random).for_each([&](std::uint32_t i) {
        CHECK(required[manifest.tensor_of(i)]);
      });
    }
  }
}

TEST_CASE("the groups are the tensors of their roles, in every phase") {
  const Manifest manifest = grouped_network();
  const AdamState fresh(manifest.dimension());
  const auto later = state_after_gradients(std::vector<float>(manifest.dimension(), 1.0F));
  for (const AdamState* adam : {&fresh, &later}) {
    CHECK(listed(select("normalization", 0.5, manifest, *adam)) == grouped_normalization);
    std::vector<std::uint32_t> both = grouped_normalization;
    both.insert(both.end(), {20, 21, 22});
    CHECK(listed(select("normalization_and_head", 0.5, manifest, *adam)) == both);
  }
  using Required = std::vector<bool>;
  const auto required = [&](const char* name) {
    return ams::make_selection_strategy(name, 0.1)->required_gradients(manifest);
  };
  CHECK(required("normalization") == Required{false, true, true, false, false, true, true, false});
  CHECK(required("normalization_and_head") ==
        Required{false, true, true, false, false, true, true, true});
  const Required parameters = {true, true, true, false, true, true, true, true};
  CHECK(required("normalization+gradient_guided") == parameters);
  CHECK(required("normalization_and_head+gradient_guided") == parameters);
}

TEST_CASE("normalisation layers and what comes last, in every phase") {
  const Manifest manifest = grouped_network();
  const std::size_t trainable = 21;
  const AdamState fresh(manifest.dimension());
  const auto later = state_after_gradients(std::vector<float>(manifest.dimension(), 1));
  for (std::size_t count = 1; count <= trainable; ++count) {
    CAPTURE(count);
    const double gamma = static_cast<double>(count) / trainable;
    const auto expected = CoordinateSet::unite(select("normalization", 1, manifest, fresh),
                                               select("last_layers", gamma, manifest, fresh));
    CHECK(select("normalization+last_layers", gamma, manifest, fresh) == expected);
    CHECK(select("normalization+last_layers", gamma, manifest, later) == expected);
  }
  // The head's three, of three tensors that are no normalisation layer's one.
  std::vector<std::uint32_t> both = grouped_normalization;
  both.insert(both.end(), {20, 21, 22});
  CHECK(listed(select("normalization+last_layers", 3.0 / trainable, manifest, fresh)) == both);
  CHECK(ams::make_selection_strategy("normalization+last_layers", 3.0 / trainable)
            ->required_gradients(manifest) ==
        std::vector<bool>{false, true, true, false, false, true, true, true});
}

TEST_CASE("a group joined with a fraction: gamma of all, of largest |u|, beside the group") {
  const Manifest manifest = grouped_network();
  const std::size_t trainable = 21;
  std::vector<float> g(manifest.dimension(), 0.0F);
  for (const std::uint32_t i : grouped_normalization) g[i] = 1;  // moved most, but chosen anyway
  g[1] = 0.5F;
  g[13] = -0.25F;
  g[21] = 0.125F;
  const auto later = state_after_gradients(g);
  const auto chosen = [&](const char* name, double gamma) {
    std::vector<std::uint32_t> rest;
    for (const std::uint32_t i : listed(select(name, gamma, manifest, later))) {
      if (std::find(grouped_normalization.begin(), grouped_normalization.end(), i) ==
          grouped_normalization.end()) {
        rest.push_back(i);
      }
    }
    return rest;
  };
  using Indices = std::vector<std::uint32_t>;
  CHECK(chosen("normalization+gradient_guided", 2.0 / trainable) == Indices{1, 13});
  CHECK(chosen("normalization+gradient_guided", 3.0 / trainable) == Indices{1, 13, 21});
  CHECK(chosen("normalization_and_head+gradient_guided", 2.0 / trainable) ==
        Indices{1, 13, 20, 21, 22});
  const AdamState fresh(manifest.dimension());
  for (const char* name :
       {"normalization+gradient_guided", "normalization_and_head+gradient_guided"}) {
    const std::size_t group = std::string(name).find("head") == std::string::npos ? 8 : 11;
    // All that is left, when that is fewer than gamma of all.
    CHECK(select(name, 1, manifest, later) == select("full", 1, manifest, later));
    // At random before the first step.
    const auto set = select(name, 4.0 / trainable, manifest, fresh, 1);
    CHECK(set.size() == group + 4);
    CHECK(set == select(name, 4.0 / trainable, manifest, fresh, 1));
    CHECK_FALSE(set == select(name, 4.0 / trainable, manifest, fresh, 2));
    CHECK(CoordinateSet::unite(set, select("normalization", 1, manifest, fresh)) == set);
  }
}

TEST_CASE("beside a group the coordinates of the phase before stay, whatever has moved since") {
  const Manifest manifest = grouped_network();
  const double trainable = 21;
  const auto moved = [&](std::initializer_list<std::pair<std::uint32_t, float>> gradients) {
    std::vector<float> g(manifest.dimension(), 0.01F);
    for (const auto& [i, value] : gradients) g[i] = value;
    // Adam's first |u| is the same for all: two steps tell them apart.
    AdamState state = state_after_gradients(std::vector<float>(manifest.dimension(), 1.0F));
    std::vector<float> w(g.size());
    adam_step(state, {}, CoordinateSet::all(g.size()), w, g);
    return state;
  };
  const AdamState before = moved({{0, 1.0F}, {13, 1.0F}});
  const AdamState since = moved({{1, 1.0F}, {2, 1.0F}, {12, 1.0F}});
  const CoordinateSet group = select("normalization", 1, manifest, before);
  const auto beside = [&](const CoordinateSet& set) {
    std::vector<std::uint32_t> rest;
    set.for_each([&](std::uint32_t i) {
      if (i == 8 || i == 9) return;  // statistics
      if (CoordinateSet::unite(group, CoordinateSet::from_sorted(group.dimension(), {i})).size() >
          group.size())
        rest.push_back(i);
    });
    return rest;
  };
  const auto after = [&](const char* name, double count, const CoordinateSet* previous) {
    Random random(1);
    return ams::make_selection_strategy(name, count / trainable)
        ->select({manifest, since, {}, {}, previous}, random);
  };
  using Indices = std::vector<std::uint32_t>;
  const char* name = "normalization+gradient_guided";
  const CoordinateSet previous = select(name, 2 / trainable, manifest, before);
  CHECK(beside(previous) == Indices{0, 13});
  CHECK(after(name, 2, &previous) == previous);
  // A larger fraction takes those in that have moved most; a smaller one keeps the most moved.
  CHECK(beside(after(name, 5, &previous)) == Indices{0, 1, 2, 12, 13});
  const CoordinateSet larger = after(name, 5, &previous);
  CHECK(beside(after(name, 3, &larger)) == Indices{1, 2, 12});
  // Nothing to keep: as without a phase before.
  CHECK(after(name, 3, &group) == after(name, 3, nullptr));
  CHECK(beside(after(name, 3, nullptr)) == Indices{1, 2, 12});
  // What stays is of the phase before even where nothing has moved.
  AdamState none = moved({});
  std::fill(none.first_moment.begin(), none.first_moment.end(), 0.0F);
  none.first_moment[1] = 1;
  Random random(5);
  const CoordinateSet fewer = ams::make_selection_strategy(name, 3 / trainable)
                                  ->select({manifest, none, {}, {}, &larger}, random);
  CHECK(CoordinateSet::unite(fewer, larger) == larger);
  CHECK(beside(fewer) == Indices{0, 1, 2});
  const CoordinateSet of_another = CoordinateSet::all(7);
  expect_error(
      ErrorCode::invalid_argument, [&] { (void)after(name, 3, &of_another); }, "dimension 7");
  // The paper's chooses anew.
  CHECK(after("gradient_guided", 3, &previous) == after("gradient_guided", 3, nullptr));
  // On any set: what was there stays, and the group is always in.
  for (int round = 0; round < 50; ++round) {
    CoordinateSet some = random_coordinates(manifest.dimension(), 1 + random.below(12), random);
    const auto next = after(name, 6, &some);
    CHECK(CoordinateSet::unite(next, group) == next);
    CHECK(next.size() == group.size() + 6);
    // What was there stays; or, when it is more than fits, all that is there was.
    const Indices had = beside(some), has = beside(next);
    const auto& [all, part] = had.size() <= 6 ? std::tie(has, had) : std::tie(had, has);
    CHECK(std::includes(all.begin(), all.end(), part.begin(), part.end()));
  }
}

TEST_CASE("a fraction beside whatever else stays the same") {
  const Manifest manifest = grouped_network();
  const double trainable = 21;
  const auto group = [&] {
    return ams::make_selection_strategy("normalization+last_layers", 4 / trainable);
  };
  Random random(1);
  const AdamState fresh(manifest.dimension());
  const CoordinateSet base = group()->select({manifest, fresh, {}}, random);
  std::vector<float> g(manifest.dimension(), 0.0F);
  base.for_each([&](std::uint32_t i) { g[i] = 1; });  // moved most, but chosen anyway
  g[1] = 0.5F;
  g[2] = -0.25F;
  g[12] = 0.125F;
  const auto later = state_after_gradients(g);
  const auto choose = [&](double gamma, const CoordinateSet* previous = nullptr) {
    return ams::unite(group(), ams::gradient_guided(gamma))
        ->select({manifest, later, {}, {}, previous}, random);
  };
  const auto with = [&](std::initializer_list<std::uint32_t> more) {
    return CoordinateSet::unite(base, CoordinateSet::from_sorted(manifest.dimension(), more));
  };
  CHECK(choose(2 / trainable) == with({1, 2}));
  CHECK(choose(3 / trainable) == with({1, 2, 12}));
  const CoordinateSet previous = with({2, 12});
  CHECK(choose(2 / trainable, &previous) == previous);
  CHECK(choose(1) == select("full", 1, manifest, later));
  // The same as the strategy that has a name.
  for (const char* name : {"normalization", "normalization_and_head"}) {
    const auto mine =
        ams::unite(ams::make_selection_strategy(name, 1), ams::gradient_guided(3 / trainable));
    CHECK(mine->name() == std::string(name) + "+gradient_guided");
    CHECK(mine->select({manifest, later, {}}, random) ==
          select(mine->name().c_str(), 3 / trainable, manifest, later));
    CHECK(mine->required_gradients(manifest) ==
          ams::make_selection_strategy(mine->name(), 0.1)->required_gradients(manifest));
  }
  // At random before the first step.
  const CoordinateSet at_first =
      ams::unite(group(), ams::gradient_guided(3 / trainable))->select({manifest, fresh, {}}, random);
  CHECK(at_first.size() == base.size() + 3);
  CHECK(CoordinateSet::unite(at_first, base) == at_first);
  /// Of another network, whatever it is asked.
  class Stranger final : public ams::SelectionStrategy {
   public:
    CoordinateSet select(const ams::SelectionInput&, Random&) const override {
      return CoordinateSet::all(100);
    }
    std::vector<bool> required_gradients(const Manifest&) const override { return {}; }
    std::string name() const override { return "stranger"; }
  };
  const auto stranger = ams::unite(std::make_shared<Stranger>(), ams::gradient_guided(0.1));
  expect_error(
      ErrorCode::invalid_argument,
      [&] {
        (void)stranger->select({manifest, fresh, {}}, random);
      },
      "stranger", "100");
  expect_error(
      ErrorCode::invalid_argument, [&] { (void)ams::unite(nullptr, ams::gradient_guided(0.1)); }, "null");
  expect_error(
      ErrorCode::invalid_argument, [&] { (void)ams::gradient_guided(0); }, "gamma");
}

TEST_CASE("a learning rate of its own counts in |u|") {
  const Manifest manifest = grouped_network();
  const AdamState state = state_after_gradients(std::vector<float>(manifest.dimension(), 1.0F));
  const auto strategy = ams::make_selection_strategy("gradient_guided", 3.0 / 21);
  ams::AdamOptions options;
  options.multipliers.head = 2;
  Random random(1);
  const auto rates = ams::learning_rate_ranges(manifest, options);
  CHECK(listed(strategy->select({manifest, state, options, rates}, random)) ==
        std::vector<std::uint32_t>{20, 21, 22});
}

TEST_CASE("a model without the group is refused, and told what it lacks") {
  const Manifest plain = mixed_network();
  const AdamState fresh(plain.dimension());
  for (const char* name :
       {"normalization", "normalization_and_head", "normalization+last_layers",
        "normalization+gradient_guided", "normalization_and_head+gradient_guided"}) {
    const std::string group = std::string(name).substr(0, std::string_view(name).find('+'));
    expect_error(
        ErrorCode::invalid_argument, [&] { (void)select(name, 0.5, plain, fresh); }, group.c_str(),
        "normalisation layers");
    expect_error(
        ErrorCode::invalid_argument,
        [&] { (void)ams::make_selection_strategy(name, 0.5)->required_gradients(plain); },
        group.c_str());
  }
  const Manifest headless = plain.with_roles({.normalization = {"a"}, .head = {}});
  CHECK(listed(select("normalization", 0.5, headless, fresh)) ==
        std::vector<std::uint32_t>{0, 1, 2});
  expect_error(
      ErrorCode::invalid_argument,
      [&] { (void)select("normalization_and_head", 0.5, headless, fresh); }, "a head");
  // A statistic is no part of a group, whatever its role says.
  TensorSpec moving = tensor("moving", 3, TensorKind::statistic);
  moving.role = TensorRole::normalization;
  expect_error(ErrorCode::invalid_argument,
               [&] { (void)select("normalization", 0.5, Manifest({moving}), AdamState(3)); });
}

TEST_CASE("networks without anything to train") {
  const Manifest statistics({tensor("mean", 3, TensorKind::statistic)});
  for (const auto name : ams::selection_strategy_names()) {
    if (name.starts_with("normalization")) continue;  // refused, see above
    const auto strategy = ams::make_selection_strategy(name, 0.5);
    for (const Manifest* manifest : {&statistics}) {
      Random random(1);
      AdamState state(manifest->dimension());
      for (int phase = 0; phase < 2; ++phase, ++state.step_count) {
        const auto set = strategy->select({*manifest, state, {}}, random);
        CHECK(set.empty());
        CHECK(set.dimension() == manifest->dimension());
      }
      CHECK(strategy->required_gradients(*manifest) == std::vector<bool>{false});
    }
    Random random(1);
    CHECK(strategy->select({Manifest(), AdamState(), {}}, random) == CoordinateSet());
  }
}

TEST_CASE("strategies by name") {
  CHECK(ams::selection_strategy_names().size() == 11);
  for (const auto name : ams::selection_strategy_names()) {
    CHECK(ams::make_selection_strategy(name, 0.05)->name() == name);
    if (name == "full" || name == "normalization" || name == "normalization_and_head") continue;
    for (const double bad : {0.0, -1.0, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
      expect_error(
          ErrorCode::invalid_argument, [&] { (void)ams::make_selection_strategy(name, bad); },
          "gamma");
    }
  }
  for (const char* name : {"full", "normalization", "normalization_and_head"}) {
    CHECK(ams::make_selection_strategy(name, 0)->name() == name);
  }
  expect_error(
      ErrorCode::invalid_argument, [] { (void)ams::make_selection_strategy("best", 0.05); }, "best",
      "gradient_guided, normalization, normalization_and_head, normalization+last_layers, "
      "normalization+gradient_guided, normalization_and_head+gradient_guided, random, "
      "first_layers, last_layers, "
      "first_and_last_layers, full");
}

TEST_CASE("an Adam state of another network is refused") {
  const Manifest manifest = mixed_network();
  AdamState other(5);
  other.step_count = 1;
  expect_error(ErrorCode::invalid_argument,
               [&] { (void)select("gradient_guided", 0.5, manifest, other); });
}
