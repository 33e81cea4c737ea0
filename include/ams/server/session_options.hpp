#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "ams/core/adam.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/policy/budget/downlink_budget.hpp"

namespace ams {

/// Everything that can be set about one device's session. The defaults are the paper's
/// (section 4.1) where it gives any.
struct SessionOptions {
  std::uint64_t session_id = 1;  ///< goes to the device in Welcome, for its logs

  // ---- training (Algorithm 1) ----
  double horizon_seconds = 240;         ///< T_horizon, > 0
  double update_interval_seconds = 10;  ///< T_update, 0.1 to 3600; the base when it is adapted
  std::size_t iterations = 20;          ///< K, 1 to 10000
  std::size_t batch_size = 8;           ///< samples a mini-batch, 1 to 4096
  std::size_t min_samples = 4;  ///< the first phase waits for so many labelled samples, >= 1
  AdamOptions adam = {};  ///< with a downlink_budget its multipliers are times the session's own

  /// Tensors whose values are small at the beginning learn less fast (with_learning_rates_by_size()), so
  /// that one learning rate suits most networks. false: as in the paper.
  bool learning_rates_by_size = true;

  /// Chooses the coordinates of every phase; null means gradient_guided with gamma = 5%.
  std::shared_ptr<const SelectionStrategy> strategy = nullptr;

  /// Of updates; ignored with a downlink_budget.
  EncodeOptions encode = {};

  /// What the downlink may carry. Then the session chooses the coordinates of every phase, how fast
  /// they learn (recommended_multipliers()) and the format of every update itself (UpdatePlanner),
  /// and `strategy` must be null.
  std::optional<DownlinkBudgetOptions> downlink_budget = std::nullopt;
  int snapshot_zstd_level = 3;  ///< 1 to 19

  // ---- rates (section 3.2, appendix D) ----
  SamplingRateOptions sampling = {};
  bool adapt_sampling_rate = true;  ///< false: always sampling.initial_fps
  TrainingRateOptions training_rate =
      {};                            ///< its base interval is replaced by update_interval_seconds
  bool adapt_training_rate = false;  ///< false: T_update never changes

  // ---- resuming ----
  std::size_t max_history_updates = 4096;  ///< updates kept for a device that comes back
  /// And their bytes: a device that has missed more gets a snapshot. 0: about what a snapshot has.
  std::size_t max_history_bytes = 0;
  std::size_t max_updates_in_flight = 4;  ///< no phase begins while so many await their Ack, >= 1
  /// A device that owes an Ack longer is disconnected, > 0. Besides, what is on its way has the time
  /// that it takes at the downlink budget, or at 8 Kbps where there is none.
  double ack_timeout_seconds = 300;
  /// Sent in answer to wrong acks and refusals, without a good Ack of an update between, >= 1.
  std::size_t max_consecutive_snapshots = 4;

  // ---- what a device may make the server hold ----
  std::size_t max_buffer_samples = 4096;     ///< in the replay buffer, >= 1; the newest ones stay
  std::size_t max_buffer_bytes = 1UL << 30;  ///< of them, when the session knows their size
  std::size_t max_pending_batches = 8;       ///< being labelled; more are dropped and counted, >= 1
  std::size_t max_frames_per_batch = 256;    ///< >= 1; what decode_samples() takes by default
  std::size_t max_bitstream_bytes = 8UL << 20;  ///< of one batch, >= 1; likewise

  std::uint64_t seed = 0;  ///< of mini-batches and random coordinates
};

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const SessionOptions& options);

}  // namespace ams
