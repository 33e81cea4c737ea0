#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"
#include "ams/runtime/device_status.hpp"
#include "ams/runtime/executor.hpp"
#include "ams/runtime/frame_codec.hpp"
#include "ams/runtime/log_sink.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/runtime/session_store.hpp"
#include "ams/runtime/stage_times.hpp"
#include "ams/runtime/teacher.hpp"
#include "ams/runtime/transport.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/server_session.hpp"
#include "ams/session/session_options.hpp"
#include "ams/session/task.hpp"
#include "ams/session/training_job.hpp"
#include "ams/session/update_policy.hpp"

namespace ams {

/// A student, and what teaches it. None may be null, unless it says so.
struct StudentParts {
  ModelState initial;  ///< w_0, the same for every device that has this student
  std::shared_ptr<const Task> task;
  std::shared_ptr<Teacher> teacher;                ///< all sessions of this student share it
  std::shared_ptr<Trainer> trainer;                ///< likewise
  std::shared_ptr<SessionStore> store = nullptr;   ///< null: sessions live as long as the host
  std::shared_ptr<Predictor> predictor = nullptr;  ///< for show(); null: it draws no predictions
  Digest fingerprint = 0;       ///< a device that says another one, not 0, is refused
  std::string name = {};        ///< for operators
  std::string wrong_text = {};  ///< what a device that has another student is told
};

/// What one device has of its own.
struct DeviceSetup {
  std::unique_ptr<UpdatePolicy> policy;
  SessionOptions session = {};  ///< its session_id is the host's to choose
  bool is_paused = false;       ///< from the beginning of each life of the host; not stored
  std::shared_ptr<const StudentParts> student = nullptr;  ///< null: the host's
};

/// What a ServerHost is made of. None may be null, unless it says so.
struct ServerParts {
  ModelState initial;  ///< w_0, the same for every device
  std::shared_ptr<const Task> task;
  std::function<std::unique_ptr<UpdatePolicy>()> make_policy;  ///< one for each session
  /// What a device has in place of make_policy, ServerHostOptions::session and the student here;
  /// nothing, or null: it is as the others. Asked at each Hello.
  std::function<std::optional<DeviceSetup>(const std::string& device_id)> of_device = nullptr;
  std::shared_ptr<Teacher> teacher;  ///< all sessions share it
  std::shared_ptr<Trainer> trainer;  ///< likewise
  std::shared_ptr<const FrameCodec> codec;
  std::shared_ptr<SessionStore> store = nullptr;   ///< null: sessions live as long as the host
  std::shared_ptr<Predictor> predictor = nullptr;  ///< for show(); null: it draws no predictions
};

struct ServerHostOptions {
  SessionOptions session = {};     ///< of every session; session_id counts on from it
  std::size_t max_devices = 64;    ///< sessions kept; a new device takes the place of an absent one

  /// Devices that always have a place, and how many they are, up to max_devices: the others share
  /// what is left, and take no place of theirs. Called from any thread. Null: all are alike.
  std::function<bool(const std::string& device_id)> has_reserved_place = nullptr;
  std::function<std::size_t()> reserved_places = nullptr;

  double busy_retry_seconds = 30;  ///< a device that finds no place is told to come back after it
  Digest student_fingerprint = 0;  ///< a device that says another one, not 0, is refused
  std::string student_name = {};   ///< for operators
  /// States kept for roll_back(), each as large as the model: what a device held, once in five
  /// minutes.
  std::size_t earlier_states = 2;
  /// What a refused device is told.
  std::string wrong_student_text = "the device runs another student than this server trains";
  std::string full_text = "the server has as many devices as it takes";
  /// May be null. Gets the stages of all devices.
  std::function<void(const std::string& device_id, Stage, double seconds, std::uint64_t number)>
      on_stage = nullptr;
};

/// What there is to say about one device's session.
struct SessionReport {
  std::string device_id;
  ModelVersion held;
  SessionCounters counters;
  std::vector<double> phase_seconds;  ///< of the latest 10000 phases
  LinkCounters ended_links;           ///< bytes of connections that have ended
  StageTimes stages;                  ///< the server's, and `acknowledge`
};

/// A server for any number of devices: connects their sessions (ServerSession) to a transport, a
/// teacher, a trainer and a store. It performs the sessions' actions.
///
/// - A session lives on while its device is away. A device that comes to a full host takes the
///   place of the one that has been away longest; where none is away, it is told when to come back.
/// - A session of the store goes on with its samples: they are decoded again, in turns.
/// - What the store cannot save is not sent: the device keeps its model, and each next phase trains
///   and saves anew. Samples are saved with updates, and by themselves while none is sent.
/// - A newer connection of a device takes over from its older one.
/// - Labelling (decode, teacher, Task::sample) and training (plan, train, write the update) are
///   Work for the executor.
/// - A part that throws costs a batch, a phase or a connection, and a line in the log.
///
/// A monitor: every function may be called from every thread, also from several at once. The
/// messages of one connection come in order, one at a time. The transport is called under the
/// host's lock, Executor::submit() is not; teacher, trainer, codec and store are not.
///
/// Stop the executor's threads before the host is destroyed. Work and functions that an executor
/// keeps beyond that do nothing.
class ServerHost {
 public:
  /// executor, transport and log outlive the host. Throws Error(invalid_argument) on options out of
  /// range, a null part and a policy that does not fit the model.
  ServerHost(ServerParts parts, ServerHostOptions options, Executor& executor,
             ServerTransport& transport, LogSink* log = nullptr);
  ~ServerHost();
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  // ---- events: the transport ----

  /// peer: the other end's address, for logs.
  void on_connected(ConnectionId connection, const std::string& peer);

  /// The first one is Hello. Its token has been checked. A connection that was not announced, or is
  /// gone, is not heard.
  void on_message(ConnectionId connection, DeviceMessage message);

  /// Exactly once for each on_connected(), also after ServerTransport::close().
  void on_disconnected(ConnectionId connection, const std::string& reason);

  // ---- time ----

  /// Wakes the sessions that asked for it. In real time, call it every 50 ms.
  void on_time();

  /// When on_time() is wanted next; nothing while all sessions wait for other events.
  std::optional<double> next_wake_seconds() const;

  /// Ends the device's connection, if it has one; its session stays.
  void disconnect(const std::string& device_id, const std::string& reason);

  // ---- an operator ----
  // Of a device that has no session they throw Error(invalid_argument). by: who asks, for the log.

  /// While paused no phase begins, and the device keeps its model. Labelling goes on. It
  /// outlives the host where there is a store.
  void set_paused(const std::string& device_id, bool is_paused, const std::string& by);

  /// Gives the device the un-customised student as its next version. Waits for the store. Throws
  /// Error(unavailable), with nothing changed, when it cannot save this.
  void reset(const std::string& device_id, const std::string& by);

  /// Likewise, with the newest of its earlier states, which is then no more kept. Throws
  /// Error(unavailable) where none is left; a restart of the host leaves none.
  void roll_back(const std::string& device_id, const std::string& by);

  /// How all devices are doing, in order of their ids; at most about a second old.
  std::vector<DeviceStatus> devices() const;

  /// The device's past, the oldest first: at most 512 points over the life of the host's session,
  /// rarer the longer it lasts.
  std::vector<HistoryPoint> history(const std::string& device_id) const;

  /// Predicts for people to look at, as Work of the least priority: calls `done` from there, once,
  /// with the pictures or why there are none.
  void show(const std::string& device_id,
            std::function<void(const DevicePictures*, const Error*)> done);

  // ---- the end ----

  /// No new phase and no new batch begins, and labelling ends after its frame. The phase that runs
  /// may finish, and its update leaves.
  void stop();

  // ---- state ----

  /// Prometheus text about the sessions, at most about a second old. Waits for nothing.
  std::string metrics() const;

  /// One entry for each session, in order of device ids.
  std::vector<SessionReport> report() const;

  /// Null when there is none. For single-threaded use.
  const ServerSession* session(const std::string& device_id) const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ams
