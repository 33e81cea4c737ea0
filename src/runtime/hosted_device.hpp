#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ams/core/model_state.hpp"
#include "ams/runtime/device_status.hpp"
#include "ams/runtime/frame_allowance.hpp"
#include "ams/runtime/link_counters.hpp"
#include "ams/runtime/stage_times.hpp"
#include "ams/runtime/transport.hpp"
#include "ams/session/server_session.hpp"
#include "device_history.hpp"
#include "student_parts.hpp"

namespace ams::detail {

/// One device of a ServerHost: its session lives on while the device is away. Not thread-safe.
struct HostedDevice {
  HostedDevice(ServerSession its_session, StudentPtr its_student)
      : session(std::move(its_session)), student(std::move(its_student)) {}

  // ---- its connection ----

  std::optional<ConnectionId> connection = {};
  LinkCounters ended_links = {};
  bool has_reserved_place = false;
  double last_seen_seconds = 0;  ///< when its connection ended
  double heard_seconds = 0;      ///< the latest message

  /// Notes that it came while its connection was alive. Whether that happens so often that two
  /// devices must have its id: of two behind one address each throws the other out.
  bool is_contested(double now);

  // ---- its session ----

  ServerSession session;
  StudentPtr student;
  bool is_pinned = false;                       ///< paused by what it has of its own (DeviceSetup)
  std::string last_failure = {};                ///< of the session; the same one is logged once
  std::string batch_error = {};                 ///< the session's latest error of a failed batch
  std::string batch_failure = {};               ///< and why it failed
  FrameAllowance allowance = {};                ///< of the teacher's time
  std::uint64_t batches_beyond = 0;             ///< that it did not allow
  std::optional<double> label_seconds = {};     ///< when the newest label came
  std::optional<double> labelled_seconds = {};  ///< since then labels wait for a phase
  double phase_begin_seconds = 0;               ///< of the phase that runs
  std::optional<double> loss = {};              ///< last of the latest phase
  std::deque<double> phase_seconds = {};        ///< of the latest phases
  std::deque<std::shared_ptr<const ModelState>> earlier = {};  ///< for roll_back(), newest last

  /// A phase has trained.
  void note_phase(const TrainingResult& result);

  /// Before the model moves on: keeps it as an earlier one, of `most`, where it is time to.
  void keep_earlier(std::size_t most, double now);

  /// The version that the phase at hand leads to.
  std::uint64_t next_version() const { return std::uint64_t{session.held().version().number} + 1; }

  // ---- updates that it has not acknowledged ----

  void update_left(double now);
  void forget_updates() { unacknowledged_.clear(); }

  /// How long the version took, if it is one that left lately.
  std::optional<double> acknowledged(std::uint64_t version, double now);

  // ---- the store ----

  bool is_saving = false;         ///< the store is at work, without the host's lock
  std::string save_failure = {};  ///< why the latest save failed; told when that begins and ends
  std::uint64_t saves_failed = 0;
  std::optional<double> unsaved_seconds = {};  ///< since then samples wait to be saved

  // ---- for an operator ----

  StageTimes stages = {};
  DeviceHistory history = {};

  /// links: of all its connections.
  DeviceStatus status(const std::string& id, const std::string& peer, const LinkCounters& links,
                      double now) const;
  void remember(const LinkCounters& links, double now);

 private:
  int takeovers_ = 0;  // of a connection that was alive, since:
  double takeovers_since_ = 0;
  double earlier_seconds_ = 0;                                   // when the newest was kept
  std::deque<std::pair<std::uint64_t, double>> unacknowledged_;  // version, when it left
};

}  // namespace ams::detail
