#include "ams/server/update_planner.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/policy/recommended_multipliers.hpp"

namespace ams {
namespace {

// Bits a coordinate takes at the usual step, measured on recorded drives. What comes again and again
// is cheap; of a fraction that is chosen anew, which coordinates they are costs most.
constexpr double group_bits = 1;
constexpr double kept_bits = 2.5;
constexpr double full_bits = 1.5;
constexpr double header_bytes = 24;

double new_bits(double fraction) {
  const double rest = 1 - fraction;
  return 0.7 * (-std::log2(fraction) - rest / fraction * std::log2(rest));
}

/// How many of `chosen` are not in `before`.
std::size_t count_new(const CoordinateSet& chosen, const CoordinateSet& before) {
  std::vector<bool> known(before.dimension());
  before.for_each([&](std::uint32_t i) { known[i] = true; });
  std::size_t count = 0;
  chosen.for_each([&](std::uint32_t i) { count += i >= known.size() || !known[i]; });
  return count;
}

/// Whether every gradient there is was computed: statistics have none.
bool computes_all(const std::vector<bool>& computed, const Manifest& manifest) {
  for (std::size_t t = 0; t < computed.size(); ++t) {
    if (manifest.tensors()[t].kind == TensorKind::parameter && !computed[t]) return false;
  }
  return true;
}

// How many times too large a rung's updates may be (Rung::coarseness). Writing coarsely costs a
// group little: at 1 Kbps both groups, written coarsely, are better than scales alone; and than the
// last layers beside them, written more coarsely still. A fraction that has to be written coarsely
// takes bytes from the groups, where they are worth more.
constexpr double group_coarseness = 4;
constexpr double last_layers_coarseness = 1.6;
constexpr double guided_coarseness = 1;

// A group that was trained stays worth it for so many times larger updates: going back and forth
// changes how fast its layers learn, which costs more than either of both.
constexpr double staying_coarseness = 1.5;

constexpr double fractions[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};

/// How much of the model's end is trained beside the normalisation layers.
constexpr double last_layers = 0.02;

/// How an update may be written, from fine to coarse. Steps are powers of two; dead zones lie
/// between them. Finer than the first adds bytes and no accuracy; behind the last little is left.
struct Coarseness {
  double relative_step, dead_zone;
};
constexpr std::array ways = {Coarseness{0.125, 0.5}, Coarseness{0.25, 0.5}, Coarseness{0.5, 0.5},
                             Coarseness{1, 0.5},     Coarseness{1, 0.75},   Coarseness{2, 0.5},
                             Coarseness{2, 0.65},    Coarseness{2, 0.8},    Coarseness{2, 1},
                             Coarseness{2, 1.25},    Coarseness{2, 1.5},    Coarseness{2, 2}};
constexpr std::size_t usual_way = 3;

/// An update that keeps less of the movement than this is not worth its headers and a model swap.
constexpr double least_kept = 0.05;

EncodeOptions options_of(const Coarseness& way) {
  EncodeOptions options;
  options.profile = UpdateProfile::compact;
  options.compact.relative_step = way.relative_step;
  options.compact.dead_zone = way.dead_zone;
  return options;
}

struct Trial {
  std::size_t bytes;
  double kept;  ///< of the sum of the parameters' movements
};

Trial try_way(const ModelState& held, std::span<const float> trained,
              const CoordinateSet& coordinates, const Coarseness& way) {
  ModelState copy = held;
  Trial trial{encode_update(copy, trained, coordinates, options_of(way)).size(), 0};
  double wanted = 0, moved = 0;
  auto tensor = held.manifest().tensors().begin();
  coordinates.for_each([&](std::uint32_t i) {
    while (i >= tensor->offset + tensor->size) ++tensor;
    if (tensor->kind == TensorKind::statistic) return;  // written finely in every way
    wanted += std::abs(double(trained[i]) - double(held.values()[i]));
    moved += std::abs(double(copy.values()[i]) - double(held.values()[i]));
  });
  trial.kept = wanted > 0 ? moved / wanted : 1;
  return trial;
}

}  // namespace

UpdatePlanner::UpdatePlanner(std::shared_ptr<const Manifest> manifest,
                             const DownlinkBudgetOptions& budget, double start_seconds)
    : budget_(budget, start_seconds) {
  if (!manifest) throw Error(ErrorCode::invalid_argument, "UpdatePlanner: the manifest is null");
  std::size_t normalization = 0, head = 0, trainable = 0, before_head = 0;
  for (const TensorSpec& tensor : manifest->tensors()) {
    if (tensor.kind != TensorKind::parameter) continue;
    if (tensor.role == TensorRole::normalization) normalization += tensor.size;
    if (tensor.role == TensorRole::head) {
      if (head == 0) before_head = trainable;
      head += tensor.size;
    }
    trainable += tensor.size;
  }
  const auto n = static_cast<double>(trainable);
  const auto add_group = [&](const std::string& name, double gamma, double size,
                             double coarseness) {
    ladder_.push_back({.strategy = make_selection_strategy(name, gamma),
                       .multipliers = recommended_multipliers(name, gamma),
                       .group_bytes = size * group_bits / 8,
                       .coarseness = coarseness,
                       .before_moments = ladder_.size()});
  };
  const bool has_groups = normalization > 0 && head > 0;
  const double last = last_layers * n;
  // Else the classifier alone is as much, or lies before them.
  const bool has_last_layers = has_groups && n - static_cast<double>(before_head) < last;
  const auto scales = static_cast<double>(normalization);
  double group = 0;  // of the richest
  if (has_groups) {
    add_group("normalization", 1, scales, group_coarseness);
    group = scales + static_cast<double>(head);
    add_group("normalization_and_head", 1, group, group_coarseness);
  }
  if (has_last_layers) {
    group = std::min(n, scales + last);
    add_group("normalization+last_layers", last_layers, group, last_layers_coarseness);
  }
  const std::size_t richest_group = has_groups ? ladder_.size() - 1 : 0;
  const std::string guided =
      has_groups ? "normalization_and_head+gradient_guided" : "gradient_guided";
  for (const double fraction : fractions) {
    std::shared_ptr<const SelectionStrategy> strategy;
    LearningRateMultipliers multipliers;
    if (has_last_layers) {
      strategy = with_gradient_guided(
          make_selection_strategy("normalization+last_layers", last_layers), fraction);
      // The last layers' weights have no role of their own, and so the fraction's rate: theirs, and
      // less where the fraction is large.
      multipliers = recommended_multipliers("normalization+last_layers", last_layers);
      multipliers.weight = std::min(multipliers.weight, 4 / std::sqrt(fraction));
    } else {
      strategy = make_selection_strategy(guided, fraction);
      multipliers = recommended_multipliers(guided, fraction);
    }
    ladder_.push_back({.strategy = std::move(strategy),
                       .multipliers = multipliers,
                       .group_bytes = group * group_bits / 8,
                       .guided_bytes = std::min(fraction * n, n - group) *
                                       (has_groups ? kept_bits : new_bits(fraction)) / 8,
                       .is_kept = has_groups,
                       .coarseness = guided_coarseness,
                       .before_moments = has_groups ? richest_group : ladder_.size()});
  }
  ladder_.push_back({.strategy = make_selection_strategy("full", 1),
                     .multipliers = recommended_multipliers("full", 1),
                     .guided_bytes = n * full_bits / 8,
                     .coarseness = guided_coarseness,
                     .before_moments = ladder_.size()});
}

double UpdatePlanner::expected_bytes(const Rung& rung) const {
  return header_bytes + group_scale_ * rung.group_bytes + guided_scale_ * rung.guided_bytes;
}

UpdatePlanner::Choice UpdatePlanner::choose(double update_interval_seconds) const {
  const double steady = budget_.steady_bytes(update_interval_seconds);
  std::size_t best = 0;
  for (std::size_t i = 1; i < ladder_.size(); ++i) {
    const double stays = trained_group_ == i ? staying_coarseness : 1;
    if (expected_bytes(ladder_[i]) <= stays * ladder_[i].coarseness * steady) best = i;
  }
  const std::size_t trained = has_moments_ ? best : ladder_[best].before_moments;
  return {ladder_[trained].strategy, ladder_[best].strategy, ladder_[trained].multipliers, trained};
}

/// From what an update of this rung would have had at the usual step.
void UpdatePlanner::learn(const Rung& rung, const CoordinateSet& coordinates,
                          std::size_t usual_bytes) {
  const auto follow = [](double& scale, double measured, double expected) {
    scale += 0.3 * (std::clamp(measured / std::max(expected, 1.0), 0.1, 10.0) - scale);
  };
  const double body = static_cast<double>(usual_bytes) - header_bytes;
  if (rung.guided_bytes > 0) {
    const double measured = body - group_scale_ * rung.group_bytes;
    // One that says where many coordinates are does so once. Those to come are smaller: it can show
    // that they are cheap, but not that they are dear.
    const bool says_where =
        rung.is_kept && count_new(coordinates, written_) > coordinates.size() / 50;
    if (says_where && measured > guided_scale_ * rung.guided_bytes) return;
    follow(guided_scale_, measured, rung.guided_bytes);
  } else {
    follow(group_scale_, body, rung.group_bytes);
  }
}

std::optional<EncodeOptions> UpdatePlanner::fit(const Choice& choice, const ModelState& held,
                                                std::span<const float> trained,
                                                const CoordinateSet& coordinates,
                                                double now_seconds, double update_interval_seconds,
                                                bool scene_changed) {
  const std::size_t allowance =
      budget_.allowance_bytes(now_seconds, update_interval_seconds, scene_changed);
  const auto attempt = [&](std::size_t way) {
    return try_way(held, trained, coordinates, ways[way]);
  };
  const auto write = [&](std::size_t way) {
    written_ = coordinates;
    return options_of(ways[way]);
  };
  std::size_t way = usual_way;
  Trial trial = attempt(way);
  learn(ladder_[choice.rung], coordinates, trial.bytes);
  trained_group_.reset();
  if (ladder_[choice.rung].guided_bytes == 0) trained_group_ = choice.rung;
  has_moments_ =
      computes_all(choice.gradients->required_gradients(held.manifest()), held.manifest());
  if (trial.bytes <= allowance) {
    while (way > 0 && attempt(way - 1).bytes <= allowance) --way;
    return write(way);
  }
  if (static_cast<double>(allowance) < header_bytes) return std::nullopt;
  // The finest that fits: the coarser, the smaller.
  std::size_t fits = ways.size();
  while (fits - way > 1) {
    const std::size_t middle = (way + fits) / 2;
    const Trial next = attempt(middle);
    if (next.bytes > allowance) {
      way = middle;
    } else {
      fits = middle;
      trial = next;
    }
  }
  if (fits == ways.size() || trial.kept < least_kept) return std::nullopt;
  return write(fits);
}

void UpdatePlanner::spend(double now_seconds, std::size_t update_bytes,
                          double update_interval_seconds) {
  budget_.spend(now_seconds, update_bytes, update_interval_seconds);
}

void UpdatePlanner::owe(double now_seconds, std::size_t bytes) {
  budget_.owe(now_seconds, bytes);
}

void UpdatePlanner::owe_message(double now_seconds, std::size_t message_bytes) {
  owe(now_seconds,
      message_bytes + static_cast<std::size_t>(std::ceil(budget_.options().overhead_bytes)));
}

}  // namespace ams
