#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/random.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/training_job.hpp"

namespace ams {

/// What a policy may look at when it says when a phase begins and plans it.
struct PhaseContext {
  double now_seconds = 0;
  const ModelState& held;                      ///< what the device holds, or will
  const AdamState& adam;                       ///< as the latest phase left it
  std::optional<double> latest_begin_seconds;  ///< of the latest phase; nothing before the first
  std::size_t samples = 0;                     ///< labelled so far
  std::size_t new_samples = 0;  ///< of them, since the latest phase began; at least 1
};

/// One training phase: where it starts, what it trains, how fast and on how much.
struct PhasePlan {
  std::vector<float> parameters;                  ///< w_{n,0}; dimension values
  CoordinateSet coordinates;                      ///< I_n
  std::vector<bool> required_gradients;           ///< one for each tensor of the manifest
  AdamOptions adam;                               ///< alpha, beta1, beta2, epsilon
  std::vector<LearningRateRange> learning_rates;  ///< where the rate differs from alpha
  std::size_t iterations = 20;                    ///< K, 1 to 10000
  std::size_t batch_size = 8;                     ///< samples of a mini-batch, 1 to 4096
  double recency_seconds = 0;                     ///< as HorizonReplayBuffer::draw()
  /// Other states to start from, the un-customised student first. They are tried on the newest
  /// labels (StartTrial).
  std::vector<OtherStart> other_starts;
};

/// How a phase went, before its update is written.
struct TrainingReport {
  double seconds = 0;  ///< from its becoming due to its end, by the driver's clock; waiting counts
  std::size_t iterations = 0;           ///< K
  std::span<const double> losses;       ///< as TrainingResult
  const StartScores* scores = nullptr;  ///< of the plan's other starts; null where none were tried
};

/// How an update may be written. The finest way that fits is taken.
struct EncodePlan {
  static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

  std::vector<EncodeOptions> ways{EncodeOptions{}};  ///< from fine to coarse, at least one
  std::size_t usual = 0;                             ///< index of the way that is tried first
  std::size_t max_bytes = no_limit;                  ///< of the update
  /// The update is withheld when it keeps less than this share of the parameters' movement, [0, 1].
  double least_kept = 0;
};

/// What came of a phase's update.
struct WriteReport {
  bool is_withheld = false;          ///< no way fitted; the device keeps its version
  std::size_t bytes = 0;             ///< of the update; 0 when withheld
  std::size_t usual_bytes = 0;       ///< that the usual way has
  const CoordinateSet& coordinates;  ///< written, with the statistics that changed
  std::span<const float> held;       ///< what the device will hold
  std::span<const float> trained;    ///< w_{n,K}
};

/// Decides for one session what a phase trains, how its update is written, and at what pace: all
/// that Algorithm 1 leaves open or the paper fixes. Everything clever is behind it.
///
/// A session owns one and calls it from one thread at a time. A policy keeps no clock.
class UpdatePolicy {
 public:
  virtual ~UpdatePolicy() = default;

  // ---- before the first event ----

  /// The session begins with this model. Throws Error(invalid_argument) when the policy does not
  /// fit it. Called once, before everything else.
  virtual void prepare(const ModelState& initial) = 0;

  /// The time of the session's first event.
  virtual void start(double now_seconds) { (void)now_seconds; }

  /// T_horizon: samples older than this, against the newest, are forgotten. Seconds, above 0.
  virtual double horizon_seconds() const { return 240; }

  /// And all but the newest so many, >= 1. SessionLimits may allow fewer.
  virtual std::size_t buffer_samples() const { return static_cast<std::size_t>(-1); }

  // ---- pace ----

  /// What the device is told: samples a second, and T_update.
  virtual double sampling_rate_fps() const = 0;
  virtual double update_interval_seconds() const = 0;

  /// Whether phi-scores are wanted. The task computes none otherwise.
  virtual bool wants_phi() const { return false; }
  /// Two consecutive samples have this phi-score.
  virtual void on_phi(double phi) { (void)phi; }
  /// Whether the sampling rate is to be decided on now. Asked when samples have come.
  virtual bool rate_due(double now_seconds) const {
    (void)now_seconds;
    return false;
  }
  /// The mean phi-score since the latest decision.
  virtual void decide_rate(double now_seconds, double mean_phi) {
    (void)now_seconds;
    (void)mean_phi;
  }

  /// When the next phase may begin; now_seconds or earlier: at once. Nothing: more samples must
  /// come.
  virtual std::optional<double> next_phase_seconds(const PhaseContext& context) const = 0;

  // ---- a phase ----

  /// A phase begins. Draws random numbers from `random` alone. Throws Error.
  virtual PhasePlan plan(const PhaseContext& context, Random& random) = 0;

  /// The phase has ended well. encode() follows.
  virtual void on_trained(const TrainingReport& report) { (void)report; }

  /// How to write the update of the phase that has ended. Cheap: trials run elsewhere. `losses`:
  /// one for each mini-batch, or none where the trainer computes no loss.
  virtual EncodePlan encode(double now_seconds, std::span<const double> losses) {
    (void)now_seconds;
    (void)losses;
    return {};
  }

  /// What came of it.
  virtual void on_written(const WriteReport& report) { (void)report; }

  /// The phase gave nothing: it failed, or the device had left.
  virtual void on_phase_lost() {}

  /// The device gets another state, by hand, than the phases led to.
  virtual void on_replaced() {}

  // ---- the downlink ----

  /// A connection was made.
  virtual void on_connected(double now_seconds) { (void)now_seconds; }

  /// A message leaves. is_repeated: an update that was written earlier and is sent once more, or
  /// for the first time to a device that was away.
  virtual void on_sent(const ServerMessage& message, bool is_repeated, double now_seconds) {
    (void)message;
    (void)is_repeated;
    (void)now_seconds;
  }

  /// A downlink that carries less than this is called broken when an Ack stays away. Bits a second.
  virtual double slowest_link_bps() const { return 8000; }
};

}  // namespace ams
