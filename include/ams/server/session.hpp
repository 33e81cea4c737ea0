#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/phi_score.hpp"
#include "ams/core/random.hpp"
#include "ams/core/replay_buffer.hpp"
#include "ams/core/sampling_rate.hpp"
#include "ams/core/selection.hpp"
#include "ams/core/training_rate.hpp"
#include "ams/policy/learning_rates_by_size.hpp"
#include "ams/protocol/messages.hpp"
#include "ams/protocol/text.hpp"
#include "ams/server/error_feedback.hpp"
#include "ams/server/model_feed.hpp"
#include "ams/server/scene_change.hpp"
#include "ams/server/session_options.hpp"
#include "ams/server/training_job.hpp"
#include "ams/server/update_planner.hpp"

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
  std::vector<std::byte> bitstream;     ///< H.264 Annex B: hostile until decoded
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
template <class Sample>
struct TimedSample {
  double capture_seconds = 0;  ///< of the frame, as in LabelBatch
  Sample sample;
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
  std::uint64_t phases_abandoned = 0;  ///< the device had left when they were done
  double phase_seconds = 0;            ///< sum over `phases`
  std::uint64_t updates = 0;           ///< encoded; each counted once
  std::uint64_t update_bytes = 0;
  std::uint64_t update_coordinates = 0;  ///< values in them
  std::uint64_t updates_sent_again = 0;  ///< after a reconnection
  std::uint64_t snapshots = 0;           ///< sent
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t acks = 0;
  std::uint64_t acks_wrong = 0;  ///< named a version that the server never sent
  std::uint64_t refusals = 0;
  std::uint64_t faults = 0;  ///< connections ended for a protocol violation
};

/// Algorithm 1 for one device, as a state machine without I/O, clock or threads: events go in,
/// actions come out. It owns what the device holds and what is unsent yet, the replay buffer, Adam's
/// memory and the two rate controllers, and lives on while the device is away. Sample is what the
/// trainer learns from (LabelledFramePtr for segmentation); copying it must be cheap.
///
/// Time: now_seconds is the driver's clock, finite (else Error(invalid_argument)); a clock that
/// steps back is taken to stand still. Capture times are the device's; the session maps them to a
/// timeline of its own that only moves forward, also when a restarted device begins again at 0.
///
/// Whatever a device sends, no event throws: a message that breaks the protocol gives Fault and
/// DisconnectDevice, and the session's model and samples stay as they were. Calls that the driver
/// may not make throw Error(invalid_argument) and change nothing. Not thread-safe. Movable.
template <class Sample>
class ServerSession {
 public:
  /// phi-score of two consecutive samples, >= 0 (section 3.2); nothing where they cannot be
  /// compared. Belongs to the task. A result that is not finite and an Error are skipped.
  using Phi = std::function<std::optional<double>(const Sample& previous, const Sample& current)>;
  using SizeFunction = typename HorizonReplayBuffer<Sample>::SizeFunction;

  /// initial: w_0. size_of: bytes of a sample, for max_buffer_bytes. Throws Error(invalid_argument)
  /// on options out of range, a state without manifest, or a null phi while the sampling rate
  /// adapts.
  ServerSession(ModelState initial, SessionOptions options, Phi phi, SizeFunction size_of = {});

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
  ServerActions on_labelled(std::uint64_t batch_id, std::vector<TimedSample<Sample>> samples,
                            double now_seconds);
  ServerActions on_label_failed(std::uint64_t batch_id, double now_seconds);

  // ---- events: training ----

  /// The phase that TrainingDue announced, with the newest samples. One phase is out at a time.
  /// Throws Error(invalid_argument) unless training_due().
  TrainingJob<Sample> begin_phase(double now_seconds);

  /// Encodes the update, moves held() and sends it. A result that is not finite or that the update
  /// format cannot carry counts as a failed phase. Throws Error(invalid_argument) when no phase is
  /// out or sizes are wrong.
  ServerActions on_phase_done(TrainingResult result, double now_seconds);

  /// Nothing is lost but the phase; the next one comes after T_update, while the device is away only
  /// when new samples come.
  ServerActions on_phase_failed(const Error& error, double now_seconds);

  // ---- time ----

  ServerActions on_time(double now_seconds);

  /// When on_time() is wanted next; nothing while the session waits for other events.
  std::optional<double> next_wake_seconds() const;

  // ---- state ----

  const ModelState& held() const noexcept {
    return feed_.held();
  }  ///< what the device holds, or will

  /// What the device last said that it holds.
  ModelVersion confirmed() const noexcept { return feed_.confirmed(); }

  /// Between a good Hello and the connection's end.
  bool connected() const noexcept { return link_ == Link::connected; }

  /// TrainingDue came and begin_phase() is still to be called.
  bool training_due() const noexcept { return phase_ == Phase::due; }

  /// begin_phase() was called and the result is still to come.
  bool phase_running() const noexcept { return phase_ == Phase::running; }
  double sampling_rate_fps() const noexcept { return sampling_.rate_fps(); }
  double update_interval_seconds() const noexcept;  ///< T_update
  std::size_t buffered_samples() const { return replay_->size(); }
  std::size_t pending_batches() const noexcept { return pending_.size(); }  ///< being labelled
  double last_event_seconds() const noexcept { return now_seconds_; }

  /// Empty before the first good Hello.
  const std::string& device_id() const noexcept { return device_id_; }

  /// Why the latest phase, batch or connection failed, or what the device refused.
  const std::string& last_error() const noexcept { return last_error_; }
  const SessionCounters& counters() const noexcept { return counters_; }
  const SessionOptions& options() const noexcept { return options_; }

 private:
  enum class Link {
    none,
    connected,
    closing,  // DisconnectDevice was given, on_disconnect() is to come
  };
  enum class Phase { idle, due, running };
  struct Batch {
    std::uint64_t id = 0;
    std::vector<double> capture_seconds;
    double offset_seconds = 0;    // from capture time to the session's timeline
    bool is_continuation = true;  // of the video of the batch before
    bool is_answered = false;
    std::vector<TimedSample<Sample>> samples;
  };

  void advance(double now_seconds);
  void poll(ServerActions& actions);
  std::optional<double> next_phase_seconds() const;
  std::optional<double> ack_deadline_seconds() const;
  void announce_rates(ServerActions& actions);
  void send(ServerMessage message, ServerActions& actions);
  void close(ServerMessage farewell, const std::string& reason, ServerActions& actions);
  void fault(ErrorCode code, const std::string& message, ServerActions& actions);
  void heal(const ModelFeed::Answer& answer, ServerActions& actions);
  bool expect_connected(const char* message_name, ServerActions& actions);
  void place_on_timeline(Batch& batch);
  Batch& unanswered_batch(std::uint64_t batch_id);
  void take_answered_batches();
  void take_sample(TimedSample<Sample> timed, const Batch& batch);
  void decide_sampling_rate();
  void take_back_phase();
  void phase_failed(const std::string& reason);
  void publish(TrainingResult result, ServerActions& actions);

  SessionOptions options_;
  ModelFeed feed_;
  Link link_ = Link::none;
  std::string device_id_;
  double now_seconds_ = 0;
  bool has_time_ = false;

  // Samples. Behind a pointer because a buffer that is safe to share cannot move.
  std::unique_ptr<HorizonReplayBuffer<Sample>> replay_;
  std::deque<Batch> pending_;
  std::uint64_t last_batch_id_ = 0;
  bool has_timeline_ = false;
  double timeline_offset_seconds_ = 0;  // of the newest batch
  double timeline_end_seconds_ = 0;     // of the newest frame announced
  double timeline_moved_seconds_ = 0;   // now_seconds_ then
  double newest_sample_seconds_ = 0;    // on the session's timeline
  std::size_t new_samples_ = 0;         // since the latest phase began

  // Rates.
  PhiScoreTracker<Sample, Phi> phi_;  // its label is a sample
  SamplingRateController sampling_;
  TrainingRateController training_rate_;
  double announced_rate_fps_ = 0;
  double announced_interval_seconds_ = 0;

  // Training.
  std::shared_ptr<const Manifest> trained_manifest_;  // held()'s, with its learning rates
  AdamState adam_;
  Random random_;
  std::optional<UpdatePlanner> planner_;  // with a downlink budget
  // Used with a downlink budget. Without one, what updates leave out is not worth its bytes: what
  // matters moves again.
  ErrorFeedback error_feedback_;
  SceneChange scene_;
  Phase phase_ = Phase::idle;
  bool has_left_ = false;             // the device said goodbye and has not come back
  bool has_trained_ = false;          // a phase has begun
  bool latest_phase_failed_ = false;  // and no sample has come since
  double phase_begin_seconds_ = 0;
  CoordinateSet phase_coordinates_;
  bool has_guided_ = false;             // these were chosen by moments, not at random
  UpdatePlanner::Choice phase_choice_;  // with a downlink budget
  std::size_t phase_new_samples_ = 0;

  std::string last_error_;
  SessionCounters counters_;
};

// ---- implementation ----

namespace session_detail {

/// Checks what a device says; the message of the Error goes to the device.
void check_hello(const Hello& hello, const Manifest& manifest, const std::string& known_device_id);
void check_frame_batch(const FrameBatch& batch, const SessionOptions& options);

/// Why this result cannot be used; empty when it can. Throws Error(invalid_argument) on wrong
/// sizes.
std::string unusable_reason(const TrainingResult& result, std::size_t dimension);

/// With what is derived from other options filled in; throws as validate() does.
SessionOptions completed(SessionOptions options);
ModelFeedOptions feed_options(const SessionOptions& options);

/// A link that is not called broken, where no budget says how little it may carry.
inline constexpr double slowest_link_bps = 8000;

/// What a connection costs the downlink before Welcome (docs/protocol.md, "What is counted").
inline constexpr std::size_t connection_bytes = 960;

/// Role by role, at most 1e6 each.
LearningRateMultipliers multiplied(const LearningRateMultipliers& a,
                                   const LearningRateMultipliers& b);

/// Takes a message that goes out off the downlink budget. Updates are charged where they are sent.
void charge(UpdatePlanner& planner, const ServerMessage& message, double now_seconds);

/// A jump of the device's timeline beyond this, or any jump back, is a new beginning.
inline constexpr double max_gap_seconds = 86400;

}  // namespace session_detail

template <class Sample>
ServerSession<Sample>::ServerSession(ModelState initial, SessionOptions options, Phi phi,
                                     SizeFunction size_of)
    : options_(session_detail::completed(std::move(options))),
      feed_(std::move(initial), session_detail::feed_options(options_)),
      replay_(std::make_unique<HorizonReplayBuffer<Sample>>(
          ReplayBufferOptions{options_.horizon_seconds, options_.max_buffer_samples,
                              options_.max_buffer_bytes},
          std::move(size_of))),
      phi_([phi](const Sample& current, const Sample& previous) { return phi(previous, current); }),
      sampling_(options_.sampling),
      training_rate_(options_.training_rate),
      random_(options_.seed),
      scene_(std::max(0.0, options_.sampling.phi_target)) {
  if (options_.adapt_sampling_rate && !phi) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession: phi is null; it is needed unless adapt_sampling_rate is false");
  }
  trained_manifest_ = options_.learning_rates_by_size
                          ? std::make_shared<const Manifest>(
                                with_learning_rates_by_size(held().manifest(), held().values()))
                          : held().manifest_ptr();
  // One that does not fit says so here; with a budget the session chooses one that does.
  if (options_.strategy) options_.strategy->required_gradients(held().manifest());
  adam_ = AdamState(held().manifest().dimension());
}

template <class Sample>
double ServerSession<Sample>::update_interval_seconds() const noexcept {
  return options_.adapt_training_rate ? training_rate_.interval_seconds()
                                      : options_.update_interval_seconds;
}

template <class Sample>
void ServerSession<Sample>::advance(double now_seconds) {
  if (!std::isfinite(now_seconds)) {
    throw Error(ErrorCode::invalid_argument, "ServerSession: now_seconds must be finite");
  }
  if (!has_time_) {
    sampling_ = SamplingRateController(options_.sampling, now_seconds);
    if (options_.downlink_budget) {
      planner_.emplace(held().manifest_ptr(), *options_.downlink_budget, now_seconds);
    }
    now_seconds_ = now_seconds;
    has_time_ = true;
  }
  now_seconds_ = std::max(now_seconds_, now_seconds);
}

/// When the next phase may begin, as far as is known now.
template <class Sample>
std::optional<double> ServerSession<Sample>::next_phase_seconds() const {
  if (phase_ != Phase::idle || new_samples_ == 0 || has_left_) return std::nullopt;
  // Nobody waits for what fails over and over.
  if (latest_phase_failed_ && !connected()) return std::nullopt;
  if (feed_.in_flight() >= options_.max_updates_in_flight) return std::nullopt;
  if (has_trained_) return phase_begin_seconds_ + update_interval_seconds();
  if (counters_.samples < options_.min_samples) return std::nullopt;
  return now_seconds_;
}

/// When the connection ends for want of an Ack.
template <class Sample>
std::optional<double> ServerSession<Sample>::ack_deadline_seconds() const {
  const auto waiting_since = feed_.waiting_since_seconds();
  if (!connected() || !waiting_since) return std::nullopt;
  const double slowest_link_bps = options_.downlink_budget ? options_.downlink_budget->budget_bps
                                                           : session_detail::slowest_link_bps;
  const double travel_seconds = 8 * static_cast<double>(feed_.in_flight_bytes()) / slowest_link_bps;
  return *waiting_since + options_.ack_timeout_seconds + travel_seconds;
}

/// What has become due by now.
template <class Sample>
void ServerSession<Sample>::poll(ServerActions& actions) {
  if (const auto deadline = ack_deadline_seconds(); deadline && now_seconds_ >= *deadline) {
    const std::string reason =
        "no Ack within " + std::to_string(now_seconds_ - *feed_.waiting_since_seconds()) + " s";
    close(Bye{reason}, reason, actions);
  }
  // After that: a connection that ends takes what is in flight with it, and frees the next phase.
  if (const auto begin = next_phase_seconds(); begin && now_seconds_ >= *begin) {
    phase_ = Phase::due;
    actions.emplace_back(TrainingDue{});
  }
}

template <class Sample>
std::optional<double> ServerSession<Sample>::next_wake_seconds() const {
  std::optional<double> wake = next_phase_seconds();
  if (const auto deadline = ack_deadline_seconds()) {
    wake = wake ? std::min(*wake, *deadline) : deadline;
  }
  return wake;
}

template <class Sample>
ServerActions ServerSession<Sample>::on_time(double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  poll(actions);
  return actions;
}

// ---- the connection ----

/// Counts and sends.
template <class Sample>
void ServerSession<Sample>::send(ServerMessage message, ServerActions& actions) {
  if (const auto* snapshot = std::get_if<Snapshot>(&message)) {
    ++counters_.snapshots;
    counters_.snapshot_bytes += snapshot->bytes.size();
  }
  if (planner_) session_detail::charge(*planner_, message, now_seconds_);
  actions.emplace_back(SendToDevice{std::move(message)});
}

template <class Sample>
void ServerSession<Sample>::close(ServerMessage farewell, const std::string& reason,
                                  ServerActions& actions) {
  last_error_ = reason;
  feed_.disconnect();
  link_ = Link::closing;
  send(std::move(farewell), actions);
  actions.emplace_back(DisconnectDevice{reason});
}

template <class Sample>
void ServerSession<Sample>::fault(ErrorCode code, const std::string& message,
                                  ServerActions& actions) {
  ++counters_.faults;
  close(Fault{code, std::string(cut_text(message, max_text_bytes))}, message, actions);
}

/// False when the message must not be looked at.
template <class Sample>
bool ServerSession<Sample>::expect_connected(const char* message_name, ServerActions& actions) {
  if (link_ == Link::none) {
    fault(ErrorCode::protocol_violation,
          std::string(message_name) + " before Hello; the first message must be Hello", actions);
  }
  return link_ == Link::connected;
}

/// Control, when the device does not know the rates yet.
template <class Sample>
void ServerSession<Sample>::announce_rates(ServerActions& actions) {
  if (!connected()) return;
  const double rate = sampling_rate_fps();
  const double interval = update_interval_seconds();
  if (rate == announced_rate_fps_ && interval == announced_interval_seconds_) return;
  announced_rate_fps_ = rate;
  announced_interval_seconds_ = interval;
  send(Control{rate, interval}, actions);
}

template <class Sample>
ServerActions ServerSession<Sample>::on_message(DeviceMessage message, double now_seconds) {
  if (auto* batch = std::get_if<FrameBatch>(&message)) {
    return on_frame_batch(std::move(*batch), now_seconds);
  }
  if (const auto* hello = std::get_if<Hello>(&message)) return on_hello(*hello, now_seconds);
  if (const auto* ack = std::get_if<Ack>(&message)) return on_ack(*ack, now_seconds);
  if (const auto* refusal = std::get_if<Refusal>(&message))
    return on_refusal(*refusal, now_seconds);
  return on_bye(std::get<Bye>(message), now_seconds);
}

template <class Sample>
ServerActions ServerSession<Sample>::on_hello(const Hello& hello, double now_seconds) {
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
  if (planner_) planner_->owe(now_seconds_, session_detail::connection_bytes);
  ModelFeed::Resumption resumption = feed_.connect(hello.held, now_seconds_);
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
    if (const auto* update = std::get_if<Update>(&message)) {
      ++counters_.updates_sent_again;
      if (planner_) planner_->owe_message(now_seconds_, update->bytes.size());
    }
    send(std::move(message), actions);
  }
  poll(actions);
  return actions;
}

template <class Sample>
void ServerSession<Sample>::heal(const ModelFeed::Answer& answer, ServerActions& actions) {
  if (answer.message) send(*answer.message, actions);
}

template <class Sample>
ServerActions ServerSession<Sample>::on_ack(const Ack& ack, double now_seconds) {
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

template <class Sample>
ServerActions ServerSession<Sample>::on_refusal(const Refusal& refusal, double now_seconds) {
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

template <class Sample>
ServerActions ServerSession<Sample>::on_bye(const Bye&, double now_seconds) {
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

template <class Sample>
ServerActions ServerSession<Sample>::on_disconnect(double now_seconds) {
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
template <class Sample>
void ServerSession<Sample>::place_on_timeline(Batch& batch) {
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

template <class Sample>
ServerActions ServerSession<Sample>::on_frame_batch(FrameBatch frames, double now_seconds) {
  advance(now_seconds);
  ServerActions actions;
  if (!expect_connected("FrameBatch", actions)) return actions;
  try {
    session_detail::check_frame_batch(frames, options_);
  } catch (const Error& error) {
    fault(error.code(), error.what(), actions);
    return actions;
  }
  if (frames.batch_id <= last_batch_id_) {
    ++counters_.batches_repeated;
    return actions;
  }
  last_batch_id_ = frames.batch_id;
  if (pending_.size() >= options_.max_pending_batches) {
    ++counters_.batches_dropped;
    return actions;
  }
  ++counters_.batches;
  counters_.batch_bytes += frames.bitstream.size();
  Batch batch;
  batch.id = frames.batch_id;
  batch.capture_seconds = frames.capture_seconds;
  place_on_timeline(batch);
  pending_.push_back(std::move(batch));
  actions.emplace_back(
      LabelBatch{frames.batch_id, std::move(frames.capture_seconds), std::move(frames.bitstream)});
  poll(actions);
  return actions;
}

template <class Sample>
typename ServerSession<Sample>::Batch& ServerSession<Sample>::unanswered_batch(
    std::uint64_t batch_id) {
  const auto found = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const Batch& b) { return b.id == batch_id; });
  if (found == pending_.end() || found->is_answered) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession: batch " + std::to_string(batch_id) +
                    " is not being labelled; answer every LabelBatch once");
  }
  return *found;
}

template <class Sample>
ServerActions ServerSession<Sample>::on_labelled(std::uint64_t batch_id,
                                                 std::vector<TimedSample<Sample>> samples,
                                                 double now_seconds) {
  Batch& batch = unanswered_batch(batch_id);
  auto expected = batch.capture_seconds.begin();
  for (const TimedSample<Sample>& timed : samples) {
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

template <class Sample>
ServerActions ServerSession<Sample>::on_label_failed(std::uint64_t batch_id, double now_seconds) {
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
template <class Sample>
void ServerSession<Sample>::take_answered_batches() {
  while (!pending_.empty() && pending_.front().is_answered) {
    Batch batch = std::move(pending_.front());
    pending_.pop_front();
    if (!batch.is_continuation) phi_.forget_label();
    for (TimedSample<Sample>& timed : batch.samples) take_sample(std::move(timed), batch);
  }
  decide_sampling_rate();
}

template <class Sample>
void ServerSession<Sample>::take_sample(TimedSample<Sample> timed, const Batch& batch) {
  if (options_.adapt_sampling_rate) {
    try {
      if (const auto phi = phi_.add(timed.sample)) scene_.on_phi(*phi);
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

/// Equation (1), every delta_t.
template <class Sample>
void ServerSession<Sample>::decide_sampling_rate() {
  if (!options_.adapt_sampling_rate || phi_.count() == 0 || !sampling_.due(now_seconds_)) return;
  const double rate = sampling_.decide(now_seconds_, *phi_.take_mean());
  if (options_.adapt_training_rate) training_rate_.observe(rate);
}

// ---- training ----

template <class Sample>
TrainingJob<Sample> ServerSession<Sample>::begin_phase(double now_seconds) {
  if (!training_due()) {
    throw Error(ErrorCode::invalid_argument,
                "ServerSession::begin_phase: only allowed after TrainingDue, once");
  }
  Random random = random_;  // the session's own changes only when all has gone well
  UpdatePlanner::Choice choice;
  AdamOptions adam_options = options_.adam;
  if (planner_) {
    choice = planner_->choose(update_interval_seconds());
    adam_options.multipliers =
        session_detail::multiplied(adam_options.multipliers, choice.multipliers);
  }
  const SelectionStrategy& strategy = planner_ ? *choice.strategy : *options_.strategy;
  const SelectionStrategy& gradients = planner_ ? *choice.gradients : strategy;
  TrainingJob<Sample> job;
  job.manifest = trained_manifest_;
  job.parameters.assign(held().values().begin(), held().values().end());
  job.adam = adam_;
  job.adam_options = adam_options;
  job.coordinates = strategy.select(SelectionInput{*job.manifest, adam_, adam_options,
                                                   has_guided_ ? &phase_coordinates_ : nullptr},
                                    random);
  error_feedback_.add_to(job.parameters, job.coordinates);
  job.required_gradients = gradients.required_gradients(*job.manifest);
  job.mini_batches =
      replay_->draw(newest_sample_seconds_, options_.iterations, options_.batch_size, random);
  CoordinateSet coordinates = job.coordinates;

  advance(now_seconds);
  random_ = random;
  phase_ = Phase::running;
  has_trained_ = true;
  latest_phase_failed_ = false;
  has_guided_ = adam_.step_count > 0;
  phase_begin_seconds_ = now_seconds_;
  phase_coordinates_ = std::move(coordinates);
  phase_choice_ = std::move(choice);
  phase_new_samples_ = std::exchange(new_samples_, 0);
  scene_.begin_phase();
  return job;
}

/// What the latest phase was to learn from is still to be learned.
template <class Sample>
void ServerSession<Sample>::take_back_phase() {
  new_samples_ += phase_new_samples_;
  scene_.take_back_phase();
}

template <class Sample>
void ServerSession<Sample>::phase_failed(const std::string& reason) {
  ++counters_.phases_failed;
  latest_phase_failed_ = true;
  last_error_ = reason;
  take_back_phase();
}

template <class Sample>
ServerActions ServerSession<Sample>::on_phase_done(TrainingResult result, double now_seconds) {
  if (!phase_running()) {
    throw Error(ErrorCode::invalid_argument, "ServerSession::on_phase_done: no phase is running");
  }
  const std::string unusable =
      session_detail::unusable_reason(result, held().manifest().dimension());
  advance(now_seconds);
  ServerActions actions;
  phase_ = Phase::idle;
  if (has_left_) {
    ++counters_.phases_abandoned;
    take_back_phase();
  } else if (!unusable.empty()) {
    phase_failed(unusable);
  } else {
    const SceneChange scene = scene_;
    try {
      publish(std::move(result), actions);
    } catch (const Error& error) {
      scene_ = scene;
      phase_failed(error.what());
    }
  }
  announce_rates(actions);
  poll(actions);
  return actions;
}

/// Sends what the phase has given, as far as the downlink budget takes it.
template <class Sample>
void ServerSession<Sample>::publish(TrainingResult result, ServerActions& actions) {
  std::optional<EncodeOptions> encode;
  if (planner_) {
    encode =
        planner_->fit(phase_choice_, held(), result.parameters,
                      feed_.with_statistics(result.parameters, phase_coordinates_), now_seconds_,
                      update_interval_seconds(), scene_.end_phase(result.losses));
    if (!encode) {
      scene_.take_back_phase();
      error_feedback_.remember(held().values(), result.parameters, phase_coordinates_);
      adam_ = std::move(result.adam);
      ++counters_.phases_withheld;
      return;
    }
  }
  ModelFeed::Published published = feed_.publish(result.parameters, phase_coordinates_,
                                                 now_seconds_, encode.value_or(options_.encode));
  if (planner_) {
    // One that waits for an absent device is charged when the device is back and gets it.
    if (published.message) {
      planner_->spend(now_seconds_, published.bytes, update_interval_seconds());
    }
    error_feedback_.remember(held().values(), result.parameters, phase_coordinates_);
  }
  adam_ = std::move(result.adam);
  ++counters_.phases;
  counters_.phase_seconds += result.seconds;
  ++counters_.updates;
  counters_.update_bytes += published.bytes;
  counters_.update_coordinates += published.coordinates;
  if (published.message) send(std::move(*published.message), actions);
  if (options_.adapt_training_rate) training_rate_.advance();
}

template <class Sample>
ServerActions ServerSession<Sample>::on_phase_failed(const Error& error, double now_seconds) {
  if (!phase_running()) {
    throw Error(ErrorCode::invalid_argument, "ServerSession::on_phase_failed: no phase is running");
  }
  advance(now_seconds);
  ServerActions actions;
  phase_ = Phase::idle;
  phase_failed(error.what());
  poll(actions);
  return actions;
}

}  // namespace ams
