#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/write_update.hpp"

namespace ams {

struct ModelFeedOptions {
  EncodeOptions encode = {};               ///< of publish() without a written update
  int snapshot_zstd_level = 3;             ///< 1 to 19
  std::size_t max_history_updates = 4096;  ///< updates kept for a device that comes back
  /// And their bytes: a device that has missed more gets a snapshot. 0: about what a snapshot has.
  std::size_t max_history_bytes = 0;
  /// In answer to wrong acks and refusals, without a good Ack of an update between.
  std::size_t max_consecutive_snapshots = 4;
};

/// Longest SnapshotPart: a connection that carries so much brings a device on.
inline constexpr std::size_t snapshot_part_bytes = 32UL << 10;

/// An update that was published, and the version that it leads on from.
struct PublishedUpdate {
  ModelVersion base;
  Bytes bytes;
};

/// The server's end of one device's model: knows what the device holds, keeps recent updates for
/// its return, and finds the way to the newest version for a device that holds something else.
/// Independent of training, so that it also feeds devices whose weights come from elsewhere. A
/// plain value; not thread-safe.
class ModelFeed {
 public:
  /// Throws Error(invalid_argument) for a state without a manifest, and options out of range.
  explicit ModelFeed(ModelState initial, ModelFeedOptions options = {});

  /// What the device holds, or will.
  const ModelState& held() const noexcept { return *held_; }

  /// The same, to keep while newer versions are published.
  const std::shared_ptr<const ModelState>& held_ptr() const noexcept { return held_; }

  /// What the device last said that it holds. Meaningless before the first connection.
  ModelVersion confirmed() const noexcept { return confirmed_; }
  bool connected() const noexcept { return connected_; }

  /// Updates and snapshots sent on this connection that await an answer.
  std::size_t in_flight() const noexcept { return in_flight_.size(); }
  std::size_t in_flight_bytes() const noexcept;

  /// Since when the oldest of them does; nothing when none is in flight.
  std::optional<double> waiting_since_seconds() const noexcept;

  std::size_t history_updates() const noexcept { return history_.size(); }

  /// The newest updates, each from the version that the one before leads to, the last to held().
  const std::deque<PublishedUpdate>& history() const noexcept { return history_; }

  /// Takes over the history() of a feed that had the same held(). Throws Error(invalid_argument)
  /// when its versions do not lead there, with nothing changed.
  void restore_history(std::vector<PublishedUpdate> updates);

  std::size_t history_bytes() const noexcept { return history_bytes_; }

  struct Resumption {
    Resume resume = Resume::in_step;
    std::vector<ServerMessage> messages;  ///< to send after Welcome, in order
  };

  /// A device that holds `device` has connected. It gets the updates that it missed when all of
  /// them are in the history and it has not refused the first of them before, else a snapshot.
  /// progress: the device takes a snapshot in parts. One that it has begun goes on where it broke
  /// off, with the updates since then behind it, as long as they are in the history.
  Resumption connect(ModelVersion device, double now_seconds,
                     const std::optional<SnapshotProgress>& progress = {});
  void disconnect() noexcept;

  /// Takes over a written update: `bytes` lead from held() to `next`. Gives the message to send,
  /// when connected.
  std::optional<ServerMessage> publish(std::shared_ptr<const ModelState> next, Bytes bytes,
                                       double now_seconds);

  /// The device gets this state, by no update: what came before is forgotten. Its version number
  /// must be above held()'s. Gives the snapshot to send, when connected.
  std::optional<ServerMessage> replace(std::shared_ptr<const ModelState> next, double now_seconds);

  struct Published {
    std::size_t coordinates = 0;
    std::size_t bytes = 0;
    std::optional<ServerMessage> message;  ///< to send, when connected
  };

  /// Encodes trained[with_statistics(coordinates)] as the next update and moves held(). `encode`
  /// replaces the options' for this update. Throws as encode_update() does; nothing has changed
  /// then.
  Published publish(std::span<const float> trained, const CoordinateSet& coordinates,
                    double now_seconds, const std::optional<EncodeOptions>& encode = {});

  struct Answer {
    bool expected = true;                  ///< false: an Ack of a version that was never sent
    std::optional<ServerMessage> message;  ///< a snapshot, when the device needs one
  };

  /// The device holds `device`. A version that the server never sent is answered with a snapshot.
  /// Throws Error(protocol_violation) when more snapshots in a row were needed than the options
  /// allow.
  Answer on_ack(ModelVersion device, double now_seconds);

  /// The device refused what followed `device`. Answered with a snapshot, once: the updates that
  /// were on their way behind the refused one will be refused as well. Throws as on_ack() does.
  Answer on_refusal(ModelVersion device, double now_seconds);

 private:
  struct Sent {
    ModelVersion version;
    std::size_t bytes = 0;
    bool is_snapshot = false;
  };

  /// A snapshot that goes out in parts, until the device has it.
  struct Begun {
    ModelVersion version;
    Digest digest = 0;
    Bytes bytes;
  };

  void remember(PublishedUpdate update);
  std::deque<PublishedUpdate>::const_iterator updates_after(ModelVersion version) const;
  void send_updates(std::deque<PublishedUpdate>::const_iterator first, Resumption& to,
                    double now_seconds);
  void send_parts(const SnapshotProgress& progress, Resumption& to, double now_seconds);
  void push_in_flight(const Sent& sent, double now_seconds);
  void confirm_up_to(std::deque<Sent>::iterator last, double now_seconds);
  ServerMessage resync(double now_seconds);

  std::shared_ptr<const ModelState> held_;
  ModelFeedOptions options_;
  std::deque<PublishedUpdate> history_;
  std::size_t history_bytes_ = 0;
  std::optional<Begun> begun_;

  bool connected_ = false;
  ModelVersion confirmed_;
  std::optional<ModelVersion>
      refused_after_;  // what follows it was refused, and nothing taken since
  std::deque<Sent> in_flight_;
  double waiting_since_seconds_ = 0;
  std::size_t stale_refusals_ = 0;  // still to come for updates sent before the newest snapshot
  std::size_t snapshots_in_a_row_ = 0;
};

// ---- implementation ----

namespace detail {

/// encode_snapshot() gives about 3.4 bytes a value; small models may have some history all the
/// same.
inline std::size_t about_snapshot_bytes(std::size_t dimension) {
  return std::max<std::size_t>(dimension * 17 / 5, 1UL << 16);
}

}  // namespace detail

inline ModelFeed::ModelFeed(ModelState initial, ModelFeedOptions options)
    : held_(std::make_shared<const ModelState>(std::move(initial))),
      options_(options),
      confirmed_(held().version()) {
  if (!held().manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "ModelFeed: the initial model state has no manifest");
  }
  validate(options_.encode);
  if (options_.snapshot_zstd_level < 1 || options_.snapshot_zstd_level > 19) {
    throw Error(ErrorCode::invalid_argument, "ModelFeed: snapshot_zstd_level is " +
                                                 std::to_string(options_.snapshot_zstd_level) +
                                                 "; allowed is 1 to 19");
  }
  if (options_.max_history_bytes == 0) {
    options_.max_history_bytes = detail::about_snapshot_bytes(held().manifest().dimension());
  }
}

inline std::optional<double> ModelFeed::waiting_since_seconds() const noexcept {
  if (in_flight_.empty()) return std::nullopt;
  return waiting_since_seconds_;
}

inline std::size_t ModelFeed::in_flight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Sent& sent : in_flight_) bytes += sent.bytes;
  return bytes;
}

inline void ModelFeed::push_in_flight(const Sent& sent, double now_seconds) {
  if (in_flight_.empty()) waiting_since_seconds_ = now_seconds;
  in_flight_.push_back(sent);
}

inline std::deque<PublishedUpdate>::const_iterator ModelFeed::updates_after(
    ModelVersion version) const {
  return std::find_if(history_.begin(), history_.end(),
                      [&](const PublishedUpdate& u) { return u.base == version; });
}

inline void ModelFeed::send_updates(std::deque<PublishedUpdate>::const_iterator first,
                                    Resumption& to, double now_seconds) {
  for (auto record = first; record != history_.end(); ++record) {
    const auto next = std::next(record);
    to.messages.emplace_back(Update{record->bytes});
    push_in_flight({next == history_.end() ? held().version() : next->base, record->bytes.size()},
                   now_seconds);
  }
}

inline void ModelFeed::send_parts(const SnapshotProgress& progress, Resumption& to,
                                  double now_seconds) {
  const bool goes_on =
      begun_ && progress.digest == begun_->digest && progress.size_bytes == begun_->bytes.size() &&
      progress.received_bytes < progress.size_bytes &&
      (begun_->version == held().version() || updates_after(begun_->version) != history_.end());
  if (!goes_on) {
    Bytes bytes = encode_snapshot(held(), options_.snapshot_zstd_level);
    begun_ = Begun{held().version(), byte_digest(bytes.span()), std::move(bytes)};
  }
  const std::size_t size = begun_->bytes.size();
  std::size_t offset = goes_on ? static_cast<std::size_t>(progress.received_bytes) : 0;
  push_in_flight({begun_->version, size - offset, true}, now_seconds);
  if (offset == 0 && size <= snapshot_part_bytes) {
    to.messages.emplace_back(Snapshot{begun_->bytes});
    offset = size;
  }
  while (offset < size) {
    const std::size_t count = std::min(snapshot_part_bytes, size - offset);
    to.messages.emplace_back(
        SnapshotPart{begun_->digest, size, offset, begun_->bytes.slice(offset, count)});
    offset += count;
  }
  send_updates(updates_after(begun_->version), to, now_seconds);
}

inline ModelFeed::Resumption ModelFeed::connect(ModelVersion device, double now_seconds,
                                                const std::optional<SnapshotProgress>& progress) {
  disconnect();
  connected_ = true;
  confirmed_ = device;
  Resumption result;
  if (device == held().version()) {
    begun_.reset();
    return result;
  }

  // Sent again, what was refused would be refused again, and those behind it with it.
  const auto missing = refused_after_ == device ? history_.cend() : updates_after(device);
  if (missing == history_.end()) {
    result.resume = Resume::snapshot;
    if (progress) {
      send_parts(*progress, result, now_seconds);
      return result;
    }
    Snapshot snapshot{encode_snapshot(held(), options_.snapshot_zstd_level)};
    push_in_flight({held().version(), snapshot.bytes.size(), true}, now_seconds);
    result.messages.emplace_back(std::move(snapshot));
    return result;
  }
  begun_.reset();
  result.resume = Resume::updates;
  send_updates(missing, result, now_seconds);
  return result;
}

inline void ModelFeed::disconnect() noexcept {
  connected_ = false;
  in_flight_.clear();
  stale_refusals_ = 0;
  snapshots_in_a_row_ = 0;
}

inline std::optional<ServerMessage> ModelFeed::publish(std::shared_ptr<const ModelState> next,
                                                       Bytes bytes, double now_seconds) {
  const ModelVersion base = held().version();
  held_ = std::move(next);
  std::optional<ServerMessage> message;
  if (connected_) {
    message = Update{bytes};
    push_in_flight({held().version(), bytes.size()}, now_seconds);
  }
  remember({base, std::move(bytes)});
  return message;
}

inline std::optional<ServerMessage> ModelFeed::replace(std::shared_ptr<const ModelState> next,
                                                       double now_seconds) {
  held_ = std::move(next);
  history_.clear();
  history_bytes_ = 0;
  if (!connected_) return std::nullopt;
  Snapshot snapshot{encode_snapshot(held(), options_.snapshot_zstd_level)};
  push_in_flight({held().version(), snapshot.bytes.size(), true}, now_seconds);
  return snapshot;
}

inline void ModelFeed::remember(PublishedUpdate update) {
  history_bytes_ += update.bytes.size();
  history_.push_back(std::move(update));
  while (history_.size() > options_.max_history_updates ||
         history_bytes_ > options_.max_history_bytes) {
    history_bytes_ -= history_.front().bytes.size();
    history_.pop_front();
  }
}

inline void ModelFeed::restore_history(std::vector<PublishedUpdate> updates) {
  const std::size_t count = updates.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (std::size_t{updates[i].base.number} + (count - i) != held().version().number) {
      throw Error(ErrorCode::invalid_argument,
                  "ModelFeed: the updates of a history must lead, one after another, to version " +
                      std::to_string(held().version().number));
    }
  }
  history_.clear();
  history_bytes_ = 0;
  for (PublishedUpdate& update : updates) remember(std::move(update));
}

inline ModelFeed::Published ModelFeed::publish(std::span<const float> trained,
                                               const CoordinateSet& coordinates, double now_seconds,
                                               const std::optional<EncodeOptions>& encode) {
  const CoordinateSet sent = with_statistics(held(), trained, coordinates);
  auto next = std::make_shared<ModelState>(held());
  Bytes bytes = encode_update(*next, trained, sent, encode.value_or(options_.encode));
  const std::size_t size = bytes.size();
  return {sent.size(), size, publish(std::move(next), std::move(bytes), now_seconds)};
}

inline void ModelFeed::confirm_up_to(std::deque<Sent>::iterator last, double now_seconds) {
  confirmed_ = last->version;
  refused_after_.reset();
  // The device answers in order: what it says of messages before a snapshot it has said.
  if (std::any_of(in_flight_.begin(), std::next(last), [](const Sent& s) { return s.is_snapshot; }))
    stale_refusals_ = 0;
  begun_.reset();  // it is the first that was in flight
  in_flight_.erase(in_flight_.begin(), std::next(last));
  waiting_since_seconds_ = now_seconds;
}

inline ServerMessage ModelFeed::resync(double now_seconds) {
  if (snapshots_in_a_row_ >= options_.max_consecutive_snapshots) {
    throw Error(ErrorCode::protocol_violation,
                "the device took none of " + std::to_string(snapshots_in_a_row_) +
                    " snapshots in a row; at most " +
                    std::to_string(options_.max_consecutive_snapshots) + " are sent");
  }
  Snapshot snapshot{encode_snapshot(held(), options_.snapshot_zstd_level)};
  ++snapshots_in_a_row_;
  begun_.reset();
  in_flight_.clear();
  push_in_flight({held().version(), snapshot.bytes.size(), true}, now_seconds);
  return snapshot;
}

inline ModelFeed::Answer ModelFeed::on_ack(ModelVersion device, double now_seconds) {
  const auto sent = std::find_if(in_flight_.begin(), in_flight_.end(),
                                 [&](const Sent& s) { return s.version == device; });
  if (sent != in_flight_.end()) {
    // Of a snapshot it is no reason for another one: whoever takes each and then asks for the next
    // would get as many as it likes.
    if (!sent->is_snapshot) snapshots_in_a_row_ = 0;
    confirm_up_to(sent, now_seconds);
    return {};
  }
  if (device == confirmed_) return {};  // said once more, after a refusal or a reconnection

  Answer answer;
  answer.expected = false;
  // A snapshot that is on its way already heals whatever this Ack reports.
  const bool healing = std::any_of(in_flight_.begin(), in_flight_.end(),
                                   [](const Sent& s) { return s.is_snapshot; });
  if (healing) return answer;
  const auto behind = std::count_if(in_flight_.begin(), in_flight_.end(), [&](const Sent& s) {
    return s.version.number > device.number;
  });
  answer.message = resync(now_seconds);
  stale_refusals_ = static_cast<std::size_t>(behind);
  return answer;
}

inline ModelFeed::Answer ModelFeed::on_refusal(ModelVersion device, double now_seconds) {
  if (stale_refusals_ > 0) {
    --stale_refusals_;
    return {};
  }
  // The device answers in order, so the refused message is the one after what it holds.
  const auto sent = std::find_if(in_flight_.begin(), in_flight_.end(),
                                 [&](const Sent& s) { return s.version == device; });
  const std::size_t taken =
      sent == in_flight_.end() ? 0 : static_cast<std::size_t>(sent - in_flight_.begin()) + 1;
  const std::size_t behind = in_flight_.size() > taken ? in_flight_.size() - taken - 1 : 0;
  Answer answer;
  answer.message = resync(now_seconds);
  confirmed_ = device;
  refused_after_ = device;
  stale_refusals_ = behind;
  return answer;
}

}  // namespace ams
