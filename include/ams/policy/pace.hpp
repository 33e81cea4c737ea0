#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/policy/earlier_states.hpp"
#include "ams/policy/scene_change.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/update_policy.hpp"

namespace ams {

/// When and how much: T_update, K, T_horizon, what a mini-batch is made of, and both rates. The
/// defaults are libams's own: many small updates. paper_pace() is the paper's.
struct PaceOptions {
  double update_interval_seconds = 2;  ///< T_update, 0.1 to 3600; the base when it is adapted
  std::size_t iterations = 8;          ///< K at most, 1 to 10000
  std::size_t batch_size = 8;          ///< samples of a mini-batch, 1 to 4096
  /// A phase begins when new labels are there, so many T_update after the one before at the
  /// earliest, 0.001 to 1. At 1 labels wait up to a whole T_update; below it phases follow the
  /// buffers that bring them.
  double least_spacing = 0.5;
  std::size_t min_samples = 1;   ///< the first phase waits for so many labelled samples, >= 1
  double horizon_seconds = 240;  ///< T_horizon, 0.001 to 1e9
  /// A mini-batch is of no more than the newest so many samples of T_horizon. 0: as many as r_max
  /// gives in a minute or a T_update, and 60 at least. A slow scene, which is sampled less often,
  /// is then remembered for longer than a minute.
  std::size_t buffer_samples = 0;
  /// Half of a mini-batch is of the newest so many seconds, 0 to 1e9; 0: all of T_horizon alike.
  double recency_seconds = 10;
  /// A phase takes no more than this share of T_update, waiting for its turn included: on a slow or
  /// busy trainer K shrinks first, down to Pace::min_iterations, and T_update grows after that. [0,
  /// 1]; 0: K and T_update stay.
  double trainer_share = 0.75;
  /// States that are tried before each phase besides what the device holds, which the phase may
  /// start from (EarlierStates): the un-customised student, and what was held when the latest
  /// scenes ended. Each takes as much memory as the model. 0 to 64; 0: none.
  std::size_t start_states = 1;
  SamplingRateOptions sampling = {};
  bool adapt_sampling_rate = true;         ///< equation (1); false: always sampling.initial_fps
  TrainingRateOptions training_rate = {};  ///< its base is replaced by update_interval_seconds
  bool adapt_training_rate = false;  ///< appendix D; false: T_update follows the trainer alone
};

/// The pace of section 4.1: 20 iterations every 10 s on the last 240 s, drawn uniformly.
inline PaceOptions paper_pace() {
  PaceOptions pace;
  pace.update_interval_seconds = 10;
  pace.iterations = 20;
  pace.least_spacing = 1;
  pace.min_samples = 4;
  pace.buffer_samples = 4096;  // T_horizon alone counts
  pace.recency_seconds = 0;
  pace.trainer_share = 0;
  pace.start_states = 0;
  return pace;
}

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
  require("least_spacing", options.least_spacing, 1e-3, 1.0);
  require("recency_seconds", options.recency_seconds, 0.0, 1e9);
  require("trainer_share", options.trainer_share, 0.0, 1.0);
  require("start_states", options.start_states, std::size_t{0}, std::size_t{64});
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

/// When phases begin, and with how many iterations: a phase follows every buffer, which leaves
/// every T_update; equation (1) sets the sampling rate, appendix D T_update, and the trainer's own
/// speed K. A plain value; not thread-safe.
class Pace {
 public:
  /// The fewest iterations that K shrinks to.
  static constexpr std::size_t min_iterations = 2;

  /// Throws Error(invalid_argument).
  explicit Pace(PaceOptions options)
      : options_((validate(options), options)),
        sampling_(options_.sampling),
        training_rate_(with_base(options_)),
        iterations_(options_.iterations) {}

  const PaceOptions& options() const noexcept { return options_; }

  /// The first decision on the sampling rate is due delta_t after this.
  void start(double now_seconds) {
    sampling_ = SamplingRateController(options_.sampling, now_seconds);
  }

  double sampling_rate_fps() const noexcept { return sampling_.rate_fps(); }

  /// T_update.
  double update_interval_seconds() const noexcept {
    const double wanted = options_.adapt_training_rate ? training_rate_.interval_seconds()
                                                       : options_.update_interval_seconds;
    return std::min(std::max(wanted, options_.update_interval_seconds * stretch_),
                    max_update_interval_seconds);
  }

  /// K of the next phase.
  std::size_t iterations() const noexcept { return iterations_; }

  bool rate_due(double now_seconds) const noexcept {
    return options_.adapt_sampling_rate && sampling_.due(now_seconds);
  }

  /// Equation (1), every delta_t; appendix D follows the sampling rate.
  void decide_rate(double now_seconds, double mean_phi) {
    const double rate = sampling_.decide(now_seconds, mean_phi);
    if (options_.adapt_training_rate) training_rate_.observe(rate);
  }

  /// The first one as soon as min_samples are there, the others least_spacing after the latest.
  std::optional<double> next_phase_seconds(const PhaseContext& context) const {
    if (context.latest_begin_seconds) {
      return *context.latest_begin_seconds + options_.least_spacing * update_interval_seconds();
    }
    if (context.samples < options_.min_samples) return std::nullopt;
    return context.now_seconds;
  }

  /// A phase of so many iterations took so long, waiting for its turn included.
  void on_trained(double seconds, std::size_t iterations) {
    if (options_.trainer_share == 0 || iterations == 0) return;
    const double one = seconds / static_cast<double>(iterations);
    const double allowed = options_.trainer_share * options_.update_interval_seconds;
    // At most twice as many as before: one quick phase says little.
    const std::size_t most = std::min(options_.iterations, 2 * iterations_);
    const std::size_t least = std::min(min_iterations, options_.iterations);
    iterations_ = one * static_cast<double>(most) <= allowed
                      ? most
                      : std::max(least, static_cast<std::size_t>(allowed / one));
    // In whole steps, so that the device is told rarely.
    stretch_ = std::max(1.0, std::ceil(one * static_cast<double>(least) / allowed));
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
  std::size_t iterations_;
  double stretch_ = 1;  // T_update in units of the base, for a trainer that takes longer
};

/// What every policy with a pace has in common. Derive from it and say what a phase trains and how
/// its update is written.
class PacedPolicy : public UpdatePolicy {
 public:
  const Pace& pace() const noexcept { return pace_; }

  void prepare(const ModelState& initial) override {
    const std::size_t states = pace_.options().start_states;
    if (states > 0) earlier_.emplace(initial.values(), states - 1);
  }

  void start(double now_seconds) override { pace_.start(now_seconds); }
  double horizon_seconds() const override { return pace_.options().horizon_seconds; }
  std::size_t buffer_samples() const override {
    const PaceOptions& pace = pace_.options();
    if (pace.buffer_samples > 0) return pace.buffer_samples;
    const double seconds = std::max(60.0, pace.update_interval_seconds);
    return static_cast<std::size_t>(std::ceil(std::max(60.0, pace.sampling.max_fps * seconds)));
  }
  double sampling_rate_fps() const override { return pace_.sampling_rate_fps(); }
  double update_interval_seconds() const override { return pace_.update_interval_seconds(); }
  bool wants_phi() const override {
    return pace_.options().adapt_sampling_rate || earlier_.has_value();
  }
  void on_phi(double phi) override { scene_.on_phi(phi); }
  bool rate_due(double now_seconds) const override { return pace_.rate_due(now_seconds); }
  void decide_rate(double now_seconds, double mean_phi) override {
    pace_.decide_rate(now_seconds, mean_phi);
  }
  std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
    return pace_.next_phase_seconds(context);
  }
  void on_trained(const TrainingReport& report) override {
    pace_.on_trained(report.seconds, report.iterations);
    if (earlier_ && report.scores != nullptr) earlier_->on_scores(*report.scores);
  }
  void on_written(const WriteReport& report) override {
    if (report.is_withheld) {
      scene_.take_back_phase();
    } else {
      pace_.count_update();
    }
  }
  void on_phase_lost() override { scene_.take_back_phase(); }
  void on_replaced() override {
    if (earlier_) earlier_->on_replaced();
  }

 protected:
  explicit PacedPolicy(PaceOptions options)
      : pace_(options), scene_(std::max(0.0, options.sampling.phi_target)) {}

  /// What the video shows is new to the latest phase.
  bool is_new_scene() const noexcept { return scene_.in_phase(); }

  /// A plan of K mini-batches that starts from what the device holds, unless another state is
  /// better.
  PhasePlan plan_at_pace(const PhaseContext& context) {
    const PaceOptions& options = pace_.options();
    scene_.begin_phase();
    PhasePlan plan;
    plan.parameters.assign(context.held.values().begin(), context.held.values().end());
    plan.iterations = pace_.iterations();
    plan.batch_size = options.batch_size;
    plan.recency_seconds = options.recency_seconds;
    if (earlier_) {
      plan.other_starts = earlier_->starts();
      // What the device holds was trained on the scene that has ended. Once: a phase that gave
      // nothing meets the same scene again.
      const std::uint32_t version = context.held.version().number;
      if (is_new_scene() && version != remembered_version_) {
        earlier_->remember(context.held.values());
        remembered_version_ = version;
      }
    }
    return plan;
  }

 private:
  Pace pace_;
  SceneChange scene_;
  std::optional<EarlierStates> earlier_;  // from prepare() on
  std::optional<std::uint32_t> remembered_version_;
};

}  // namespace ams
