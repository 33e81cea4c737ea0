#pragma once

#include "ams/policy/budget/downlink_budget.hpp"
#include "ams/policy/pace.hpp"
#include "option_fields.hpp"

/// The fields of policies' options.
namespace ams::python {

inline Fields<PaceOptions> pace_fields() {
  using O = PaceOptions;
  Fields<O> fields;
  fields
      .add("update_interval_seconds", &O::update_interval_seconds,
           "T_update, 0.1 to 3600; the base when it is adapted")
      .add("iterations", &O::iterations, "K at most, 1 to 10000")
      .add("batch_size", &O::batch_size, "samples of a mini-batch, 1 to 4096")
      .add("least_spacing", &O::least_spacing,
           "a phase begins when new labels are there, so many T_update after the one before at the "
           "earliest, 0.001 to 1")
      .add("min_samples", &O::min_samples,
           "the first phase waits for so many labelled samples, >= 1")
      .add("horizon_seconds", &O::horizon_seconds, "T_horizon, > 0")
      .add("buffer_samples", &O::buffer_samples,
           "a mini-batch is of no more than the newest so many samples of T_horizon; 0: as many as "
           "max_fps gives in a minute or a T_update, and 60 at least")
      .add("recency_seconds", &O::recency_seconds,
           "half of a mini-batch is of the newest so many seconds; 0: all of T_horizon alike")
      .add("trainer_share", &O::trainer_share,
           "a phase takes no more than this share of T_update, its waiting included: first K "
           "shrinks, "
           "then T_update grows; 0: both stay")
      .add("start_states", &O::start_states,
           "tried before each phase besides what the device holds: the un-customised student, and "
           "what was held when the latest scenes ended; 0 to 64")
      .add("adapt_sampling_rate", &O::adapt_sampling_rate,
           "equation (1); False: always initial_fps")
      .include(sampling_rate_fields(), [](O & o) -> auto& { return o.sampling; },
               {{"interval_seconds", "sampling_interval_seconds"}})
      .add("adapt_training_rate", &O::adapt_training_rate,
           "appendix D; False: T_update never changes")
      .include(training_rate_fields(), [](O & o) -> auto& { return o.training_rate; },
               {{"step_seconds", "slow_step_seconds"},
                {"max_factor", "slow_max_factor"},
                {"window", "slow_window"}});
  return fields;
}

inline Fields<DownlinkBudgetOptions> budget_fields() {
  using O = DownlinkBudgetOptions;
  Fields<O> fields;
  fields
      .add("budget_bps", &O::budget_bps,
           "what the downlink may carry, the mean over a window with every byte counted; 50 to 1e9")
      .add("link_bps", &O::link_bps,
           "what the link takes: no update is larger than this times T_update; at least the "
           "budget; 0: four times that")
      .add("window_seconds", &O::window_seconds, "of the mean, >= 1")
      .add("overhead_bytes", &O::overhead_bytes,
           "that an update costs besides its own: message, chunk, WebSocket and TLS headers; >= 0");
  return fields;
}

}  // namespace ams::python
