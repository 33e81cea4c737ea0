#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/policy/budget/downlink_budget.hpp"
#include "ams/policy/budget/error_feedback.hpp"
#include "ams/policy/budget/update_ladder.hpp"
#include "ams/policy/learning_rates.hpp"
#include "ams/policy/pace.hpp"

namespace ams {

/// What a session with a downlink budget is told.
struct BudgetOptions {
  PaceOptions pace = {};
  DownlinkBudgetOptions budget = {};
  /// Its multipliers are times those that the policy chooses.
  AdamOptions adam = {.learning_rate = recommended_learning_rate};
  bool learning_rates_by_size = true;  ///< as FixedOptions
};

namespace budget_detail {

/// How an update may be written, from fine to coarse (profile compact). Steps are powers of two;
/// dead zones lie between them. Finer than the first adds bytes and no accuracy; behind the last
/// little is left.
inline std::vector<EncodeOptions> ways() {
  struct Way {
    double relative_step, dead_zone;
  };
  constexpr std::array all = {Way{0.125, 0.5}, Way{0.25, 0.5}, Way{0.5, 0.5}, Way{1, 0.5},
                              Way{1, 0.75},    Way{2, 0.5},    Way{2, 0.65},  Way{2, 0.8},
                              Way{2, 1},       Way{2, 1.25},   Way{2, 1.5},   Way{2, 2}};
  std::vector<EncodeOptions> result;
  for (const Way& way : all) {
    EncodeOptions options{.profile = UpdateProfile::compact};
    options.compact.relative_step = way.relative_step;
    options.compact.dead_zone = way.dead_zone;
    result.push_back(options);
  }
  return result;
}
inline constexpr std::size_t usual_way = 3;

/// An update that keeps less of the movement than this is not worth its headers and a model swap.
inline constexpr double least_kept = 0.05;

/// What a connection costs the downlink before Welcome (docs/protocol.md, "What is counted").
/// Bytes.
inline constexpr std::size_t connection_bytes = 960;

/// A message as the wire has it, without headers. Bytes.
inline std::size_t message_bytes(const ServerMessage& message) {
  constexpr std::size_t welcome_bytes = 72, other_bytes = 14;
  if (const auto* update = std::get_if<Update>(&message)) return update->bytes.size();
  if (const auto* snapshot = std::get_if<Snapshot>(&message)) return snapshot->bytes.size();
  if (const auto* part = std::get_if<SnapshotPart>(&message)) return part->bytes.size();
  if (std::holds_alternative<Welcome>(message)) return welcome_bytes;
  if (const auto* fault = std::get_if<Fault>(&message)) return other_bytes + fault->message.size();
  if (const auto* bye = std::get_if<Bye>(&message)) return other_bytes + bye->reason.size();
  return other_bytes;
}

/// Role by role, at most 1e6 each.
inline LearningRateMultipliers multiplied(const LearningRateMultipliers& a,
                                          const LearningRateMultipliers& b) {
  constexpr double most = 1e6;
  return {std::min(a.weight * b.weight, most), std::min(a.normalization * b.normalization, most),
          std::min(a.head * b.head, most)};
}

}  // namespace budget_detail

/// Makes the best of a downlink budget: chooses for every phase what is trained and how fast it
/// learns (UpdateLadder), and writes every update as finely as its allowance takes
/// (DownlinkBudget). What an update leaves out begins the next phase (ErrorFeedback). What quiet
/// times leave over goes out when the scene changes (SceneChange).
class BudgetPolicy final : public PacedPolicy {
 public:
  /// Throws Error(invalid_argument), naming the option and its range.
  explicit BudgetPolicy(BudgetOptions options) : PacedPolicy(options.pace), options_(options) {
    validate(options_.adam);
    validate(options_.budget);
  }

  void prepare(const ModelState& initial) override {
    PacedPolicy::prepare(initial);
    ladder_.emplace(initial.manifest());
    if (options_.learning_rates_by_size) {
      scales_ = learning_rate_scales(initial.manifest(), initial.values());
    }
  }

  void start(double now_seconds) override {
    PacedPolicy::start(now_seconds);
    budget_.emplace(options_.budget, now_seconds);
  }

  PhasePlan plan(const PhaseContext& context, Random& random) override {
    const Manifest& manifest = context.held.manifest();
    choice_ = ladder_->choose(budget_->steady_bytes(update_interval_seconds()));
    PhasePlan plan = plan_at_pace(context);
    plan.adam = options_.adam;
    plan.adam.multipliers = budget_detail::multiplied(plan.adam.multipliers, choice_.multipliers);
    plan.learning_rates = learning_rate_ranges(manifest, plan.adam, scales_);
    plan.coordinates =
        choice_.strategy->select({manifest, context.adam, plan.adam, plan.learning_rates}, random);
    plan.required_gradients = choice_.gradients->required_gradients(manifest);
    error_feedback_.add_to(plan.parameters, plan.coordinates);
    manifest_ = context.held.manifest_ptr();
    coordinates_ = plan.coordinates;
    return plan;
  }

  EncodePlan encode(double now_seconds, std::span<const double>) override {
    const std::size_t allowance =
        budget_->allowance_bytes(now_seconds, update_interval_seconds(), is_new_scene());
    return {
        .ways = budget_detail::ways(),
        .usual = budget_detail::usual_way,
        .max_bytes = static_cast<double>(allowance) < UpdateLadder::header_bytes ? 0 : allowance,
        .least_kept = budget_detail::least_kept};
  }

  void on_trained(const TrainingReport& report) override {
    PacedPolicy::on_trained(report);
    started_elsewhere_ = report.scores != nullptr && report.scores->start != 0;
  }

  void on_written(const WriteReport& report) override {
    if (started_elsewhere_) {
      error_feedback_ = {};  // of a state that was left
    } else {
      ladder_->learn(choice_, *manifest_, report.usual_bytes);
    }
    error_feedback_.remember(report.held, report.trained,
                             started_elsewhere_ ? report.coordinates : coordinates_);
    PacedPolicy::on_written(report);
  }

  void on_replaced() override {
    error_feedback_ = {};
    PacedPolicy::on_replaced();
  }

  void on_connected(double now_seconds) override {
    budget_->owe(now_seconds, budget_detail::connection_bytes);
  }

  /// A new update spends its allowance. All else, and an update that an absent device gets late, is
  /// owed.
  void on_sent(const ServerMessage& message, bool is_repeated, double now_seconds) override {
    const std::size_t bytes = budget_detail::message_bytes(message);
    if (std::holds_alternative<Update>(message) && !is_repeated) {
      budget_->spend(now_seconds, bytes, update_interval_seconds());
    } else {
      budget_->owe(now_seconds,
                   bytes + static_cast<std::size_t>(std::ceil(budget_->options().overhead_bytes)));
    }
  }

  /// What the latest phase trains, for reports. Only after plan().
  const SelectionStrategy& strategy() const { return *choice_.strategy; }

  double slowest_link_bps() const override { return options_.budget.budget_bps; }

 private:
  BudgetOptions options_;
  std::vector<double> scales_;            // of learning rates, one for each tensor; empty: 1
  std::optional<UpdateLadder> ladder_;    // from prepare() on
  std::optional<DownlinkBudget> budget_;  // from start() on
  ErrorFeedback error_feedback_;

  // Of the latest phase.
  UpdateLadder::Choice choice_;
  std::shared_ptr<const Manifest> manifest_;
  CoordinateSet coordinates_;
  bool started_elsewhere_ = false;
};

}  // namespace ams
