#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/update_policy.hpp"

namespace ams {

/// When and how much: T_update, K, T_horizon, and both rates. The defaults are the paper's
/// (section 4.1) where it gives any.
struct PaceOptions {
  double update_interval_seconds = 10;  ///< T_update, 0.1 to 3600; the base when it is adapted
  std::size_t iterations = 20;          ///< K, 1 to 10000
  std::size_t batch_size = 8;           ///< samples of a mini-batch, 1 to 4096
  std::size_t min_samples = 4;   ///< the first phase waits for so many labelled samples, >= 1
  double horizon_seconds = 240;  ///< T_horizon, 0.001 to 1e9
  SamplingRateOptions sampling = {};
  bool adapt_sampling_rate = true;         ///< equation (1); false: always sampling.initial_fps
  TrainingRateOptions training_rate = {};  ///< its base is replaced by update_interval_seconds
  bool adapt_training_rate = false;        ///< appendix D; false: T_update never changes
};

/// Throws Error(invalid_argument), naming the field and its range.
inline void validate(const PaceOptions& options) {
  // Written so that NaN is out of range.
  const auto require = [](const char* field, auto value, auto lowest, auto highest) {
    if (value >= lowest && value <= highest) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} is {}; allowed is {} to {}", field, value, lowest, highest));
  };
  const auto require_count = [&](const char* field, std::size_t value, std::size_t highest) {
    require(field, value, std::size_t{1}, highest);
  };
  require("horizon_seconds", options.horizon_seconds, 1e-3, 1e9);
  require("update_interval_seconds", options.update_interval_seconds, min_update_interval_seconds,
          max_update_interval_seconds);
  require_count("iterations", options.iterations, 10000);
  require_count("batch_size", options.batch_size, 4096);
  require_count("min_samples", options.min_samples, static_cast<std::size_t>(-1));
  validate(options.sampling);
  require("sampling.min_fps", options.sampling.min_fps, min_sampling_rate_fps,
          max_sampling_rate_fps);
  require("sampling.max_fps", options.sampling.max_fps, min_sampling_rate_fps,
          max_sampling_rate_fps);
  TrainingRateOptions training_rate = options.training_rate;
  training_rate.base_interval_seconds = options.update_interval_seconds;
  validate(training_rate);
  if (options.adapt_training_rate) {
    // Devices must accept the longest T_update that they may be told.
    require("training_rate.max_factor * update_interval_seconds",
            options.training_rate.max_factor * options.update_interval_seconds,
            options.update_interval_seconds, max_update_interval_seconds);
  }
}

/// The paper's pace, for policies that keep it: equation (1) sets the sampling rate, appendix D
/// T_update, and a phase begins every T_update. A plain value; not thread-safe.
class Pace {
 public:
  /// Throws Error(invalid_argument).
  explicit Pace(PaceOptions options)
      : options_((validate(options), options)),
        sampling_(options_.sampling),
        training_rate_(with_base(options_)) {}

  const PaceOptions& options() const noexcept { return options_; }

  /// The first decision on the sampling rate is due delta_t after this.
  void start(double now_seconds) {
    sampling_ = SamplingRateController(options_.sampling, now_seconds);
  }

  double sampling_rate_fps() const noexcept { return sampling_.rate_fps(); }
  double update_interval_seconds() const noexcept {
    return options_.adapt_training_rate ? training_rate_.interval_seconds()
                                        : options_.update_interval_seconds;
  }

  bool rate_due(double now_seconds) const noexcept {
    return options_.adapt_sampling_rate && sampling_.due(now_seconds);
  }

  /// Equation (1), every delta_t; appendix D follows the sampling rate.
  void decide_rate(double now_seconds, double mean_phi) {
    const double rate = sampling_.decide(now_seconds, mean_phi);
    if (options_.adapt_training_rate) training_rate_.observe(rate);
  }

  /// T_update after the latest phase; the first one as soon as min_samples are there.
  std::optional<double> next_phase_seconds(const PhaseContext& context) const {
    if (context.latest_begin_seconds) {
      return *context.latest_begin_seconds + update_interval_seconds();
    }
    if (context.samples < options_.min_samples) return std::nullopt;
    return context.now_seconds;
  }

  /// An update was sent.
  void count_update() noexcept {
    if (options_.adapt_training_rate) training_rate_.advance();
  }

 private:
  static TrainingRateOptions with_base(const PaceOptions& options) {
    TrainingRateOptions result = options.training_rate;
    result.base_interval_seconds = options.update_interval_seconds;
    return result;
  }

  PaceOptions options_;
  SamplingRateController sampling_;
  TrainingRateController training_rate_;
};

/// What every policy with this pace has in common. Derive from it and say what a phase trains and
/// how its update is written.
class PacedPolicy : public UpdatePolicy {
 public:
  const Pace& pace() const noexcept { return pace_; }

  void start(double now_seconds) override { pace_.start(now_seconds); }
  double horizon_seconds() const override { return pace_.options().horizon_seconds; }
  double sampling_rate_fps() const override { return pace_.sampling_rate_fps(); }
  double update_interval_seconds() const override { return pace_.update_interval_seconds(); }
  bool wants_phi() const override { return pace_.options().adapt_sampling_rate; }
  bool rate_due(double now_seconds) const override { return pace_.rate_due(now_seconds); }
  void decide_rate(double now_seconds, double mean_phi) override {
    pace_.decide_rate(now_seconds, mean_phi);
  }
  std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
    return pace_.next_phase_seconds(context);
  }
  void on_written(const WriteReport& report) override {
    if (!report.is_withheld) pace_.count_update();
  }

 protected:
  explicit PacedPolicy(PaceOptions options) : pace_(options) {}

  /// A plan of K mini-batches that starts from what the device holds.
  PhasePlan plan_at_pace(const PhaseContext& context) const {
    PhasePlan plan;
    plan.parameters.assign(context.held.values().begin(), context.held.values().end());
    plan.iterations = pace_.options().iterations;
    plan.batch_size = pace_.options().batch_size;
    return plan;
  }

 private:
  Pace pace_;
};

}  // namespace ams
