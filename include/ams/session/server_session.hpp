#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/bytes.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/handle.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/phi_score.hpp"
#include "ams/core/random.hpp"
#include "ams/core/replay_buffer.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/model_feed.hpp"
#include "ams/session/session_options.hpp"
#include "ams/session/task.hpp"
#include "ams/session/text.hpp"
#include "ams/session/training_job.hpp"
#include "ams/session/update_policy.hpp"
#include "ams/session/write_update.hpp"

namespace ams {

// ---- actions: what a driver does for a ServerSession ----

/// Send to the device, in order, after whatever was sent before.
struct SendToDevice {
  ServerMessage message;
};

/// Decode and label these frames, then call on_labelled() or on_label_failed(). Batches may be
/// labelled at the same time and may be answered in any order.
struct LabelBatch {
  std::uint64_t batch_id = 0;
  std::vector<double> capture_seconds;  ///< one per frame, strictly ascending
  Bytes bitstream;                      ///< H.264 Annex B: hostile until decoded
};

/// A training phase is due: get the session a turn on the trainer, then call begin_phase(). Comes
/// once for each phase. A device that says goodbye meanwhile withdraws it: ask training_due() when
/// the turn has come.
struct TrainingDue {};

/// Send what is queued, then close the connection and call on_disconnect().
struct DisconnectDevice {
  std::string reason;
};

using ServerAction = std::variant<SendToDevice, LabelBatch, TrainingDue, DisconnectDevice>;
using ServerActions = std::vector<ServerAction>;

/// One labelled frame.
struct TimedSample {
  double capture_seconds = 0;  ///< of the frame, as in LabelBatch
  Handle sample;               ///< of Task::sample()
  Bytes label = {};            ///< of Task::pack_label(), for a store; empty: it is not kept
};

/// A batch in the replay buffer, as a store keeps it: frames as they came, labels packed.
struct LabelledBatch {
  std::uint64_t batch_id = 0;
  std::vector<double> capture_seconds;  ///< of its frames, strictly ascending
  double offset_seconds = 0;            ///< from capture time to the session's timeline
  Bytes bitstream;                      ///< H.264 Annex B: hostile until decoded
  std::vector<Bytes> labels;            ///< Task::pack_label() of each frame; empty: it has none
};

/// What a session has done so far.
struct SessionCounters {
  std::uint64_t connections = 0;
  std::uint64_t resumed_in_step = 0;
  std::uint64_t resumed_with_updates = 0;
  std::uint64_t resumed_with_snapshot = 0;
  std::uint64_t batches = 0;           ///< taken
  std::uint64_t batch_bytes = 0;       ///< of bitstream
  std::uint64_t batches_repeated = 0;  ///< sent again by the device, ignored
  std::uint64_t batches_dropped = 0;   ///< too many were waiting for their labels
  std::uint64_t batches_failed = 0;    ///< could not be decoded or labelled
  std::uint64_t samples = 0;           ///< labelled and in the replay buffer
  std::uint64_t samples_dropped = 0;   ///< too old or too large for it
  std::uint64_t phases = 0;            ///< that gave an update
  std::uint64_t phases_failed = 0;
  std::uint64_t phases_withheld = 0;   ///< their update did not fit into the downlink budget
  std::uint64_t phases_abandoned = 0;  ///< nobody wanted their result: the device had left, ...
  double phase_seconds = 0;            ///< sum over `phases`
  std::uint64_t iterations = 0;        ///< training steps of phases that ended well
  std::uint64_t updates = 0;           ///< encoded; each counted once
  std::uint64_t update_bytes = 0;
  std::uint64_t update_coordinates = 0;  ///< values in them
  std::uint64_t updates_sent_again = 0;  ///< after a reconnection
  std::uint64_t snapshots = 0;           ///< sent
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t acks = 0;
  std::uint64_t acks_wrong = 0;  ///< named a version that the server never sent
  std::uint64_t refusals = 0;
  std::uint64_t faults = 0;    ///< connections ended for a protocol violation
  std::uint64_t trials = 0;    ///< phases that tried other states to start from (StartTrial)
  std::uint64_t restarts = 0;  ///< of them, those that started from an earlier state
  std::uint64_t restarts_initial = 0;  ///< and those that started from the un-customised student
  double score_held = 0;     ///< running score of what the device holds, on labels that it was not
                             ///< trained on, [0, 1]; 0 before the first trial
  double score_initial = 0;  ///< and of the un-customised student on the same labels
};

/// What a store keeps of a session (runtime/session_store.hpp): what the device holds, the updates
/// for a device that is behind, and what training needs to go on. Rates and the policy's own memory
/// begin anew.
struct SessionRecord {
  std::string device_id;
  ModelState held;
  AdamState adam;
  std::uint64_t last_batch_id = 0;
  SessionCounters counters;
  std::vector<PublishedUpdate> history;  ///< as ModelFeed::history()
  std::vector<LabelledBatch> samples = {};  ///< as ServerSession::kept_batches()
  bool is_paused = false;                   ///< as set_paused() says
};

/// Algorithm 1 for one device, as a state machine without I/O, clock or threads: events go in,
/// actions come out. It owns what the device holds, the replay buffer and Adam's memory, and lives
/// on while the device is away. What a phase trains, when, and how its update is written is the
/// policy's decision (UpdatePolicy); what a sample is, the task's (Task).
///
/// Time: now_seconds is the driver's clock, finite (else Error(invalid_argument)); a clock that
/// steps back is taken to stand still. Capture times are the device's. The session maps them to a
/// timeline of its own that only moves forward, also when a restarted device begins again at 0.
///
/// Whatever a device sends, no event throws: a message that breaks the protocol gives Fault and
/// DisconnectDevice, and the session's model and samples stay as they were. Calls that the driver
/// may not make throw Error(invalid_argument) and change nothing. Not thread-safe. Movable.
class ServerSession {
 public:
  /// initial: w_0. Throws Error(invalid_argument) on options out of range, a null task or policy, a
  /// state without manifest, and what UpdatePolicy::prepare() throws.
  ServerSession(ModelState initial, std::shared_ptr<const Task> task,
                std::unique_ptr<UpdatePolicy> policy, SessionOptions options = {});

  /// Goes on from what record() gave. initial: w_0, as above. Throws likewise. The replay buffer is
  /// empty: label each of kept_batches() again, with its own labels, and call on_restored(). A
  /// batch that does not check out is dropped.
  ServerSession(SessionRecord record, const ModelState& initial, std::shared_ptr<const Task> task,
                std::unique_ptr<UpdatePolicy> policy, SessionOptions options = {});

  // ---- events: the connection ----

  /// Dispatches to the five below.
  ServerActions on_message(DeviceMessage message, double now_seconds);

  /// First message of a connection. When an older connection of the device is still open, call
  /// on_disconnect() for it first. The token is the driver's to check.
  ServerActions on_hello(const Hello& hello, double now_seconds);
  ServerActions on_frame_batch(FrameBatch batch, double now_seconds);
  ServerActions on_ack(const Ack& ack, double now_seconds);
  ServerActions on_refusal(const Refusal& refusal, double now_seconds);

  /// The device leaves for good, as far as it knows. Until it comes back no phase begins, and the
  /// result of one that runs is not used: what the device took along stays what held() says.
  ServerActions on_bye(const Bye& bye, double now_seconds);

  /// The connection is gone. No effect when there is none.
  ServerActions on_disconnect(double now_seconds);

  // ---- events: labelling ----

  /// Samples of a LabelBatch action: capture times from that batch, strictly ascending; frames
  /// without a label may be left out.
  ServerActions on_labelled(std::uint64_t batch_id, std::vector<TimedSample> samples,
                            double now_seconds);
  ServerActions on_label_failed(std::uint64_t batch_id, double now_seconds);

  /// The samples of one of kept_batches(), after a restart, as on_labelled() takes them; none: they
  /// cannot be read, and the batch is dropped. They count as seen. Does nothing for a batch that is
  /// not kept or is in the buffer already.
  void on_restored(std::uint64_t batch_id, std::vector<TimedSample> samples, double now_seconds);

  // ---- events: training ----

  /// The phase that TrainingDue announced, with the newest samples. One phase is out at a time.
  /// Throws Error(invalid_argument) unless training_due(), and what UpdatePolicy::plan() throws;
  /// nothing has changed then.
  TrainingJob begin_phase(double now_seconds);

  /// What on_trained() gives.
  struct Trained {
    std::optional<UpdateJob> job;  ///< hand it to write_update(), then call on_written()
    ServerActions actions;         ///< where there is no job: the phase has ended
  };

  /// The phase is trained. Asks the policy how to write the update. A result that is not finite
  /// counts as a failed phase. Throws Error(invalid_argument) when no phase is out or sizes are
  /// wrong.
  Trained on_trained(TrainingResult result, double now_seconds);

  /// The update is written: moves held() and sends it. Throws Error(invalid_argument) unless
  /// on_trained() gave a job.
  ServerActions on_written(WrittenUpdate written, double now_seconds);

  /// on_trained(), write_update() and on_written() at once, for drivers that need no second thread.
  /// An update that cannot be written counts as a failed phase.
  ServerActions on_phase_done(TrainingResult result, double now_seconds);

  /// The phase that is due or out has failed: nothing is lost but the phase. The next one comes
  /// after T_update; while the device is away, only when new samples come. Throws
  /// Error(invalid_argument) when no phase is due or out.
  ServerActions on_phase_failed(const Error& error, double now_seconds);

  // ---- by hand ----

  /// While paused no phase begins, and the result of one that runs is not used: the device keeps
  /// its model. Labelling goes on.
  ServerActions set_paused(bool is_paused, double now_seconds);
  bool is_paused() const noexcept { return is_paused_; }

  /// Gives the device these values as its next version, whole, in order after what was sent before;
  /// a device that is away gets them when it comes back. The result of a phase that runs is not
  /// used. Adam begins anew. Throws Error(invalid_argument) on values that are not those of the
  /// model.
  ServerActions replace_model(std::vector<float> values, double now_seconds);

  // ---- time ----

  ServerActions on_time(double now_seconds);

  /// When on_time() is wanted next; nothing while the session waits for other events.
  std::optional<double> next_wake_seconds() const;

  // ---- state ----

  /// What the device holds, or will.
  const ModelState& held() const noexcept { return feed_.held(); }

  /// The same, to keep while it moves on.
  const std::shared_ptr<const ModelState>& held_ptr() const noexcept { return feed_.held_ptr(); }

  /// Of Task::sample(); empty while there is none.
  Handle newest_sample() const;

  /// For a store.
  SessionRecord record() const;

  /// For a store that is to know first: what record() gives once on_written() has taken this
  /// update. Throws Error(invalid_argument) for one that is withheld.
  SessionRecord record_with(const WrittenUpdate& written) const;

  /// Likewise, of replace_model() with these values; throws as it does.
  SessionRecord record_with(std::vector<float> values) const;

  /// The newest batches of the replay buffer whose labels are packed (TimedSample::label), oldest
  /// first: as many as the buffer uses, within SessionLimits::max_record_sample_bytes.
  std::vector<LabelledBatch> kept_batches() const;

  /// What the device last said that it holds.
  ModelVersion confirmed() const noexcept { return feed_.confirmed(); }

  /// Between a good Hello and the connection's end.
  bool connected() const noexcept { return link_ == Link::connected; }

  /// TrainingDue came and begin_phase() is still to be called.
  bool training_due() const noexcept { return phase_ == Phase::due; }

  /// begin_phase() was called and the result is still to come.
  bool phase_running() const noexcept {
    return phase_ == Phase::running || phase_ == Phase::writing;
  }
  double sampling_rate_fps() const { return policy_->sampling_rate_fps(); }
  double update_interval_seconds() const {
    return policy_->update_interval_seconds();
  }  ///< T_update
  std::size_t buffered_samples() const { return replay_->size(); }
  std::size_t pending_batches() const noexcept { return pending_.size(); }  ///< being labelled
  double last_event_seconds() const noexcept { return now_seconds_; }

  /// Empty before the first good Hello.
  const std::string& device_id() const noexcept { return device_id_; }

  /// Why the latest phase, batch or connection failed, or what the device refused.
  const std::string& last_error() const noexcept { return last_error_; }
  const SessionCounters& counters() const noexcept { return counters_; }
  const SessionOptions& options() const noexcept { return options_; }
  const Task& task() const noexcept { return *task_; }
  const UpdatePolicy& policy() const noexcept { return *policy_; }

 private:
  /// initial: null where held_state is it.
  ServerSession(ModelState held_state, const ModelState* initial, std::shared_ptr<const Task> task,
                std::unique_ptr<UpdatePolicy> policy, SessionOptions options);

  enum class Link {
    none,
    connected,
    closing,  // DisconnectDevice was given, on_disconnect() is to come
  };
  enum class Phase {
    idle,
    due,      // TrainingDue was given, begin_phase() is to come
    running,  // begin_phase() was called, on_trained() is to come
    writing,  // on_trained() gave a job, on_written() is to come
  };
  struct Batch {
    std::uint64_t id = 0;
    std::vector<double> capture_seconds;
    double offset_seconds = 0;    // from capture time to the session's timeline
    bool is_continuation = true;  // of the video of the batch before
    bool is_answered = false;
    std::vector<TimedSample> samples;
    Bytes bitstream;  // only where it may be kept
  };
  struct KeptBatch {
    LabelledBatch batch;
    std::size_t bytes = 0;
    std::size_t samples = 0;
    bool is_in_buffer = true;  // not while a restarted server has still to decode it
  };

  /// phi-score by the task.
  struct TaskPhi {
    std::shared_ptr<const Task> task;
    std::optional<double> operator()(const Handle& current, const Handle& previous) const {
      return task->phi(previous, current);
    }
  };

  PhaseContext context() const;
  void advance(double now_seconds);
  void poll(ServerActions& actions);
  std::optional<double> next_phase_seconds() const;
  std::optional<double> ack_deadline_seconds() const;
  void announce_rates(ServerActions& actions);
  void send(ServerMessage message, ServerActions& actions, bool is_repeated = false);
  void close(ServerMessage farewell, const std::string& reason, ServerActions& actions);
  void fault(ErrorCode code, const std::string& message, ServerActions& actions);
  void heal(const ModelFeed::Answer& answer, ServerActions& actions);
  bool expect_connected(const char* message_name, ServerActions& actions);
  void place_on_timeline(Batch& batch);
  Batch& unanswered_batch(std::uint64_t batch_id);
  void take_answered_batches();
  void take_sample(TimedSample timed, const Batch& batch);
  void keep(LabelledBatch batch, bool is_in_buffer);
  void restore_batches(std::vector<LabelledBatch> batches);
  void decide_sampling_rate();
  void take_scores(TrainingResult& result);
  bool is_phase_unwanted() const noexcept {
    return has_left_ || is_paused_ || is_phase_outdated_;
  }
  void take_back_phase();
  void phase_failed(const std::string& reason);
  ServerActions end_phase();
  void publish(WrittenUpdate& written, ServerActions& actions);
  std::shared_ptr<const ModelState> replacement(std::vector<float> values) const;

  SessionOptions options_;
  std::shared_ptr<const Task> task_;
  std::unique_ptr<UpdatePolicy> policy_;
  ModelFeed feed_;
  Link link_ = Link::none;
  std::string device_id_;
  double now_seconds_ = 0;
  bool has_time_ = false;

  // Samples. Behind a pointer because a buffer that is safe to share cannot move.
  std::unique_ptr<HorizonReplayBuffer<Handle>> replay_;
  std::deque<Batch> pending_;
  std::deque<KeptBatch> kept_;
  std::size_t kept_bytes_ = 0, kept_samples_ = 0;
  std::uint64_t last_batch_id_ = 0;
  bool has_timeline_ = false;
  double timeline_offset_seconds_ = 0;  // of the newest batch
  double timeline_end_seconds_ = 0;     // of the newest frame announced
  double timeline_moved_seconds_ = 0;   // now_seconds_ then
  double newest_sample_seconds_ = 0;    // on the session's timeline
  std::size_t new_samples_ = 0;         // since the latest phase began
  PhiScoreTracker<Handle, TaskPhi> phi_;

  // What the device was told.
  double announced_rate_fps_ = 0;
  double announced_interval_seconds_ = 0;

  // Training.
  AdamState adam_;
  Random random_;
  Phase phase_ = Phase::idle;
  bool is_paused_ = false;
  bool is_phase_outdated_ = false;             // the model was replaced since it began
  bool has_left_ = false;                      // the device said goodbye and has not come back
  bool latest_phase_failed_ = false;           // and no sample has come since
  std::optional<double> phase_begin_seconds_;  // of the latest phase
  double phase_due_seconds_ = 0;               // likewise
  CoordinateSet phase_coordinates_;
  std::vector<OtherStart> phase_starts_;
  std::size_t phase_iterations_ = 0;
  std::size_t phase_new_samples_ = 0;

  std::string last_error_;
  SessionCounters counters_;
};

// ---- implementation ----

namespace session_detail {

/// Of the newest, that other states to start from are tried on.
inline constexpr std::size_t max_trial_samples = 4;

/// A jump of the device's timeline beyond this, or any jump back, is a new beginning. Seconds.
inline constexpr double max_gap_seconds = 86400;

/// Whether a store gives what record() can have given.
inline bool is_sound(const LabelledBatch& batch) {
  const std::vector<double>& times = batch.capture_seconds;
  if (times.empty() || times.size() != batch.labels.size() || batch.bitstream.empty()) return false;
  if (!(std::abs(batch.offset_seconds) <= 10 * max_capture_seconds)) return false;  // or NaN
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (!(times[i] >= 0 && times[i] <= max_capture_seconds)) return false;
    if (i > 0 && times[i] <= times[i - 1]) return false;
  }
  return true;
}

inline bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

/// An update that is sent.
inline void count(const WrittenUpdate& written, SessionCounters& counters) {
  ++counters.phases;
  counters.phase_seconds += written.phase_seconds;
  ++counters.updates;
  counters.update_bytes += written.bytes.size();
  counters.update_coordinates += written.coordinates.size();
}

/// Throws what the device is told.
inline void check_hello(const Hello& hello, const Manifest& manifest,
                        const std::string& known_device_id) {
  if (hello.version != protocol_version) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("Hello: protocol version {}; this server speaks {}", hello.version,
                            protocol_version));
  }
  if (!is_device_id(hello.device_id)) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("Hello: device id of {} bytes; allowed are 1 to {} of UTF-8 without "
                            "control characters",
                            hello.device_id.size(), max_device_id_bytes));
  }
  if (!known_device_id.empty() && hello.device_id != known_device_id) {
    throw Error(ErrorCode::protocol_violation, "Hello: this session belongs to another device");
  }
  if (hello.manifest_digest != manifest.digest()) {
    throw Error(
        ErrorCode::manifest_mismatch,
        fmt::format("Hello: the device's student has manifest {:016x}; this server teaches {:016x}",
                    hello.manifest_digest, manifest.digest()));
  }
}

/// Throws what the device is told.
inline void check_frame_batch(const FrameBatch& batch, std::uint64_t last_batch_id,
                              const SessionLimits& limits) {
  const auto refuse = [](ErrorCode code, const std::string& message) {
    throw Error(code, "FrameBatch: " + message);
  };
  const std::vector<double>& times = batch.capture_seconds;
  const std::uint64_t highest = std::min(max_batch_id - 1, last_batch_id + max_batch_id_gap);
  if (batch.batch_id < 1 || batch.batch_id > highest) {
    refuse(ErrorCode::malformed_data,
           fmt::format("batch id {}; allowed are 1 to {}", batch.batch_id, highest));
  }
  if (times.empty() || times.size() > limits.max_frames_per_batch) {
    refuse(ErrorCode::limit_exceeded, fmt::format("{} frames; allowed are 1 to {}", times.size(),
                                                  limits.max_frames_per_batch));
  }
  if (batch.bitstream.empty() || batch.bitstream.size() > limits.max_bitstream_bytes) {
    refuse(ErrorCode::limit_exceeded,
           fmt::format("bitstream of {} bytes; allowed are 1 to {}", batch.bitstream.size(),
                       limits.max_bitstream_bytes));
  }
  for (std::size_t i = 0; i < times.size(); ++i) {
    // Written so that NaN is out of range.
    if (!(times[i] >= 0 && times[i] <= max_capture_seconds)) {
      refuse(ErrorCode::malformed_data,
             fmt::format("capture time {}; allowed are 0 to {} s", times[i], max_capture_seconds));
    }
    if (i > 0 && times[i] <= times[i - 1]) {
      refuse(ErrorCode::malformed_data,
             fmt::format("capture time {} after {}; they must ascend", times[i], times[i - 1]));
    }
  }
  if (times.back() - times.front() > max_batch_span_seconds) {
    refuse(ErrorCode::malformed_data,
           fmt::format("its frames span {} s; allowed are {}", times.back() - times.front(),
                       max_batch_span_seconds));
  }
}

/// Why a result cannot be used; empty when it can. Throws Error(invalid_argument) on wrong sizes.
inline std::string unusable_reason(const TrainingResult& result, std::size_t dimension,
                                   std::size_t other_starts) {
  if (result.parameters.size() != dimension || result.adam.first_moment.size() != dimension ||
      result.adam.second_moment.size() != dimension) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("ServerSession::on_phase_done: parameters and moments must have {} values",
                    dimension));
  }
  if (result.scores) {
    const StartScores& scores = *result.scores;
    const auto in_range = [](double score) { return score >= 0 && score <= 1; };  // NaN is not
    if (other_starts == 0 || scores.others.size() != other_starts || scores.start > other_starts ||
        !in_range(scores.held) ||
        !std::all_of(scores.others.begin(), scores.others.end(), in_range)) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("ServerSession::on_phase_done: scores must be of the trial's {} other "
                      "states, in [0, 1]",
                      other_starts));
    }
  }
  const auto finite = [](double loss) { return std::isfinite(loss); };
  if (!std::all_of(result.losses.begin(), result.losses.end(), finite)) {
    return "training diverged: a loss is not finite";
  }
  if (!all_finite(result.adam.first_moment) || !all_finite(result.adam.second_moment)) {
    return "training diverged: a moment of Adam is not finite";
  }
  return {};
}

inline ModelFeedOptions feed_options(const SessionOptions& options) {
  ModelFeedOptions feed;
  feed.snapshot_zstd_level = options.snapshot_zstd_level;
  feed.max_history_updates = options.limits.max_history_updates;
  feed.max_history_bytes = options.limits.max_history_bytes;
  feed.max_consecutive_snapshots = options.limits.max_consecutive_snapshots;
  return feed;
}

template <class Pointer>
Pointer not_null(Pointer pointer, const char* what) {
  if (pointer) return pointer;
  throw Error(ErrorCode::invalid_argument, std::string("ServerSession: the ") + what + " is null");
}

}  // namespace session_detail

inline ServerSession::ServerSession(ModelState initial, std::shared_ptr<const Task> task,
                                    std::unique_ptr<UpdatePolicy> policy, SessionOptions options)
    : ServerSession(std::move(initial), nullptr, std::move(task), std::move(policy), options) {}

inline ServerSession::ServerSession(ModelState held_state, const ModelState* initial,
                                    std::shared_ptr<const Task> task,
                                    std::unique_ptr<UpdatePolicy> policy, SessionOptions options)
    : options_((validate(options), options)),
      task_(session_detail::not_null(std::move(task), "task")),
      policy_(session_detail::not_null(std::move(policy), "policy")),
      feed_(std::move(held_state), session_detail::feed_options(options_)),
      phi_(TaskPhi{task_}),
      random_(options_.seed) {
  if (initial != nullptr &&
      (!initial->manifest_ptr() || initial->manifest().digest() != held().manifest().digest())) {
    throw Error(ErrorCode::manifest_mismatch,
                "ServerSession: the initial state is of another model than the record");
  }
  policy_->prepare(initial != nullptr ? *initial : held());
  replay_ = std::make_unique<HorizonReplayBuffer<Handle>>(
      ReplayBufferOptions{
          policy_->horizon_seconds(),
          std::min(policy_->buffer_samples(), options_.limits.max_buffer_samples),
          options_.limits.max_buffer_bytes},
      [kept = task_](const Handle& sample) { return kept->size_bytes(sample); });
  adam_ = AdamState(held().manifest().dimension());
}

inline ServerSession::ServerSession(SessionRecord record, const ModelState& initial,
                                    std::shared_ptr<const Task> task,
                                    std::unique_ptr<UpdatePolicy> policy, SessionOptions options)
    : ServerSession(std::move(record.held), &initial, std::move(task), std::move(policy), options) {
  const std::size_t dimension = held().manifest().dimension();
  if (record.adam.first_moment.size() != dimension ||
      record.adam.second_moment.size() != dimension) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("SessionRecord: Adam's moments must have {} values", dimension));
  }
  device_id_ = std::move(record.device_id);
  adam_ = std::move(record.adam);
  last_batch_id_ = record.last_batch_id;
  counters_ = record.counters;
  is_paused_ = record.is_paused;
  feed_.restore_history(std::move(record.history));
  restore_batches(std::move(record.samples));
  // Other numbers than those that were drawn before.
  random_ = Random(mix64(options_.seed ^ counters_.phases));
}

inline SessionRecord ServerSession::record() const {
  return {device_id_,     held(),    adam_,
          last_batch_id_, counters_, {feed_.history().begin(), feed_.history().end()},
          kept_batches(), is_paused_};
}

inline SessionRecord ServerSession::record_with(const WrittenUpdate& written) const {
  if (!written.next) {
    throw Error(ErrorCode::invalid_argument, "ServerSession::record_with: the update is withheld");
  }
  SessionRecord after = record();
  after.held = *written.next;
  after.adam = written.adam;
  session_detail::count(written, after.counters);
  after.history.push_back({held().version(), written.bytes});
  return after;
}

inline SessionRecord ServerSession::record_with(std::vector<float> values) const {
  SessionRecord after = record();
  after.held = *replacement(std::move(values));
  after.adam = AdamState(held().manifest().dimension());
  after.history.clear();
  return after;
}

inline std::vector<LabelledBatch> ServerSession::kept_batches() const {
  std::vector<LabelledBatch> batches;
  for (const KeptBatch& kept : kept_) batches.push_back(kept.batch);
  return batches;
}

inline PhaseContext ServerSession::context() const {
  return {now_seconds_, held(), adam_, phase_begin_seconds_, counters_.samples, new_samples_};
}

inline void ServerSession::advance(double now_seconds) {
  if (!std::isfinite(now_seconds)) {
    throw Error(ErrorCode::invalid_argument, "ServerSession: now_seconds must be finite");
  }
  if (!has_time_) {
    policy_->start(now_seconds);
    now_seconds_ = timeline_moved_seconds_ = now_seconds;
    has_time_ = true;
  }
  now_seconds_ = std::max(now_seconds_, now_seconds);
}

/// When the next phase may begin, as far as is known now.
inline std::optional<double> ServerSession::next_phase_seconds() const {
  if (phase_ != Phase::idle || new_samples_ == 0 || has_left_ || is_paused_) return std::nullopt;
  // Nobody waits for what fails over and over.
  if (latest_phase_failed_ && !connected()) return std::nullopt;
  if (feed_.in_flight() >= options_.limits.max_updates_in_flight) return std::nullopt;
  return policy_->next_phase_seconds(context());
}

/// When the connection ends for want of an Ack.
inline std::optional<double> ServerSession::ack_deadline_seconds() const {
  const auto waiting_since = feed_.waiting_since_seconds();
  if (!connected() || !waiting_since) return std::nullopt;
  const double travel_seconds =
      8 * static_cast<double>(feed_.in_flight_bytes()) / policy_->slowest_link_bps();
  return *waiting_since + options_.limits.ack_timeout_seconds + travel_seconds;
}

/// What has become due by now.
inline void ServerSession::poll(ServerActions& actions) {
  if (const auto deadline = ack_deadline_seconds(); deadline && now_seconds_ >= *deadline) {
    const std::string reason =
        "no Ack within " + std::to_string(now_seconds_ - *feed_.waiting_since_seconds()) + " s";
    close(Bye{reason}, reason, actions);
  }
  // After that: a connection that ends takes what is in flight with it, and frees the next phase.
  if (const auto begin = next_phase_seconds(); begin && now_seconds_ >= *begin) {
    phase_ = Phase::due;
    phase_due_seconds_ = now_seconds_;
    actions.emplace_back(TrainingDue{});
  }
}

inline std::optional<double> ServerSession::next_wake_seconds() const {
  std::optional<double> wake = next_phase_seconds();
  if (const auto deadline = ack_deadline_seconds()) {
    wake = wake ? std::min(*wake, *deadline) : deadline;
  }
  return wake;
}

// ---- by hand ----

inline ServerActions ServerSession::set_paused(bool is_paused, double now_seconds) {
  advance(now_seconds);
  is_paused_ = is_paused;
  if (is_paused_ && phase_ == Phase::due) phase_ = Phase::idle;
  ServerActions actions;
  poll(actions);
  return actions;
}

inline std::shared_ptr<const ModelState> ServerSession::replacement(
    std::vector<float> values) const {
  return std::make_shared<const ModelState>(held().manifest_ptr(), std::move(values),
                                            held().version().number + 1);
}

inline ServerActions ServerSession::replace_model(std::vector<float> values, double now_seconds) {
  auto next = replacement(std::move(values));
  advance(now_seconds);
  adam_ = AdamState(held().manifest().dimension());
  is_phase_outdated_ = phase_running();
  policy_->on_replaced();
  ServerActions actions;
  auto message = feed_.replace(std::move(next), now_seconds_);
  if (message) send(std::move(*message), actions);
  poll(actions);
  return actions;
}

inline Handle ServerSession::newest_sample() const {
  const std::vector<Handle> newest = replay_->newest(newest_sample_seconds_, 1);
  return newest.empty() ? Handle() : newest.front();
}

inline ServerActions ServerSession::on_time(double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  poll(actions);
  return actions;
}

// ---- the connection ----

/// Counts and sends.
inline void ServerSession::send(ServerMessage message, ServerActions& actions, bool is_repeated) {
  if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
    ++counters_.snapshots;
    counters_.snapshot_bytes += snapshot->bytes.size();
  } else if (const auto* part = std::get_if<SnapshotPart>(&message)) {
    if (part->offset_bytes == 0) ++counters_.snapshots;
    counters_.snapshot_bytes += part->bytes.size();
  }
  policy_->on_sent(message, is_repeated, now_seconds_);
  actions.emplace_back(SendToDevice{std::move(message)});
}

inline void ServerSession::close(ServerMessage farewell, const std::string& reason,
                                 ServerActions& actions) {
  last_error_ = reason;
  feed_.disconnect();
  link_ = Link::closing;
  send(std::move(farewell), actions);
  actions.emplace_back(DisconnectDevice{reason});
}

inline void ServerSession::fault(ErrorCode code, const std::string& message,
                                 ServerActions& actions) {
  ++counters_.faults;
  close(Fault{code, std::string(cut_text(message, max_text_bytes))}, message, actions);
}

/// False when the message must not be looked at.
inline bool ServerSession::expect_connected(const char* message_name, ServerActions& actions) {
  if (link_ == Link::none) {
    fault(ErrorCode::protocol_violation,
          std::string(message_name) + " before Hello; the first message must be Hello", actions);
  }
  return link_ == Link::connected;
}

/// Control, when the device does not know the rates yet.
inline void ServerSession::announce_rates(ServerActions& actions) {
  if (!connected()) return;
  const double rate = sampling_rate_fps();
  const double interval = update_interval_seconds();
  if (rate == announced_rate_fps_ && interval == announced_interval_seconds_) return;
  announced_rate_fps_ = rate;
  announced_interval_seconds_ = interval;
  send(Control{rate, interval}, actions);
}

inline ServerActions ServerSession::on_message(DeviceMessage message, double now_seconds) {
  if (auto* batch = std::get_if<FrameBatch>(&message)) {
    return on_frame_batch(std::move(*batch), now_seconds);
  }
  if (const auto* hello = std::get_if<Hello>(&message)) return on_hello(*hello, now_seconds);
  if (const auto* ack = std::get_if<Ack>(&message)) return on_ack(*ack, now_seconds);
  if (const auto* refusal = std::get_if<Refusal>(&message))
    return on_refusal(*refusal, now_seconds);
  return on_bye(std::get<Bye>(message), now_seconds);
}

inline ServerActions ServerSession::on_hello(const Hello& hello, double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  if (link_ == Link::closing) return actions;
  if (link_ == Link::connected) {
    fault(ErrorCode::protocol_violation, "a second Hello; a connection has one", actions);
    return actions;
  }
  try {
    session_detail::check_hello(hello, held().manifest(), device_id_);
  } catch (const Error& error) {
    fault(error.code(), error.what(), actions);
    return actions;
  }

  device_id_ = hello.device_id;
  has_left_ = false;
  link_ = Link::connected;
  ++counters_.connections;
  policy_->on_connected(now_seconds_);
  ModelFeed::Resumption resumption = feed_.connect(hello.held, now_seconds_, hello.snapshot);
  Welcome welcome;
  welcome.session_id = options_.session_id;
  welcome.resume = resumption.resume;
  welcome.sampling_rate_fps = announced_rate_fps_ = sampling_rate_fps();
  welcome.update_interval_seconds = announced_interval_seconds_ = update_interval_seconds();
  welcome.last_batch_id = last_batch_id_;
  send(welcome, actions);
  switch (resumption.resume) {
    case Resume::in_step:
      ++counters_.resumed_in_step;
      break;
    case Resume::updates:
      ++counters_.resumed_with_updates;
      break;
    case Resume::snapshot:
      ++counters_.resumed_with_snapshot;
      break;
  }
  for (ServerMessage& message : resumption.messages) {
    if (std::holds_alternative<Update>(message)) ++counters_.updates_sent_again;
    send(std::move(message), actions, true);
  }
  poll(actions);
  return actions;
}

inline void ServerSession::heal(const ModelFeed::Answer& answer, ServerActions& actions) {
  if (answer.message) send(*answer.message, actions);
}

inline ServerActions ServerSession::on_ack(const Ack& ack, double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  if (!expect_connected("Ack", actions)) return actions;
  try {
    const ModelFeed::Answer answer = feed_.on_ack(ack.held, now_seconds_);
    ++(answer.expected ? counters_.acks : counters_.acks_wrong);
    heal(answer, actions);
  } catch (const Error& error) {
    ++counters_.acks_wrong;
    fault(error.code(), error.what(), actions);
  }
  poll(actions);
  return actions;
}

inline ServerActions ServerSession::on_refusal(const Refusal& refusal, double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  if (!expect_connected("Refusal", actions)) return actions;
  ++counters_.refusals;
  last_error_ = std::string("the device refused: ") + to_string(refusal.code) + ": " +
                std::string(cut_text(refusal.message, max_text_bytes));
  try {
    heal(feed_.on_refusal(refusal.held, now_seconds_), actions);
  } catch (const Error& error) {
    fault(error.code(), error.what(), actions);
  }
  poll(actions);
  return actions;
}

inline ServerActions ServerSession::on_bye(const Bye&, double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  if (!expect_connected("Bye", actions)) return actions;
  has_left_ = true;
  if (phase_ == Phase::due) phase_ = Phase::idle;
  feed_.disconnect();
  link_ = Link::closing;
  send(Bye{"goodbye"}, actions);
  actions.emplace_back(DisconnectDevice{"the device said goodbye"});
  return actions;
}

inline ServerActions ServerSession::on_disconnect(double now_seconds) {
  advance(now_seconds);
  feed_.disconnect();
  link_ = Link::none;
  ServerActions actions;
  poll(actions);
  return actions;
}

// ---- samples ----

/// Capture times are whatever the device says. The session's own timeline follows them while they
/// go forward at a believable pace; else (the device was restarted, its video looped) the batch is
/// placed where the time since the batch before puts it.
inline void ServerSession::place_on_timeline(Batch& batch) {
  const double first = batch.capture_seconds.front();
  const double last = batch.capture_seconds.back();
  const double elapsed = now_seconds_ - timeline_moved_seconds_;
  const double end = timeline_end_seconds_;
  if (!has_timeline_) {
    timeline_offset_seconds_ = -first;
    has_timeline_ = true;
    batch.is_continuation = false;
  } else if (const double begin = first + timeline_offset_seconds_;
             !(begin > end && begin <= end + elapsed + session_detail::max_gap_seconds)) {
    timeline_offset_seconds_ = end + std::max(elapsed, last - first + 1) - last;
    batch.is_continuation = false;
  }
  batch.offset_seconds = timeline_offset_seconds_;
  timeline_end_seconds_ = last + timeline_offset_seconds_;
  timeline_moved_seconds_ = now_seconds_;
}

inline ServerActions ServerSession::on_frame_batch(FrameBatch frames, double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  if (!expect_connected("FrameBatch", actions)) return actions;
  try {
    session_detail::check_frame_batch(frames, last_batch_id_, options_.limits);
  } catch (const Error& error) {
    fault(error.code(), error.what(), actions);
    return actions;
  }
  if (frames.batch_id <= last_batch_id_) {
    ++counters_.batches_repeated;
    return actions;
  }
  last_batch_id_ = frames.batch_id;
  if (pending_.size() >= options_.limits.max_pending_batches) {
    ++counters_.batches_dropped;
    return actions;
  }
  ++counters_.batches;
  counters_.batch_bytes += frames.bitstream.size();
  Batch batch;
  batch.id = frames.batch_id;
  batch.capture_seconds = frames.capture_seconds;
  place_on_timeline(batch);
  if (options_.limits.max_record_sample_bytes > 0) batch.bitstream = frames.bitstream;
  pending_.push_back(std::move(batch));
  actions.emplace_back(
      LabelBatch{frames.batch_id, std::move(frames.capture_seconds), std::move(frames.bitstream)});
  poll(actions);
  return actions;
}

inline ServerSession::Batch& ServerSession::unanswered_batch(std::uint64_t batch_id) {
  const auto found = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const Batch& b) { return b.id == batch_id; });
  if (found == pending_.end() || found->is_answered) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession: batch " + std::to_string(batch_id) +
                    " is not being labelled; answer every LabelBatch once");
  }
  return *found;
}

inline ServerActions ServerSession::on_labelled(std::uint64_t batch_id,
                                                std::vector<TimedSample> samples,
                                                double now_seconds) {
  Batch& batch = unanswered_batch(batch_id);
  auto expected = batch.capture_seconds.begin();
  for (const TimedSample& timed : samples) {
    expected = std::find(expected, batch.capture_seconds.end(), timed.capture_seconds);
    if (expected == batch.capture_seconds.end()) {
      throw Error(
          ErrorCode::invalid_argument,
          "ServerSession::on_labelled: capture times must be those of the batch, ascending");
    }
    ++expected;
  }
  advance(now_seconds);
  batch.samples = std::move(samples);
  batch.is_answered = true;
  take_answered_batches();
  ServerActions actions;
  announce_rates(actions);
  poll(actions);
  return actions;
}

inline ServerActions ServerSession::on_label_failed(std::uint64_t batch_id, double now_seconds) {
  Batch& batch = unanswered_batch(batch_id);
  advance(now_seconds);
  batch.is_answered = true;
  ++counters_.batches_failed;
  last_error_ = "batch " + std::to_string(batch_id) + " could not be decoded or labelled";
  take_answered_batches();
  ServerActions actions;
  announce_rates(actions);
  poll(actions);
  return actions;
}

/// In the order of capture, whatever the order of the answers: phi compares consecutive samples.
inline void ServerSession::take_answered_batches() {
  while (!pending_.empty() && pending_.front().is_answered) {
    Batch batch = std::move(pending_.front());
    pending_.pop_front();
    if (!batch.is_continuation) phi_.forget_label();
    LabelledBatch kept{
        batch.id, batch.capture_seconds, batch.offset_seconds, std::move(batch.bitstream), {}};
    kept.labels.resize(kept.capture_seconds.size());
    for (TimedSample& timed : batch.samples) {
      const auto frame = std::find(kept.capture_seconds.begin(), kept.capture_seconds.end(),
                                   timed.capture_seconds) -
                         kept.capture_seconds.begin();
      kept.labels[static_cast<std::size_t>(frame)] = std::move(timed.label);
      take_sample(std::move(timed), batch);
    }
    keep(std::move(kept), true);
  }
  decide_sampling_rate();
}

/// For record(), in place of the oldest ones that the buffer has no room for either.
inline void ServerSession::keep(LabelledBatch batch, bool is_in_buffer) {
  KeptBatch kept{std::move(batch), 0, 0, is_in_buffer};
  kept.bytes = kept.batch.bitstream.size();
  for (const Bytes& label : kept.batch.labels) {
    kept.bytes += label.size();
    if (!label.empty()) ++kept.samples;
  }
  const std::size_t most_bytes = options_.limits.max_record_sample_bytes;
  if (kept.samples == 0 || kept.batch.bitstream.empty() || kept.bytes > most_bytes) return;
  kept_bytes_ += kept.bytes;
  kept_samples_ += kept.samples;
  kept_.push_back(std::move(kept));
  while (kept_bytes_ > most_bytes ||
         kept_samples_ - kept_.front().samples >= replay_->options().max_samples) {
    kept_bytes_ -= kept_.front().bytes;
    kept_samples_ -= kept_.front().samples;
    kept_.pop_front();
  }
}

inline void ServerSession::restore_batches(std::vector<LabelledBatch> batches) {
  std::uint64_t latest = 0;
  for (LabelledBatch& batch : batches) {
    if (batch.batch_id <= latest || batch.batch_id > last_batch_id_ ||
        !session_detail::is_sound(batch)) {
      continue;
    }
    latest = batch.batch_id;
    has_timeline_ = true;
    timeline_offset_seconds_ = batch.offset_seconds;
    timeline_end_seconds_ = batch.capture_seconds.back() + batch.offset_seconds;
    keep(std::move(batch), false);
  }
}

inline void ServerSession::on_restored(std::uint64_t batch_id, std::vector<TimedSample> samples,
                                       double now_seconds) {
  advance(now_seconds);
  const auto kept = std::find_if(kept_.begin(), kept_.end(), [&](const KeptBatch& k) {
    return k.batch.batch_id == batch_id && !k.is_in_buffer;
  });
  if (kept == kept_.end()) return;
  kept->is_in_buffer = true;
  const double offset = kept->batch.offset_seconds;
  if (samples.empty()) {
    kept_bytes_ -= kept->bytes;
    kept_samples_ -= kept->samples;
    kept_.erase(kept);
    return;
  }
  for (TimedSample& timed : samples) {
    const double time = timed.capture_seconds + offset;
    try {
      if (!replay_->add(time, std::move(timed.sample))) continue;
    } catch (const Error& error) {
      last_error_ = error.what();
      continue;
    }
    newest_sample_seconds_ = std::max(newest_sample_seconds_, time);
  }
}

inline void ServerSession::take_sample(TimedSample timed, const Batch& batch) {
  if (policy_->wants_phi()) {
    try {
      if (const auto phi = phi_.add(timed.sample)) policy_->on_phi(*phi);
    } catch (const Error&) {
      // Two samples that cannot be compared say nothing about the pace of the scene.
      phi_.forget_label();
      phi_.add(timed.sample);
    }
  }
  const double time = timed.capture_seconds + batch.offset_seconds;
  bool taken = false;
  try {
    taken = replay_->add(time, std::move(timed.sample));
  } catch (const Error& error) {
    last_error_ = error.what();
  }
  ++(taken ? counters_.samples : counters_.samples_dropped);
  if (!taken) return;
  newest_sample_seconds_ = std::max(newest_sample_seconds_, time);
  ++new_samples_;
  latest_phase_failed_ = false;
}

inline void ServerSession::decide_sampling_rate() {
  if (phi_.count() == 0 || !policy_->rate_due(now_seconds_)) return;
  policy_->decide_rate(now_seconds_, *phi_.take_mean());
}

// ---- training ----

inline TrainingJob ServerSession::begin_phase(double now_seconds) {
  if (!training_due()) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession::begin_phase: only allowed after TrainingDue, once");
  }
  advance(now_seconds);
  Random random = random_;  // the session's own changes only when all has gone well
  PhasePlan plan = policy_->plan(context(), random);
  const std::size_t dimension = held().manifest().dimension();
  if (plan.parameters.size() != dimension || plan.coordinates.dimension() != dimension ||
      plan.required_gradients.size() != held().manifest().tensors().size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("PhasePlan: parameters and coordinates must be of dimension {}, "
                            "required_gradients one for each of {} tensors",
                            dimension, held().manifest().tensors().size()));
  }
  TrainingJob job;
  job.manifest = held().manifest_ptr();
  job.parameters = std::move(plan.parameters);
  job.adam = adam_;
  job.adam_options = plan.adam;
  job.learning_rates = std::move(plan.learning_rates);
  job.required_gradients = std::move(plan.required_gradients);
  job.mini_batches = replay_->draw(newest_sample_seconds_, plan.iterations, plan.batch_size, random,
                                   plan.recency_seconds);
  job.coordinates = plan.coordinates;
  for (const OtherStart& start : plan.other_starts) {
    if (start.parameters && start.parameters->size() == dimension && start.margin >= 0) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("PhasePlan: other starts must have {} values and a margin of 0 or more",
                            dimension));
  }
  if (!plan.other_starts.empty()) {
    StartTrial trial{feed_.held_ptr(), plan.other_starts,
                     replay_->newest(newest_sample_seconds_,
                                     std::min(new_samples_, session_detail::max_trial_samples))};
    if (!trial.samples.empty()) job.trial = std::move(trial);
  }

  random_ = random;
  phase_ = Phase::running;
  phase_iterations_ = plan.iterations;
  latest_phase_failed_ = false;
  phase_begin_seconds_ = now_seconds_;
  phase_coordinates_ = std::move(plan.coordinates);
  phase_starts_ = job.trial ? std::move(plan.other_starts) : std::vector<OtherStart>{};
  phase_new_samples_ = std::exchange(new_samples_, 0);
  return job;
}

/// Where the phase started, and what was scored before.
inline void ServerSession::take_scores(TrainingResult& result) {
  if (!result.scores) return;
  const StartScores& scores = *result.scores;
  constexpr double weight = 0.1;  // of the latest, in the running scores
  const auto run = [&](double& mean, double latest) {
    mean = counters_.trials == 0 ? latest : mean + weight * (latest - mean);
  };
  run(counters_.score_held, scores.held);
  run(counters_.score_initial, scores.others.front());
  ++counters_.trials;
  if (scores.start == 0) return;
  ++(scores.start == 1 ? counters_.restarts_initial : counters_.restarts);
  // The device must get all in which the starts differ, whatever the phase trained.
  const std::vector<float>& start = *phase_starts_[scores.start - 1].parameters;
  std::vector<std::uint32_t> moved;
  for (std::size_t i = 0; i < start.size(); ++i) {
    if (start[i] != held().values()[i]) moved.push_back(static_cast<std::uint32_t>(i));
  }
  phase_coordinates_ = CoordinateSet::unite(
      phase_coordinates_, CoordinateSet::from_sorted(start.size(), std::move(moved)));
}

/// What the latest phase was to learn from is still to be learned.
inline void ServerSession::take_back_phase() {
  new_samples_ += std::exchange(phase_new_samples_, 0);
  policy_->on_phase_lost();
}

inline void ServerSession::phase_failed(const std::string& reason) {
  ++counters_.phases_failed;
  latest_phase_failed_ = true;
  last_error_ = reason;
  take_back_phase();
}

/// What follows when a phase has ended, however it has.
inline ServerActions ServerSession::end_phase() {
  phase_ = Phase::idle;
  is_phase_outdated_ = false;
  ServerActions actions;
  announce_rates(actions);
  poll(actions);
  return actions;
}

inline ServerSession::Trained ServerSession::on_trained(TrainingResult result, double now_seconds) {
  if (phase_ != Phase::running) {
    throw Error(ErrorCode::invalid_argument, "ServerSession::on_trained: no phase is running");
  }
  const std::string unusable =
      session_detail::unusable_reason(result, held().manifest().dimension(), phase_starts_.size());
  advance(now_seconds);
  if (is_phase_unwanted()) {
    ++counters_.phases_abandoned;
    take_back_phase();
    return {std::nullopt, end_phase()};
  }
  if (!unusable.empty()) {
    phase_failed(unusable);
    return {std::nullopt, end_phase()};
  }
  take_scores(result);
  counters_.iterations += phase_iterations_;
  policy_->on_trained({now_seconds_ - phase_due_seconds_, phase_iterations_, result.losses,
                       result.scores ? &*result.scores : nullptr});
  phase_ = Phase::writing;
  UpdateJob job{feed_.held_ptr(),
                std::move(result.parameters),
                std::move(result.adam),
                phase_coordinates_,
                policy_->encode(now_seconds_, result.losses),
                result.seconds};
  return {std::move(job), {}};
}

inline ServerActions ServerSession::on_written(WrittenUpdate written, double now_seconds) {
  if (phase_ != Phase::writing) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession::on_written: on_trained() has given no job");
  }
  advance(now_seconds);
  ServerActions actions;
  if (is_phase_unwanted()) {
    ++counters_.phases_abandoned;
    take_back_phase();
  } else {
    publish(written, actions);
  }
  ServerActions rest = end_phase();
  std::move(rest.begin(), rest.end(), std::back_inserter(actions));
  return actions;
}

/// Sends what the phase has given, unless the policy withholds it.
inline void ServerSession::publish(WrittenUpdate& written, ServerActions& actions) {
  const bool is_withheld = written.next == nullptr;
  const std::size_t bytes = written.bytes.size();
  adam_ = std::move(written.adam);
  phase_new_samples_ = 0;
  if (is_withheld) {
    ++counters_.phases_withheld;
  } else {
    session_detail::count(written, counters_);
    auto message = feed_.publish(std::move(written.next), std::move(written.bytes), now_seconds_);
    if (message) send(std::move(*message), actions);
  }
  policy_->on_written({is_withheld, bytes, written.usual_bytes, written.coordinates,
                       held().values(), written.trained});
}

inline ServerActions ServerSession::on_phase_done(TrainingResult result, double now_seconds) {
  Trained trained = on_trained(std::move(result), now_seconds);
  if (!trained.job) return std::move(trained.actions);
  std::optional<WrittenUpdate> written;
  try {
    written = write_update(std::move(*trained.job));
  } catch (const Error& error) {
    return on_phase_failed(error, now_seconds);
  }
  return on_written(std::move(*written), now_seconds);
}

inline ServerActions ServerSession::on_phase_failed(const Error& error, double now_seconds) {
  if (phase_ == Phase::idle) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession::on_phase_failed: no phase is due or running");
  }
  advance(now_seconds);
  // One that was due and could not begin has begun now: the next one waits for its time.
  if (phase_ == Phase::due) phase_begin_seconds_ = now_seconds_;
  phase_failed(error.what());
  return end_phase();
}

}  // namespace ams
