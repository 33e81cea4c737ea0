#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/handle.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/backoff.hpp"
#include "ams/session/client_options.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/sample_clock.hpp"
#include "ams/session/text.hpp"

namespace ams {

// ---- actions: what a driver does for an EdgeClient ----

/// Open a connection, then call on_connected(), or on_disconnected() when that fails.
struct ConnectToServer {};

/// Send on the open connection, in order, after whatever was sent before.
struct SendToServer {
  DeviceMessage message;
};

/// Compress these frames together (section 3.2), then call on_encoded() or on_encode_failed(). The
/// next one comes only after that.
struct EncodeBuffer {
  std::uint64_t batch_id = 0;
  std::vector<Handle> frames;           ///< at least one, as on_frame() got them
  std::vector<double> capture_seconds;  ///< one per frame, strictly ascending
  double period_seconds =
      0;  ///< how much video they stand for: times the bitrate it is the bits to spend
};

/// held() has a new value: load its values into the inactive copy of the model and swap, then call
/// on_published(version). Copy held() at once if that happens on another thread. When several are
/// waiting, the newest is enough.
struct Publish {
  ModelVersion version;
};

/// held() has a new value: save it where a restarted device finds it (ModelJournal).
struct Persist {
  ModelVersion version;
  Bytes update;  ///< that led to it from the version before; empty: a snapshot did
};

/// Send what is queued, then close the connection, or give up opening one, and call
/// on_disconnected().
struct DisconnectServer {
  std::string reason;
};

using EdgeAction =
    std::variant<ConnectToServer, SendToServer, EncodeBuffer, Publish, Persist, DisconnectServer>;
using EdgeActions = std::vector<EdgeAction>;

/// What a client has done so far.
struct ClientCounters {
  std::uint64_t frames = 0;  ///< seen
  std::uint64_t frames_sampled = 0;
  std::uint64_t frames_dropped = 0;  ///< sampled, but the buffer was full
  std::uint64_t scene_changes = 0;   ///< that were acted on
  std::uint64_t frames_invalid =
      0;                      ///< their capture time was not in [0, max_capture_seconds]; ignored
  std::uint64_t batches = 0;  ///< sent, each counted once
  std::uint64_t batch_bytes = 0;  ///< of bitstream
  std::uint64_t batches_sent_again = 0;
  std::uint64_t batches_failed = 0;   ///< could not be encoded
  std::uint64_t batches_refused = 0;  ///< given up, because the server faults what was sent
  std::uint64_t updates = 0;          ///< applied
  std::uint64_t update_bytes = 0;
  std::uint64_t snapshots = 0;  ///< taken over
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t refusals = 0;
  std::uint64_t connections = 0;     ///< that got a Welcome
  std::uint64_t disconnections = 0;  ///< failed attempts included
};

/// The device's half of AMS, as a state machine without I/O, clock or threads: events go in,
/// actions come out. It holds the device's model state, samples frames at the server's rate, sends
/// them every T_update, applies updates as transactions, and comes back after every loss of
/// connection. The driver keeps inferring all the while. What a frame is, only the driver knows.
///
/// Time: now_seconds is the driver's clock, finite (else Error(invalid_argument)); a clock that
/// steps back is taken to stand still. Capture times are on the video's own timeline, 0 to
/// max_capture_seconds.
///
/// Whatever a server sends, no event throws: what does not check out is refused (Refusal) or ends
/// the connection, and the model stays as it was. Calls that the driver may not make throw
/// Error(invalid_argument) and change nothing. Not thread-safe. Movable.
class EdgeClient {
 public:
  /// initial: w_0, or the state that Persist saved; the driver's model has these values loaded
  /// already. Throws Error(invalid_argument) on options out of range.
  EdgeClient(ModelState initial, ClientOptions options);

  // ---- events: the connection ----

  /// No effect unless stopped().
  EdgeActions on_start(double now_seconds);
  EdgeActions on_connected(double now_seconds);

  /// The connection is gone or could not be opened. Tries again after a delay that doubles with
  /// every failure, unless stopped.
  EdgeActions on_disconnected(const std::string& reason, double now_seconds);
  EdgeActions on_message(const ServerMessage& message, double now_seconds);

  /// Says Bye and stays away until on_start(). Frames that were not sent yet are dropped. Updates
  /// that are on their way are still taken over until the server closes the connection, so that
  /// both ends hold the same; after goodbye_timeout_seconds the client closes it.
  EdgeActions on_stop(const std::string& reason, double now_seconds);

  // ---- events: frames ----

  /// Every frame of the video, or at least those for which wants_frame(). The handle is kept only
  /// if the frame is sampled: the first frame at or after each sampling time; a gap in the video
  /// gives no burst.
  EdgeActions on_frame(double capture_seconds, Handle frame, double now_seconds);

  /// The video shows something new, as the driver's own student tells (CutDetector). The next frame
  /// is sampled and leaves at once, and for scene_change_seconds frames are sampled more often. No
  /// effect during these seconds, nor while not streaming.
  EdgeActions on_scene_change(double now_seconds);

  /// Would on_frame() sample a frame of this time? Saves drivers the making of a handle.
  bool wants_frame(double capture_seconds) const noexcept;

  /// Result of the EncodeBuffer action with this id.
  EdgeActions on_encoded(std::uint64_t batch_id, Bytes bitstream, double now_seconds);
  EdgeActions on_encode_failed(std::uint64_t batch_id, double now_seconds);

  // ---- events: the model ----

  /// The driver now runs this version. Older versions than held() need not be reported.
  EdgeActions on_published(ModelVersion version, double now_seconds);

  // ---- time ----

  EdgeActions on_time(double now_seconds);

  /// When on_time() is wanted next; nothing while the client waits for other events.
  std::optional<double> next_wake_seconds() const;

  // ---- state ----

  const ModelState& held() const noexcept { return held_; }

  /// Between Welcome and the connection's end.
  bool streaming() const noexcept { return link_ == Link::streaming; }

  /// Before on_start(), and when all is over after on_stop(): the driver owes no on_disconnected().
  bool stopped() const noexcept { return link_ == Link::stopped; }
  /// What the server told; more are sampled after a scene change.
  double sampling_rate_fps() const noexcept { return told_rate_fps_; }
  double update_interval_seconds() const noexcept {
    return update_interval_seconds_;
  }  ///< T_update
  std::size_t buffered_frames() const noexcept { return buffer_.size(); }

  /// Latest reason of a disconnection, fault, refusal or failed encoding.
  const std::string& last_error() const noexcept { return last_error_; }
  const ClientCounters& counters() const noexcept { return counters_; }
  const ClientOptions& options() const noexcept { return options_; }

 private:
  enum class Link {
    stopped,     // until on_start()
    waiting,     // for the next attempt to connect
    connecting,  // the driver is at it
    greeting,    // Hello is sent, Welcome is to come
    streaming,
    leaving,  // Bye is sent, the server is to close
    closing,  // DisconnectServer was given, on_disconnected() is to come
    ending,   // likewise, and then it stays away
  };
  struct BufferedFrame {
    double capture_seconds;
    double period_seconds;  // between samples at the time
    Handle frame;
  };
  struct Encoding {
    std::uint64_t batch_id;
    std::vector<double> capture_seconds;
  };
  struct KeptBatch {
    FrameBatch batch;
    bool sent;
  };

  // Written so that NaN is none.
  static bool is_capture_time(double seconds) noexcept {
    return seconds >= 0 && seconds <= max_capture_seconds;
  }

  void advance(double now_seconds);
  void poll(EdgeActions& actions);
  void flush(EdgeActions& actions);
  void send_batch(KeptBatch& kept, EdgeActions& actions);
  void close(const std::string& reason, EdgeActions& actions);
  void refuse(const Error& error, EdgeActions& actions);
  void taken_over(Bytes update, EdgeActions& actions);
  void set_clock();
  bool set_rates(double sampling_rate_fps, double update_interval_seconds, EdgeActions& actions);
  void welcome(const Welcome& welcome, EdgeActions& actions);
  void fault(const Fault& fault, EdgeActions& actions);
  void update(const Update& update, EdgeActions& actions);
  void snapshot(std::span<const std::byte> bytes, EdgeActions& actions);
  void snapshot_part(const SnapshotPart& part, EdgeActions& actions);
  Encoding finish_encoding(std::uint64_t batch_id, double now_seconds);

  ClientOptions options_;
  ModelState held_;
  Link link_ = Link::stopped;
  double now_seconds_ = 0;
  bool has_time_ = false;

  Backoff backoff_;
  double reconnect_seconds_ = 0;         // while waiting
  double welcome_deadline_seconds_ = 0;  // while greeting
  double goodbye_deadline_seconds_ = 0;  // while leaving
  std::optional<double> streaming_since_seconds_;
  std::size_t refusals_in_a_row_ = 0;
  double busy_seconds_ = 0;  // the server wants so much time before the next attempt

  /// What came of a snapshot in parts; kept when the connection is lost.
  struct PartialSnapshot {
    Digest digest = 0;
    std::uint64_t size_bytes = 0;
    std::vector<std::byte> bytes;
  };
  PartialSnapshot partial_;

  SampleClock clock_;
  double told_rate_fps_, clock_rate_fps_;
  std::optional<double> scene_change_end_seconds_;  // until then more is sampled
  bool is_new_scene_ = false;                       // and no frame of it is sampled yet
  double update_interval_seconds_;
  std::deque<BufferedFrame> buffer_;
  std::size_t due_frames_ = 0;  // of the buffer's front, to be sent as soon as possible
  std::optional<double>
      flush_seconds_;  // when the whole buffer is due next; set by the first sample
  std::optional<Encoding> encoding_;
  std::uint64_t next_batch_id_ = 1;
  bool first_batch_left_ = false;  // the first one has a delay of its own
  std::deque<KeptBatch> kept_;

  std::string last_error_;
  ClientCounters counters_;
};

// ---- implementation ----

inline EdgeClient::EdgeClient(ModelState initial, ClientOptions options)
    : options_((validate(options), std::move(options))),
      held_(std::move(initial)),
      backoff_(options_.reconnect_min_seconds, options_.reconnect_max_seconds, options_.seed),
      clock_(options_.sampling_rate_fps),
      told_rate_fps_(options_.sampling_rate_fps),
      clock_rate_fps_(options_.sampling_rate_fps),
      update_interval_seconds_(options_.update_interval_seconds) {
  if (!held_.manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "EdgeClient: the initial model state has no manifest");
  }
}

inline void EdgeClient::advance(double now_seconds) {
  if (!std::isfinite(now_seconds)) {
    throw Error(ErrorCode::invalid_argument, "EdgeClient: now_seconds must be finite");
  }
  now_seconds_ = has_time_ ? std::max(now_seconds_, now_seconds) : now_seconds;
  has_time_ = true;
  if (scene_change_end_seconds_ && now_seconds_ >= *scene_change_end_seconds_) {
    scene_change_end_seconds_.reset();
    set_clock();
  }
}

/// What has become due by now.
inline void EdgeClient::poll(EdgeActions& actions) {
  if (link_ == Link::waiting && now_seconds_ >= reconnect_seconds_) {
    link_ = Link::connecting;
    actions.emplace_back(ConnectToServer{});
  }
  if (link_ == Link::greeting && now_seconds_ >= welcome_deadline_seconds_) {
    close("no Welcome within " + std::to_string(options_.welcome_timeout_seconds) + " s", actions);
  }
  if (link_ == Link::leaving && now_seconds_ >= goodbye_deadline_seconds_) {
    link_ = Link::ending;
    actions.emplace_back(DisconnectServer{"the server did not close the connection"});
  }
  if (link_ != Link::streaming || encoding_ || buffer_.empty()) return;
  if (flush_seconds_ && now_seconds_ >= *flush_seconds_) {
    due_frames_ = buffer_.size();
    // Late by a little: keep the pace. Late by much, after an absence: a new one.
    const bool late = now_seconds_ - *flush_seconds_ > update_interval_seconds_ / 2;
    flush_seconds_ = (late ? now_seconds_ : *flush_seconds_) + update_interval_seconds_;
  }
  // A long T_update at a high rate: what is full leaves, before the oldest are dropped.
  if (buffer_.size() >= options_.max_buffered_frames) due_frames_ = buffer_.size();
  if (due_frames_ > 0) flush(actions);
}

/// Hands the due frames to the encoder, as many as go into one batch. A batch has ascending capture
/// times within max_batch_span_seconds: where the video jumped, a new one begins.
inline void EdgeClient::flush(EdgeActions& actions) {
  const std::size_t most = std::min(due_frames_, options_.max_frames_per_batch);
  EncodeBuffer batch;
  while (batch.frames.size() < most) {
    BufferedFrame& next = buffer_.front();
    if (!batch.frames.empty() &&
        (next.capture_seconds <= batch.capture_seconds.back() ||
         next.capture_seconds - batch.capture_seconds.front() > max_batch_span_seconds)) {
      break;
    }
    batch.capture_seconds.push_back(next.capture_seconds);
    batch.period_seconds += next.period_seconds;
    batch.frames.push_back(std::move(next.frame));
    buffer_.pop_front();
  }
  due_frames_ -= batch.frames.size();
  batch.batch_id = next_batch_id_++;
  first_batch_left_ = true;
  encoding_ = Encoding{batch.batch_id, batch.capture_seconds};
  actions.emplace_back(std::move(batch));
}

inline void EdgeClient::send_batch(KeptBatch& kept, EdgeActions& actions) {
  ++(kept.sent ? counters_.batches_sent_again : counters_.batches);
  if (!kept.sent) counters_.batch_bytes += kept.batch.bitstream.size();
  kept.sent = true;
  actions.emplace_back(SendToServer{kept.batch});
}

inline void EdgeClient::close(const std::string& reason, EdgeActions& actions) {
  link_ = Link::closing;
  last_error_ = reason;
  actions.emplace_back(DisconnectServer{reason});
}

inline EdgeActions EdgeClient::on_start(double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  if (link_ == Link::stopped) {
    link_ = Link::connecting;
    actions.emplace_back(ConnectToServer{});
  }
  return actions;
}

inline EdgeActions EdgeClient::on_connected(double now_seconds) {
  const bool unwanted = link_ == Link::ending || link_ == Link::stopped;  // it came too late
  if (link_ != Link::connecting && !unwanted) {
    throw Error(ErrorCode::invalid_argument,
                "EdgeClient::on_connected: only allowed after ConnectToServer");
  }
  advance(now_seconds);
  EdgeActions actions;
  if (unwanted) {
    actions.emplace_back(DisconnectServer{"stopped"});
    return actions;
  }
  link_ = Link::greeting;
  welcome_deadline_seconds_ = now_seconds_ + options_.welcome_timeout_seconds;
  refusals_in_a_row_ = 0;
  Hello hello;
  hello.device_id = options_.device_id;
  hello.token = options_.token;
  hello.manifest_digest = held_.manifest().digest();
  hello.student_fingerprint = options_.student_fingerprint;
  hello.held = held_.version();
  hello.snapshot = SnapshotProgress{partial_.digest, partial_.size_bytes, partial_.bytes.size()};
  actions.emplace_back(SendToServer{std::move(hello)});
  return actions;
}

inline EdgeActions EdgeClient::on_disconnected(const std::string& reason, double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  if (link_ == Link::stopped || link_ == Link::waiting) return actions;
  // When we closed it, why we did says more than that it is closed.
  if (link_ != Link::closing && link_ != Link::ending) last_error_ = reason;
  ++counters_.disconnections;
  if (link_ == Link::leaving || link_ == Link::ending) {
    link_ = Link::stopped;
    streaming_since_seconds_.reset();
    return actions;
  }
  // A connection that lasted is a success; one that ends right after its Welcome is not.
  if (streaming_since_seconds_ &&
      now_seconds_ - *streaming_since_seconds_ >= backoff_.current_seconds()) {
    backoff_.reset();
  }
  streaming_since_seconds_.reset();
  link_ = Link::waiting;
  // Not all at once: a busy server has refused many.
  const double delay = backoff_.next_seconds();
  const double busy = std::exchange(busy_seconds_, 0.0);
  reconnect_seconds_ = now_seconds_ + std::max(delay, busy > 0 ? busy + delay : 0.0);
  return actions;
}

inline EdgeActions EdgeClient::on_stop(const std::string& reason, double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  if (link_ == Link::greeting || link_ == Link::streaming) {
    link_ = Link::leaving;
    goodbye_deadline_seconds_ = now_seconds_ + options_.goodbye_timeout_seconds;
    actions.emplace_back(SendToServer{Bye{std::string(cut_text(reason, max_text_bytes))}});
  } else if (link_ == Link::connecting) {
    link_ = Link::ending;
    actions.emplace_back(DisconnectServer{reason});
  } else if (link_ == Link::closing) {
    link_ = Link::ending;
  } else if (link_ == Link::waiting) {
    link_ = Link::stopped;
  }
  buffer_.clear();
  due_frames_ = 0;
  flush_seconds_.reset();
  return actions;
}

/// The told rate, or more after a scene change.
inline void EdgeClient::set_clock() {
  double rate = told_rate_fps_;
  if (scene_change_end_seconds_) {
    rate = std::max(rate, std::min(options_.scene_change_fps, options_.max_sampling_rate_fps));
  }
  // Not when it stays: setting a rate may round.
  if (rate == clock_rate_fps_) return;
  clock_rate_fps_ = rate;
  clock_.set_rate(rate);
}

inline EdgeActions EdgeClient::on_scene_change(double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  if (link_ == Link::streaming && options_.scene_change_seconds > 0 && !scene_change_end_seconds_) {
    ++counters_.scene_changes;
    scene_change_end_seconds_ = now_seconds_ + options_.scene_change_seconds;
    is_new_scene_ = true;
    set_clock();
    clock_.restart();
  }
  poll(actions);
  return actions;
}

inline bool EdgeClient::set_rates(double sampling_rate_fps, double update_interval_seconds,
                                  EdgeActions& actions) {
  // Written so that NaN is out of range.
  if (!(sampling_rate_fps >= min_sampling_rate_fps &&
        sampling_rate_fps <= options_.max_sampling_rate_fps) ||
      !(update_interval_seconds >= min_update_interval_seconds &&
        update_interval_seconds <= max_update_interval_seconds)) {
    close("the server asks for " + std::to_string(sampling_rate_fps) + " fps every " +
              std::to_string(update_interval_seconds) + " s; allowed are " +
              std::to_string(min_sampling_rate_fps) + " to " +
              std::to_string(options_.max_sampling_rate_fps) + " fps every " +
              std::to_string(min_update_interval_seconds) + " to " +
              std::to_string(max_update_interval_seconds) + " s",
          actions);
    return false;
  }
  told_rate_fps_ = sampling_rate_fps;
  set_clock();
  if (flush_seconds_ && first_batch_left_) {
    *flush_seconds_ += update_interval_seconds - update_interval_seconds_;
  }
  update_interval_seconds_ = update_interval_seconds;
  return true;
}

inline void EdgeClient::welcome(const Welcome& welcome, EdgeActions& actions) {
  if (welcome.version != protocol_version) {
    backoff_.slow_down();
    close("the server speaks protocol version " + std::to_string(welcome.version) +
              ", this device version " + std::to_string(protocol_version),
          actions);
    return;
  }
  if (welcome.last_batch_id >= max_batch_id) {  // there would be no next one
    close("Welcome names a batch id of 2^62 or more", actions);
    return;
  }
  if (!set_rates(welcome.sampling_rate_fps, welcome.update_interval_seconds, actions)) return;
  link_ = Link::streaming;
  streaming_since_seconds_ = now_seconds_;
  ++counters_.connections;

  std::erase_if(kept_,
                [&](const KeptBatch& k) { return k.batch.batch_id <= welcome.last_batch_id; });
  for (KeptBatch& kept : kept_) send_batch(kept, actions);
  next_batch_id_ = std::max(next_batch_id_, welcome.last_batch_id + 1);
}

inline void EdgeClient::fault(const Fault& fault, EdgeActions& actions) {
  // Trying again soon does not help against these.
  if (fault.code == ErrorCode::unauthorized || fault.code == ErrorCode::unsupported_version ||
      fault.code == ErrorCode::manifest_mismatch) {
    backoff_.slow_down();
  }
  if (fault.retry_seconds > 0) busy_seconds_ = std::min(fault.retry_seconds, max_retry_seconds);
  // A batch may be what the server does not take; sent again, it would end every later connection.
  // A Fault instead of Welcome speaks of no batch.
  if (link_ == Link::streaming &&
      (fault.code == ErrorCode::limit_exceeded || fault.code == ErrorCode::malformed_data)) {
    counters_.batches_refused += std::erase_if(kept_, [](const KeptBatch& k) { return k.sent; });
  }
  close(std::string("the server: ") + to_string(fault.code) + ": " + fault.message, actions);
}

/// held_ has moved on.
inline void EdgeClient::taken_over(Bytes update, EdgeActions& actions) {
  refusals_in_a_row_ = 0;
  const ModelVersion version = held_.version();
  actions.emplace_back(Publish{version});
  actions.emplace_back(Persist{version, std::move(update)});
  if (streaming() && options_.ack_policy == AckPolicy::applied)
    actions.emplace_back(SendToServer{Ack{version}});
}

inline void EdgeClient::refuse(const Error& error, EdgeActions& actions) {
  ++counters_.refusals;
  last_error_ = std::string(to_string(error.code())) + ": " + error.what();
  if (!streaming()) return;  // leaving: nobody would heal it
  actions.emplace_back(SendToServer{
      Refusal{held_.version(), error.code(), std::string(cut_text(error.what(), max_text_bytes))}});
  if (++refusals_in_a_row_ >= options_.max_consecutive_refusals) {
    close("refused " + std::to_string(refusals_in_a_row_) +
              " updates in a row; the latest: " + last_error_,
          actions);
  }
}

inline void EdgeClient::update(const Update& update, EdgeActions& actions) {
  partial_ = {};
  try {
    apply_update(update.bytes.span(), held_);
  } catch (const Error& error) {
    return refuse(error, actions);
  }
  ++counters_.updates;
  counters_.update_bytes += update.bytes.size();
  taken_over(update.bytes, actions);
}

inline void EdgeClient::snapshot(std::span<const std::byte> bytes, EdgeActions& actions) {
  partial_ = {};
  try {
    held_ = decode_snapshot(bytes, held_.manifest_ptr());
  } catch (const Error& error) {
    return refuse(error, actions);
  }
  ++counters_.snapshots;
  counters_.snapshot_bytes += bytes.size();
  taken_over({}, actions);
}

/// Memory follows what has arrived, and is at most about twice the model's.
inline void EdgeClient::snapshot_part(const SnapshotPart& part, EdgeActions& actions) {
  const std::uint64_t most = 8 * std::uint64_t{held_.manifest().dimension()} + (1UL << 20);
  if (part.offset_bytes == 0) partial_ = {part.digest, part.size_bytes, {}};
  const std::size_t received = partial_.bytes.size();
  if (part.size_bytes > most || part.digest != partial_.digest ||
      part.size_bytes != partial_.size_bytes || part.offset_bytes != received ||
      part.bytes.empty() || part.bytes.size() > part.size_bytes - received) {
    partial_ = {};
    return close("the server sent a part that does not go on the snapshot", actions);
  }
  partial_.bytes.insert(partial_.bytes.end(), part.bytes.begin(), part.bytes.end());
  if (partial_.bytes.size() < partial_.size_bytes) return;
  const PartialSnapshot whole = std::exchange(partial_, {});
  if (byte_digest(whole.bytes) != whole.digest) {
    return refuse(Error(ErrorCode::digest_mismatch, "the parts are not the snapshot"), actions);
  }
  snapshot(whole.bytes, actions);
}

inline EdgeActions EdgeClient::on_message(const ServerMessage& message, double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  if (link_ == Link::greeting) {
    if (const auto* w = std::get_if<Welcome>(&message)) {
      welcome(*w, actions);
    } else if (const auto* f = std::get_if<Fault>(&message)) {
      fault(*f, actions);
    } else if (const auto* b = std::get_if<Bye>(&message)) {
      close("the server says goodbye: " + b->reason, actions);
    } else {
      close("the server's first message is not Welcome", actions);
    }
  } else if (link_ == Link::streaming || link_ == Link::leaving) {
    if (const auto* u = std::get_if<Update>(&message)) {
      update(*u, actions);
    } else if (const auto* s = std::get_if<Snapshot>(&message)) {
      snapshot(s->bytes.span(), actions);
    } else if (const auto* p = std::get_if<SnapshotPart>(&message)) {
      snapshot_part(*p, actions);
    } else if (link_ == Link::leaving) {
      // All but the model has lost its meaning.
    } else if (const auto* c = std::get_if<Control>(&message)) {
      set_rates(c->sampling_rate_fps, c->update_interval_seconds, actions);
    } else if (const auto* f = std::get_if<Fault>(&message)) {
      fault(*f, actions);
    } else if (const auto* b = std::get_if<Bye>(&message)) {
      close("the server says goodbye: " + b->reason, actions);
    } else {
      close("the server sent a second Welcome", actions);
    }
  }
  // Otherwise it comes from a connection that has been given up.
  poll(actions);
  return actions;
}

inline bool EdgeClient::wants_frame(double capture_seconds) const noexcept {
  return link_ != Link::stopped && link_ != Link::leaving && link_ != Link::ending &&
         is_capture_time(capture_seconds) && clock_.wants(capture_seconds);
}

inline EdgeActions EdgeClient::on_frame(double capture_seconds, Handle frame, double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  ++counters_.frames;
  if (!is_capture_time(capture_seconds)) {
    ++counters_.frames_invalid;
  } else if (wants_frame(capture_seconds)) {
    clock_.take(capture_seconds);
    ++counters_.frames_sampled;
    if (!flush_seconds_) flush_seconds_ = now_seconds_ + options_.first_batch_seconds;
    if (std::exchange(is_new_scene_, false)) flush_seconds_ = now_seconds_;
    if (buffer_.size() >= options_.max_buffered_frames) {
      buffer_.pop_front();
      due_frames_ -= std::min<std::size_t>(due_frames_, 1);
      ++counters_.frames_dropped;
    }
    buffer_.push_back({capture_seconds, clock_.period_seconds(), std::move(frame)});
  }
  poll(actions);
  return actions;
}

inline EdgeClient::Encoding EdgeClient::finish_encoding(std::uint64_t batch_id,
                                                        double now_seconds) {
  if (!encoding_ || encoding_->batch_id != batch_id) {
    throw Error(ErrorCode::invalid_argument,
                "EdgeClient: batch " + std::to_string(batch_id) +
                    " is not being encoded; only the batch of the latest EncodeBuffer is");
  }
  advance(now_seconds);
  return std::move(*std::exchange(encoding_, std::nullopt));
}

inline EdgeActions EdgeClient::on_encoded(std::uint64_t batch_id, Bytes bitstream,
                                          double now_seconds) {
  if (bitstream.empty()) return on_encode_failed(batch_id, now_seconds);
  Encoding encoding = finish_encoding(batch_id, now_seconds);
  EdgeActions actions;
  kept_.push_back(
      {FrameBatch{batch_id, std::move(encoding.capture_seconds), std::move(bitstream)}, false});
  if (link_ == Link::streaming) send_batch(kept_.back(), actions);
  while (kept_.size() > options_.max_kept_batches) kept_.pop_front();
  poll(actions);
  return actions;
}

inline EdgeActions EdgeClient::on_encode_failed(std::uint64_t batch_id, double now_seconds) {
  finish_encoding(batch_id, now_seconds);
  ++counters_.batches_failed;
  last_error_ = "batch " + std::to_string(batch_id) + " could not be encoded";
  EdgeActions actions;
  poll(actions);
  return actions;
}

inline EdgeActions EdgeClient::on_published(ModelVersion version, double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  // While a newer version waits to be published, its Ack will say it all.
  if (link_ == Link::streaming && options_.ack_policy == AckPolicy::published &&
      version == held_.version()) {
    actions.emplace_back(SendToServer{Ack{version}});
  }
  poll(actions);
  return actions;
}

inline EdgeActions EdgeClient::on_time(double now_seconds) {
  advance(now_seconds);
  EdgeActions actions;
  poll(actions);
  return actions;
}

inline std::optional<double> EdgeClient::next_wake_seconds() const {
  if (link_ == Link::waiting) return reconnect_seconds_;
  if (link_ == Link::greeting) return welcome_deadline_seconds_;
  if (link_ == Link::leaving) return goodbye_deadline_seconds_;
  if (link_ == Link::streaming && !encoding_ && !buffer_.empty()) return flush_seconds_;
  return std::nullopt;
}

}  // namespace ams
