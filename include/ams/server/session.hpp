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
#include "ams/core/random.hpp"
#include "ams/protocol/messages.hpp"
#include "ams/server/model_feed.hpp"
#include "ams/server/session_options.hpp"
#include "ams/server/training_job.hpp"

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
/// once for each phase.
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
  std::uint64_t samples = 0;           ///< labelled
  std::uint64_t phases = 0;            ///< that gave an update
  std::uint64_t phases_failed = 0;
  double phase_seconds = 0;   ///< sum over `phases`
  std::uint64_t updates = 0;  ///< encoded; each counted once
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
/// actions come out. It owns what the device holds, the replay buffer, Adam's memory and the two
/// rate controllers, and lives on while the device is away. Sample is what the trainer learns from
/// (LabelledFramePtr for segmentation); copying it must be cheap.
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
  /// phi-score of two consecutive samples, >= 0 (section 3.2). Belongs to the task. A result that
  /// is not finite and an Error are skipped.
  using Phi = std::function<double(const Sample& previous, const Sample& current)>;

  /// initial: w_0. Throws Error(invalid_argument) on options out of range or a null phi while the
  /// sampling rate adapts.
  ServerSession(ModelState initial, SessionOptions options, Phi phi);

  // ---- events: the connection ----

  /// Dispatches to the five below.
  ServerActions on_message(DeviceMessage message, double now_seconds);

  /// First message of a connection. When an older connection of the device is still open, call
  /// on_disconnect() for it first. The token is the driver's to check.
  ServerActions on_hello(const Hello& hello, double now_seconds);
  ServerActions on_frame_batch(FrameBatch batch, double now_seconds);
  ServerActions on_ack(const Ack& ack, double now_seconds);
  ServerActions on_refusal(const Refusal& refusal, double now_seconds);
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

  /// Nothing is lost but the phase; the next one comes after T_update.
  ServerActions on_phase_failed(const Error& error, double now_seconds);

  // ---- time ----

  ServerActions on_time(double now_seconds);

  /// When on_time() is wanted next; nothing while the session waits for other events.
  std::optional<double> next_wake_seconds() const;

  // ---- state ----

  const ModelState& held() const noexcept;  ///< what the device holds, or will
  ModelVersion confirmed() const noexcept;  ///< what the device last said that it holds
  bool connected() const noexcept;          ///< between a good Hello and the connection's end
  bool training_due() const noexcept;  ///< TrainingDue came and begin_phase() is still to be called
  bool phase_running()
      const noexcept;  ///< begin_phase() was called and the result is still to come
  double sampling_rate_fps() const noexcept;
  double update_interval_seconds() const noexcept;  ///< T_update
  std::size_t buffered_samples() const noexcept;
  double last_event_seconds() const noexcept;      ///< now_seconds of the latest event
  const std::string& device_id() const noexcept;   ///< empty before the first Hello
  const std::string& last_error() const noexcept;  ///< why the latest phase or connection failed
  const SessionCounters& counters() const noexcept;
  const SessionOptions& options() const noexcept;
};

}  // namespace ams
