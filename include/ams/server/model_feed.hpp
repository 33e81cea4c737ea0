#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "ams/core/coordinate_set.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/protocol/messages.hpp"

namespace ams {

struct ModelFeedOptions {
  EncodeOptions encode = {};
  int snapshot_zstd_level = 3;             ///< 1 to 19
  std::size_t max_history_updates = 4096;  ///< updates kept for a device that comes back
  /// And their bytes: a device that has missed more gets a snapshot. 0: about what a snapshot has.
  std::size_t max_history_bytes = 0;
  /// In answer to wrong acks and refusals, without a good Ack of an update between.
  std::size_t max_consecutive_snapshots = 4;
};

/// The statistics (tensors of kind `statistic`) that differ between two parameter vectors, whole
/// tensors each. Both have manifest.dimension() values, else Error(invalid_argument).
CoordinateSet changed_statistics(const Manifest& manifest, std::span<const float> held,
                                 std::span<const float> trained);

/// The server's end of one device's model: knows what the device holds, keeps recent updates for
/// its return, and finds the way to the newest version for a device that holds something else.
/// Independent of training, so that it also feeds devices whose weights come from elsewhere. A
/// plain value; not thread-safe.
class ModelFeed {
 public:
  /// Throws Error(invalid_argument) for a state without a manifest, and options out of range.
  explicit ModelFeed(ModelState initial, ModelFeedOptions options = {});

  const ModelState& held() const noexcept { return held_; }

  /// What the device last said that it holds. Meaningless before the first connection.
  ModelVersion confirmed() const noexcept { return confirmed_; }
  bool connected() const noexcept { return connected_; }

  /// Updates and snapshots sent on this connection that await an answer.
  std::size_t in_flight() const noexcept { return in_flight_.size(); }
  std::size_t in_flight_bytes() const noexcept;

  /// Since when the oldest of them does; nothing when none is in flight.
  std::optional<double> waiting_since_seconds() const noexcept;

  std::size_t history_updates() const noexcept { return history_.size(); }
  std::size_t history_bytes() const noexcept { return history_bytes_; }

  struct Resumption {
    Resume resume = Resume::in_step;
    std::vector<ServerMessage> messages;  ///< to send after Welcome, in order
  };

  /// A device that holds `device` has connected. It gets the updates that it missed when all of
  /// them are in the history and it has not refused the first of them before, else a snapshot.
  Resumption connect(ModelVersion device, double now_seconds);
  void disconnect() noexcept;

  struct Published {
    std::size_t coordinates = 0;
    std::size_t bytes = 0;
    std::optional<ServerMessage> message;  ///< to send, when connected
  };

  /// `coordinates` together with all statistics that changed: what an update must carry.
  CoordinateSet with_statistics(std::span<const float> trained,
                                const CoordinateSet& coordinates) const;

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
  struct Record {
    ModelVersion base;
    std::vector<std::byte> bytes;
  };
  struct Sent {
    ModelVersion version;
    std::size_t bytes = 0;
    bool is_snapshot = false;
  };

  void push_in_flight(const Sent& sent, double now_seconds);
  void confirm_up_to(std::deque<Sent>::iterator last, double now_seconds);
  ServerMessage resync(double now_seconds);

  ModelState held_;
  ModelFeedOptions options_;
  std::deque<Record> history_;  // each record's base is the version that the one before leads to
  std::size_t history_bytes_ = 0;

  bool connected_ = false;
  ModelVersion confirmed_;
  std::optional<ModelVersion>
      refused_after_;  // what follows it was refused, and nothing taken since
  std::deque<Sent> in_flight_;
  double waiting_since_seconds_ = 0;
  std::size_t stale_refusals_ = 0;  // still to come for updates sent before the newest snapshot
  std::size_t snapshots_in_a_row_ = 0;
};

}  // namespace ams
