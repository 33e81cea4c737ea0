#include "ams/runtime/server_host.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <utility>
#include <variant>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/session/text.hpp"
#include "ams/session/write_update.hpp"
#include "current_error.hpp"
#include "device_pictures.hpp"
#include "hosted_device.hpp"
#include "labelling.hpp"
#include "server_metrics.hpp"
#include "student_parts.hpp"

namespace ams {
namespace {

using detail::current_error;
using detail::require;
using detail::store_of;
using detail::StudentPtr;
using Device = detail::HostedDevice;

/// A connection that was heard of so lately is alive: no other address takes it over.
constexpr double alive_seconds = 10;
/// Samples wait so long for an update to be saved with.
constexpr double longest_unsaved_seconds = 10;
constexpr double metrics_period_seconds = 1, least_metrics_period_seconds = 0.05;

NoLog no_log;

}  // namespace

class ServerHost::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(ServerParts parts, ServerHostOptions options, Executor& executor, ServerTransport& transport,
       LogSink* log)
      : parts_(std::move(parts)),
        options_(std::move(options)),
        executor_(executor),
        transport_(transport),
        log_(log != nullptr ? *log : no_log) {
    require(parts_.make_policy, "policy's factory");
    require(parts_.codec, "frame codec");
    student_ = std::make_shared<const StudentParts>(StudentParts{
        std::move(parts_.initial), std::move(parts_.task), std::move(parts_.teacher),
        std::move(parts_.trainer), std::move(parts_.store), std::move(parts_.predictor),
        options_.student_fingerprint, options_.student_name, options_.wrong_student_text});
    detail::check(*student_);
    validate(options_.session);
    if (options_.max_devices < 1) {
      throw Error(ErrorCode::invalid_argument,
                  "ServerHost: max_devices is 0; at least 1 is needed");
    }
    // A policy that does not fit the model says so now, not when the first device comes.
    const auto policy = parts_.make_policy();
    require(policy, "policy");
    policy->prepare(student_->initial);
    refresh_metrics(executor_.now_seconds());
  }

  // ---- events: the transport ----

  /// What these throw costs the connection and a line in the log; no event may end the server.
  template <class Event>
  void guard(ConnectionId connection, Event&& event) {
    try {
      event();
    } catch (...) {
      log_.error("connection_failed",
                 {{"connection", std::uint64_t{connection}}, {"message", current_error().what()}});
      const std::lock_guard lock(mutex_);
      if (!ended_) close(connection, "the server has failed on a message");
    }
  }

  void on_connected(ConnectionId connection, const std::string& peer) {
    const std::lock_guard lock(mutex_);
    links_[connection].peer = peer;
    log_.debug("connected", {{"connection", connection}, {"peer", peer}});
  }

  void on_message(ConnectionId connection, DeviceMessage message) {
    if (const auto* hello = std::get_if<Hello>(&message)) {
      Todo todo;
      {
        std::unique_lock lock(mutex_);
        greet(connection, *hello, lock, todo);
      }
      submit(std::move(todo));
      return;
    }
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      const auto link = links_.find(connection);
      if (link == links_.end() || link->second.is_closing) return;
      const auto found = devices_.find(link->second.device_id);
      if (found == devices_.end()) {
        turn_away(connection, Fault{ErrorCode::protocol_violation,
                                    "the first message of a connection must be Hello"});
        return;
      }
      found->second.heard_seconds = executor_.now_seconds();
      if (const auto* frames = std::get_if<FrameBatch>(&message);
          frames && !allows(*found, *frames)) {
        return;
      }
      if (const auto* ack = std::get_if<Ack>(&message)) note_ack(*found, ack->held.number);
      if (const auto* refusal = std::get_if<Refusal>(&message)) {
        log_.warning("update_refused", {{"device", found->first},
                                        {"code", to_string(refusal->code)},
                                        {"message", refusal->message},
                                        {"held_version", refusal->held.number}});
      }
      hear(*found, std::move(message), todo);
    }
    submit(std::move(todo));
  }

  void on_disconnected(ConnectionId connection, const std::string& reason) {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      const auto link = links_.find(connection);
      if (link == links_.end()) return;
      const std::string device_id = link->second.device_id;
      links_.erase(link);
      const auto found = devices_.find(device_id);
      if (found == devices_.end()) return;
      Device& device = found->second;
      const LinkCounters bytes = transport_.counters(connection);
      device.ended_links.uplink_bytes += bytes.uplink_bytes;
      device.ended_links.downlink_bytes += bytes.downlink_bytes;
      if (device.connection != connection) return;  // another one has taken over
      device.connection.reset();
      device.forget_updates();
      device.last_seen_seconds = executor_.now_seconds();
      log_.info("disconnected", {{"device", device_id}, {"reason", reason}});
      drive(*found, todo, [](ServerSession& s, double now) { return s.on_disconnect(now); });
    }
    submit(std::move(todo));
  }

  // ---- time ----

  void on_time() {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      const double now = executor_.now_seconds();
      for (auto& entry : devices_) {
        const auto wake = wake_seconds(entry);
        if (!wake || *wake > now) continue;
        drive(entry, todo, [](ServerSession& s, double t) { return s.on_time(t); });
      }
      if (now >= next_metrics_seconds_) refresh_metrics(now);
    }
    submit(std::move(todo));
  }

  std::optional<double> next_wake_seconds() {
    const std::lock_guard lock(mutex_);
    std::optional<double> earliest;
    for (auto& entry : devices_) {
      const auto wake = wake_seconds(entry);
      if (wake && (!earliest || *wake < *earliest)) earliest = wake;
    }
    return earliest;
  }

  void disconnect(const std::string& device_id, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    const auto found = devices_.find(device_id);
    if (ended_ || found == devices_.end() || !found->second.connection) return;
    links_.at(*found->second.connection).is_closing = true;  // it is not heard any more
    close(*found->second.connection, reason);
  }

  // ---- an operator ----

  void set_paused(const std::string& id, bool is_paused, const std::string& by) {
    Todo todo;
    StudentPtr student;
    std::optional<SessionRecord> record;
    {
      std::unique_lock lock(mutex_);
      Entry& entry = settled(id, lock);
      log_.info(is_paused ? "paused" : "resumed", {{"device", id}, {"by", by}});
      drive(entry, todo,
            [&](ServerSession& s, double now) { return s.set_paused(is_paused, now); });
      student = entry.second.student;
      if (store_of(*student).keeps()) record = begin_save(entry, entry.second.session.record());
    }
    if (record) save_alone(*student, *record);
    submit(std::move(todo));
  }

  void reset(const std::string& id, const std::string& by) {
    replace_model(id, by, "reset", [](Device& device) {
      return std::shared_ptr<const ModelState>(device.student, &device.student->initial);
    });
  }

  void roll_back(const std::string& id, const std::string& by) {
    replace_model(id, by, "rolled_back", [](Device& device) {
      if (device.earlier.empty()) {
        throw Error(ErrorCode::unavailable,
                    "no earlier state of this device is kept; reset takes it back to the "
                    "un-customised student");
      }
      return device.earlier.back();
    });
  }

  std::vector<DeviceStatus> devices() const {
    const std::lock_guard lock(mutex_);
    const double now = executor_.now_seconds();
    std::vector<DeviceStatus> all;
    for (const auto& [id, device] : devices_) all.push_back(status(id, device, now));
    return all;
  }

  std::vector<HistoryPoint> history(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    return known(id).second.history.points();
  }

  void show(const std::string& id, std::function<void(const DevicePictures*, const Error*)> done) {
    struct Look {
      StudentPtr student;
      Handle sample;
      std::shared_ptr<const ModelState> held;
    };
    Look look;
    {
      const std::lock_guard lock(mutex_);
      const Device& device = known(id).second;
      look = {device.student, device.session.newest_sample(), device.session.held_ptr()};
    }
    executor_.submit({WorkKind::show, id,
                      [weak = weak_from_this(), look = std::move(look),
                       done = std::move(done)]() -> std::optional<WorkCost> {
                        const auto self = weak.lock();
                        if (!self || self->stopped_) return std::nullopt;
                        try {
                          const DevicePictures pictures =
                              detail::draw(*look.student, look.sample, *look.held);
                          done(&pictures, nullptr);
                        } catch (...) {
                          const Error error = current_error();
                          done(nullptr, &error);
                        }
                        return WorkCost{.frames = 2};
                      },
                      [] {}});
  }

  void stop() { stopped_ = true; }

  /// The host is going: nobody is called from now on.
  void end() {
    stop();
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }

  // ---- state ----

  std::string metrics() const {
    const std::lock_guard lock(metrics_mutex_);
    return metrics_;
  }

  std::vector<SessionReport> report() const {
    const std::lock_guard lock(mutex_);
    std::vector<SessionReport> reports;
    for (const auto& [id, device] : devices_) {
      reports.push_back({id,
                         device.session.held().version(),
                         device.session.counters(),
                         {device.phase_seconds.begin(), device.phase_seconds.end()},
                         device.ended_links,
                         device.stages});
    }
    return reports;
  }

  const ServerSession* session(const std::string& device_id) const {
    const auto found = devices_.find(device_id);
    return found == devices_.end() ? nullptr : &found->second.session;
  }

 private:
  /// A connection that is open. One without a device has said no Hello yet.
  struct Link {
    std::string peer;
    std::string device_id;
    bool is_closing = false;  ///< turned away, or replaced by a newer one of its device
  };

  using Entry = std::pair<const std::string, Device>;

  /// Work that the actions ask for, to be submitted without the lock.
  using Todo = std::vector<Work>;

  // ---- for an operator ----

  template <class Self>
  static auto& known_of(Self& self, const std::string& id) {
    const auto found = self.devices_.find(id);
    if (found != self.devices_.end()) return *found;
    throw Error(ErrorCode::invalid_argument, "no device of this id has a session here");
  }
  Entry& known(const std::string& id) { return known_of(*this, id); }
  const Entry& known(const std::string& id) const { return known_of(*this, id); }

  /// The device once the store is not at work for it: one save at a time. Lets go of the lock
  /// meanwhile.
  Entry& settled(const std::string& id, std::unique_lock<std::mutex>& lock) {
    for (;;) {
      Entry& entry = known(id);
      if (!entry.second.is_saving) return entry;
      save_ended_.wait(lock);
    }
  }

  /// state_of: gives the one whose values the device is to get, or throws. An earlier one is then
  /// no more kept.
  template <class StateOf>
  void replace_model(const std::string& id, const std::string& by, const char* event,
                     StateOf&& state_of) {
    Todo todo;
    StudentPtr student;
    std::shared_ptr<const ModelState> state;
    std::vector<float> values;
    std::optional<SessionRecord> record;
    {
      std::unique_lock lock(mutex_);
      Entry& entry = settled(id, lock);
      state = state_of(entry.second);
      values.assign(state->values().begin(), state->values().end());
      student = entry.second.student;
      if (store_of(*student).keeps()) {
        record = begin_save(entry, entry.second.session.record_with(values));
      }
    }
    const std::optional<Error> unsaved = record ? save(*student, *record) : std::nullopt;
    {
      const std::lock_guard lock(mutex_);
      Entry& entry = known(id);  // nobody forgets a device that is being saved
      if (record) end_save(entry, unsaved);
      if (unsaved) {
        throw Error(
            ErrorCode::unavailable,
            std::string("the device keeps its model, as this cannot be saved: ") + unsaved->what());
      }
      ServerActions actions =
          entry.second.session.replace_model(std::move(values), executor_.now_seconds());
      log_.info(
          event,
          {{"device", id}, {"by", by}, {"version", entry.second.session.held().version().number}});
      std::erase(entry.second.earlier, state);
      perform(entry, std::move(actions), todo);
    }
    submit(std::move(todo));
  }

  /// Bytes of all its connections.
  LinkCounters links(const Device& device) const {
    LinkCounters sum = device.ended_links;
    if (device.connection) {
      const LinkCounters open = transport_.counters(*device.connection);
      sum.uplink_bytes += open.uplink_bytes;
      sum.downlink_bytes += open.downlink_bytes;
    }
    return sum;
  }

  DeviceStatus status(const std::string& id, const Device& device, double now) const {
    return device.status(id, device.connection ? links_.at(*device.connection).peer : std::string(),
                         links(device), now);
  }

  void submit(Todo todo) {
    for (Work& work : todo) executor_.submit(std::move(work));
  }

  // ---- devices that come ----

  /// `device_id`: empty where it is not known.
  void turn_away(ConnectionId connection, Fault fault, const std::string& device_id = {}) {
    Link& link = links_.at(connection);
    link.is_closing = true;
    if (device_id.empty()) {
      log_.warning("refused", {{"peer", link.peer}, {"reason", fault.message}});
    } else {
      log_.warning("refused",
                   {{"peer", link.peer}, {"device", device_id}, {"reason", fault.message}});
    }
    const std::string reason = fault.message;
    hand_over(connection, std::move(fault));
    close(connection, reason);
  }

  /// Without the port.
  static std::string host_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

  /// Whether the device may have these labelled now. Otherwise they are dropped.
  bool allows(Entry& entry, const FrameBatch& batch) {
    Device& device = entry.second;
    const std::size_t frames = batch.capture_seconds.size();
    const double told_fps = device.session.sampling_rate_fps();
    if (device.allowance.take(frames, told_fps, executor_.now_seconds())) return true;
    // Once in so many: whoever floods the server must not flood its log.
    if (device.batches_beyond++ % 1000 == 0) {
      log_.warning("frames_beyond_rate", {{"device", entry.first},
                                          {"frames", frames},
                                          {"sampling_rate_fps", told_fps},
                                          {"batches_dropped", device.batches_beyond}});
    }
    return false;
  }

  void greet(ConnectionId connection, const Hello& hello, std::unique_lock<std::mutex>& lock,
             Todo& todo) {
    auto link = links_.find(connection);
    if (ended_ || link == links_.end() || link->second.is_closing) return;
    if (const auto known = devices_.find(link->second.device_id); known != devices_.end()) {
      return hear(*known, hello, todo);  // a second Hello: the session says what is wrong
    }
    // Before room is made: a device that is refused takes no other's place.
    if (!is_device_id(hello.device_id)) {
      return turn_away(connection,
                       {ErrorCode::malformed_data, "Hello: this is not the id of a device"});
    }
    const auto before = devices_.find(hello.device_id);
    const StudentPtr student =
        before != devices_.end() ? before->second.student : setup_of(hello.device_id).student;
    const Digest theirs = hello.student_fingerprint, ours = student->fingerprint;
    if (hello.manifest_digest != student->initial.manifest().digest() ||
        (theirs != 0 && ours != 0 && theirs != ours)) {
      return turn_away(connection, {ErrorCode::manifest_mismatch, student->wrong_text},
                       hello.device_id);
    }
    std::optional<SessionRecord> record;
    if (before == devices_.end() && store_of(*student).keeps()) {
      lock.unlock();
      const bool is_known = load(*student, hello.device_id, record);
      lock.lock();
      link = links_.find(connection);
      if (ended_ || link == links_.end() || link->second.is_closing) return;
      if (!is_known) {
        const double seconds = options_.busy_retry_seconds;
        return turn_away(
            connection,
            {ErrorCode::unavailable,
             fmt::format("the server cannot read its sessions: come back in {:.0f} s", seconds),
             seconds},
            hello.device_id);
      }
    }
    const bool is_reserved =
        options_.has_reserved_place && options_.has_reserved_place(hello.device_id);
    if (!devices_.contains(hello.device_id)) {
      if (!make_room(is_reserved)) {
        const double seconds = options_.busy_retry_seconds;
        return turn_away(
            connection,
            {ErrorCode::limit_exceeded,
             fmt::format("{}: come back in {:.0f} s", options_.full_text, seconds), seconds},
            hello.device_id);
      }
      try {
        Device begun = begin_session(hello.device_id, std::move(record));
        for (LabelledBatch& batch : begun.session.kept_batches()) {
          todo.push_back(restore_work(hello.device_id, student, std::move(batch)));
        }
        devices_.try_emplace(hello.device_id, std::move(begun));
      } catch (...) {
        log_.error("session_not_begun",
                   {{"device", hello.device_id}, {"message", current_error().what()}});
        return turn_away(connection, {ErrorCode::unavailable, "the server cannot begin a session"});
      }
    }
    Entry& entry = *devices_.find(hello.device_id);
    Device& device = entry.second;
    if (device.connection) {
      const std::string& older = links_.at(*device.connection).peer;
      const bool is_alive = executor_.now_seconds() - device.heard_seconds < alive_seconds;
      if (is_alive && host_of(older) != host_of(link->second.peer)) {
        log_.warning(
            "two_devices_of_one_id",
            {{"device", hello.device_id}, {"peer", older}, {"refused_peer", link->second.peer}});
        return turn_away(connection, {ErrorCode::unavailable,
                                      "another device of this id is connected: give each device "
                                      "an id of its own (--device-id)"});
      }
      if (is_alive && device.is_contested(executor_.now_seconds())) {
        log_.warning("two_devices_of_one_id",
                     {{"device", hello.device_id},
                      {"peer", link->second.peer},
                      {"message",
                       "devices behind one address take this id from each other, or its link drops "
                       "often: give each device an id of its own (--device-id)"}});
      }
      drive(entry, todo, [](ServerSession& s, double now) { return s.on_disconnect(now); });
      links_.at(*device.connection).is_closing = true;  // its bytes count until it is closed
      close(*device.connection, "the device has connected again");
    }
    device.connection = connection;
    device.has_reserved_place = is_reserved;
    device.heard_seconds = executor_.now_seconds();
    link->second.device_id = hello.device_id;
    log_.info("hello", {{"device", hello.device_id},
                        {"held_version", hello.held.number},
                        {"server_version", device.session.held().version().number}});
    hear(entry, hello, todo);
  }

  /// What the store has of a device, if it fits this server's model. False: it may have something,
  /// and cannot be asked now.
  bool load(const StudentParts& student, const std::string& device_id,
            std::optional<SessionRecord>& record) {
    try {
      record = store_of(student).load(device_id);
      if (!record) return true;
      const auto& manifest = record->held.manifest_ptr();
      if (!manifest || manifest->digest() != student.initial.manifest().digest()) {
        throw Error(ErrorCode::manifest_mismatch, "what the store has is of another model");
      }
      record->device_id = device_id;
      return true;
    } catch (...) {
      const Error error = current_error();
      record.reset();
      log_.warning("session_not_restored", {{"device", device_id}, {"message", error.what()}});
      return error.code() != ErrorCode::unavailable && error.code() != ErrorCode::io_error;
    }
  }

  /// What the device has of its own, or what all have.
  DeviceSetup setup_of(const std::string& device_id) const {
    std::optional<DeviceSetup> own;
    if (parts_.of_device) own = parts_.of_device(device_id);
    if (!own) own = DeviceSetup{parts_.make_policy(), options_.session};
    if (own->student) {
      detail::check(*own->student);
    } else {
      own->student = student_;
    }
    return std::move(*own);
  }

  Device begin_session(const std::string& device_id, std::optional<SessionRecord> record) {
    const std::uint64_t session_id = options_.session.session_id + sessions_begun_++;
    const auto begin = [&](auto&&... state) {
      DeviceSetup setup = setup_of(device_id);
      const StudentPtr student = setup.student;
      setup.session.session_id = session_id;
      if (!store_of(*student).keeps()) setup.session.limits.max_record_sample_bytes = 0;
      Device device{ServerSession(std::forward<decltype(state)>(state)..., student->initial,
                                  student->task, std::move(setup.policy), setup.session),
                    student};
      device.is_pinned = setup.is_paused;
      if (device.is_pinned) device.session.set_paused(true, executor_.now_seconds());
      return device;
    };
    if (record) {
      try {
        Device restored = begin(std::move(*record));
        log_.info("restored",
                  {{"device", device_id}, {"version", restored.session.held().version().number}});
        return restored;
      } catch (...) {
        log_.warning("session_not_restored",
                     {{"device", device_id}, {"message", current_error().what()}});
      }
    }
    return begin();
  }

  /// Whether there is room for a new device, now or after another one's session has ended.
  bool make_room(bool is_reserved) {
    if (!is_reserved && options_.reserved_places) {
      const std::size_t reserved = std::min(options_.reserved_places(), options_.max_devices);
      const auto others = static_cast<std::size_t>(
          std::count_if(devices_.begin(), devices_.end(),
                        [](const Entry& entry) { return !entry.second.has_reserved_place; }));
      if (others >= options_.max_devices - reserved) return forget_longest_absent(is_reserved);
    }
    return devices_.size() < options_.max_devices || forget_longest_absent(is_reserved);
  }

  /// Ends the session of the device that has been away longest, of one without a reserved place
  /// rather. False when none is away, or its frames are being labelled or trained on.
  bool forget_longest_absent(bool for_reserved) {
    const auto rank = [](const Device& device) {
      return std::pair(device.has_reserved_place, device.last_seen_seconds);
    };
    auto oldest = devices_.end();
    for (auto it = devices_.begin(); it != devices_.end(); ++it) {
      const Device& device = it->second;
      if (device.connection || device.is_saving || device.session.phase_running() ||
          device.session.pending_batches() > 0 || (device.has_reserved_place && !for_reserved)) {
        continue;
      }
      if (oldest == devices_.end() || rank(device) < rank(oldest->second)) oldest = it;
    }
    if (oldest == devices_.end()) return false;
    log_.info("forgotten",
              {{"device", oldest->first},
               {"away_seconds", executor_.now_seconds() - oldest->second.last_seen_seconds}});
    executor_.forget(oldest->first);
    for (auto& [connection, link] : links_) {
      if (link.device_id == oldest->first) link.device_id.clear();
    }
    devices_.erase(oldest);
    return true;
  }

  // ---- the one loop ----

  void hear(Entry& entry, DeviceMessage message, Todo& todo) {
    const auto connection = entry.second.connection;
    const bool heard = drive(entry, todo, [&](ServerSession& s, double now) {
      return s.on_message(std::move(message), now);
    });
    // What the message asked for may be lost; the device says Hello again, and all is well.
    if (!heard && !ended_ && connection) close(*connection, "the session failed");
  }

  /// One event into a session, its actions out. False when the event threw.
  template <class Event>
  bool drive(Entry& entry, Todo& todo, Event&& event) {
    if (ended_) return false;
    Device& device = entry.second;
    try {
      perform(entry, event(device.session, executor_.now_seconds()), todo);
      return true;
    } catch (...) {
      session_failed(entry, current_error());
      return false;
    }
  }

  void session_failed(Entry& entry, const Error& error) {
    if (std::exchange(entry.second.last_failure, error.what()) == error.what()) return;
    log_.error("session_failed", {{"device", entry.first}, {"message", error.what()}});
  }

  std::optional<double> wake_seconds(Entry& entry) {
    try {
      return entry.second.session.next_wake_seconds();
    } catch (...) {  // of the policy
      session_failed(entry, current_error());
      return std::nullopt;
    }
  }

  void perform(Entry& entry, ServerActions actions, Todo& todo) {
    if (ended_) return;
    Device& device = entry.second;
    for (ServerAction& action : actions) {
      if (auto* send = std::get_if<SendToDevice>(&action)) {
        note(entry, send->message);
        if (device.connection) hand_over(*device.connection, std::move(send->message));
      } else if (auto* disconnect = std::get_if<DisconnectDevice>(&action)) {
        if (device.connection) close(*device.connection, disconnect->reason);
      } else if (auto* batch = std::get_if<LabelBatch>(&action)) {
        todo.push_back(label_work(entry.first, device.student, std::move(*batch)));
      } else {
        todo.push_back(train_work(entry.first));
      }
    }
  }

  /// A message that cannot be sent ends its connection: those behind it would not fit.
  void hand_over(ConnectionId connection, ServerMessage message) {
    try {
      transport_.send(connection, std::move(message));
    } catch (...) {
      log_.error("message_not_sent",
                 {{"connection", std::uint64_t{connection}}, {"message", current_error().what()}});
      close(connection, "the server could not write a message");
    }
  }

  void close(ConnectionId connection, const std::string& reason) {
    try {
      transport_.close(connection, reason);
    } catch (...) {
      log_.error("connection_not_closed",
                 {{"connection", std::uint64_t{connection}}, {"message", current_error().what()}});
    }
  }

  void stage(Entry& entry, Stage stage, double seconds, std::uint64_t number) {
    entry.second.stages.add(stage, seconds);
    if (stage == Stage::train) histograms_.phase_seconds.add(seconds);
    if (stage == Stage::label) histograms_.labelling_seconds.add(seconds);
    if (stage == Stage::queue) histograms_.queue_seconds.add(seconds);
    if (!options_.on_stage) return;
    try {
      options_.on_stage(entry.first, stage, seconds, number);
    } catch (...) {
      log_.warning("stage_not_told", {{"message", current_error().what()}});
    }
  }

  void note_ack(Entry& entry, std::uint64_t version) {
    const double now = executor_.now_seconds();
    if (const auto took = entry.second.acknowledged(version, now)) {
      stage(entry, Stage::acknowledge, *took, version);
    }
  }

  void note(Entry& entry, const ServerMessage& message) {
    if (const auto* update = std::get_if<Update>(&message)) {
      entry.second.update_left(executor_.now_seconds());
      log_.info("update_sent", {{"device", entry.first},
                                {"version", entry.second.session.held().version().number},
                                {"bytes", update->bytes.size()}});
    } else if (const auto* control = std::get_if<Control>(&message)) {
      log_.info("rates", {{"device", entry.first},
                          {"sampling_rate_fps", control->sampling_rate_fps},
                          {"update_interval_seconds", control->update_interval_seconds}});
    } else if (const auto* fault = std::get_if<Fault>(&message)) {
      log_.warning(
          "fault_sent",
          {{"device", entry.first}, {"code", to_string(fault->code)}, {"message", fault->message}});
    }
  }

  // ---- labelling ----

  Work label_work(const std::string& id, StudentPtr student, LabelBatch batch) {
    auto piece = std::make_shared<detail::Labelling>();
    piece->student = std::move(student);
    piece->batch = std::move(batch);
    return {WorkKind::label, id,
            [weak = weak_from_this(), piece]() -> std::optional<WorkCost> {
              const auto self = weak.lock();
              if (!self) return std::nullopt;
              return detail::label(*piece, *self->parts_.codec, self->executor_, self->stopped_,
                                   self->log_);
            },
            [weak = weak_from_this(), id, piece] {
              if (const auto self = weak.lock()) self->labelled(id, std::move(*piece));
            }};
  }

  void labelled(const std::string& id, detail::Labelling piece) {
    Todo todo;
    StudentPtr student;
    std::optional<SessionRecord> record;
    {
      const std::lock_guard lock(mutex_);
      const auto found = devices_.find(id);
      if (found == devices_.end()) return;
      student = found->second.student;
      const std::uint64_t batch = piece.batch.batch_id;
      const std::size_t count = piece.samples.size();
      if (piece.failure) {
        log_.warning("labelling_failed",
                     {{"device", id}, {"batch", batch}, {"message", piece.failure->what()}});
        if (drive(*found, todo, [batch](ServerSession& s, double now) {
              return s.on_label_failed(batch, now);
            })) {
          found->second.batch_error = found->second.session.last_error();
          found->second.batch_failure = piece.failure->what();
        }
      } else {
        log_.debug("labelled", {{"device", id}, {"batch", batch}, {"samples", count}});
        const double done = executor_.now_seconds();
        stage(*found, Stage::decode, piece.decoded_seconds - piece.begin_seconds, batch);
        stage(*found, Stage::label, done - piece.decoded_seconds, batch);
        if (count > 0) {
          found->second.label_seconds = done;
          if (!found->second.labelled_seconds) found->second.labelled_seconds = done;
        }
        const bool taken = drive(*found, todo, [&](ServerSession& s, double now) {
          return s.on_labelled(batch, std::move(piece.samples), now);
        });
        if (!taken) give_up(*found, batch);
        if (count > 0) record = record_of_samples(*found);
      }
    }
    if (record) save_alone(*student, *record);
    submit(std::move(todo));
  }

  /// Where no update takes them along: the device is paused or away, or its updates are withheld.
  std::optional<SessionRecord> record_of_samples(Entry& entry) {
    Device& device = entry.second;
    if (!store_of(*device.student).keeps() || device.is_saving) return std::nullopt;
    const double now = executor_.now_seconds();
    if (!device.unsaved_seconds) device.unsaved_seconds = now;
    if (now - *device.unsaved_seconds < longest_unsaved_seconds) return std::nullopt;
    return begin_save(entry, device.session.record());
  }

  /// A batch without an answer would count as pending for ever. Samples that the session did not
  /// take may have been the answer all the same.
  void give_up(Entry& entry, std::uint64_t batch) {
    try {
      entry.second.session.on_label_failed(batch, executor_.now_seconds());
    } catch (...) {
      return;
    }
  }

  // ---- samples of a session that the store had ----

  Work restore_work(const std::string& id, StudentPtr student, LabelledBatch batch) {
    auto piece = std::make_shared<detail::Restoring>();
    piece->student = std::move(student);
    piece->batch = std::move(batch);
    return {WorkKind::label, id,
            [weak = weak_from_this(), piece]() -> std::optional<WorkCost> {
              const auto self = weak.lock();
              if (!self || self->stopped_) return std::nullopt;
              return detail::restore(*piece, *self->parts_.codec);
            },
            [weak = weak_from_this(), id, piece] {
              if (const auto self = weak.lock()) self->restored(id, std::move(*piece));
            }};
  }

  void restored(const std::string& id, detail::Restoring piece) {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      const auto found = devices_.find(id);
      if (found == devices_.end()) return;
      const std::uint64_t batch = piece.batch.batch_id;
      if (piece.failure) {
        log_.warning("samples_not_restored",
                     {{"device", id}, {"batch", batch}, {"message", piece.failure->what()}});
      }
      drive(*found, todo, [&](ServerSession& s, double now) {
        s.on_restored(batch, std::move(piece.samples), now);
        return ServerActions{};
      });
    }
    submit(std::move(todo));
  }

  // ---- training ----

  struct Training {
    std::optional<TrainingResult> result;
    std::optional<Error> failure;
  };

  Work train_work(const std::string& id) {
    auto piece = std::make_shared<Training>();
    return {WorkKind::train, id,
            [weak = weak_from_this(), id, piece]() -> std::optional<WorkCost> {
              const auto self = weak.lock();
              return self ? self->train(id, *piece) : std::nullopt;
            },
            [weak = weak_from_this(), id, piece] {
              if (const auto self = weak.lock()) self->trained(id, std::move(*piece));
            }};
  }

  /// Plans the phase and trains. Nothing when no phase is due any more.
  std::optional<WorkCost> train(const std::string& id, Training& piece) {
    WorkCost cost;
    try {
      std::optional<TrainingJob> job;
      StudentPtr student;
      {
        const std::lock_guard lock(mutex_);
        const auto found = devices_.find(id);
        if (stopped_ || found == devices_.end() || !found->second.session.training_due()) {
          return std::nullopt;
        }
        const double now = executor_.now_seconds();
        Device& device = found->second;
        student = device.student;
        job = device.session.begin_phase(now);
        device.phase_begin_seconds = now;
        if (const auto since = std::exchange(device.labelled_seconds, std::nullopt)) {
          stage(*found, Stage::queue, now - *since, device.next_version());
        }
      }
      cost.iterations = job->mini_batches.size();
      cost.batch_size = job->mini_batches.empty() ? 0 : job->mini_batches.front().size();
      if (job->trial) cost.frames = job->trial->samples.size() * (1 + job->trial->others.size());
      piece.result = student->trainer->train(std::move(*job));
      cost.measured_seconds = piece.result->seconds;
    } catch (...) {
      piece.failure = current_error();
    }
    return cost;
  }

  /// The phase is trained: writes its update and sends it.
  void trained(const std::string& id, Training piece) {
    Todo todo;
    std::optional<UpdateJob> job;
    {
      const std::lock_guard lock(mutex_);
      const auto found = devices_.find(id);
      if (found == devices_.end()) return;
      if (piece.failure) {
        phase_failed(*found, *piece.failure, todo);
      } else {
        note_phase(*found, *piece.result);
        Device& device = found->second;
        stage(*found, Stage::train, executor_.now_seconds() - device.phase_begin_seconds,
              device.next_version());
        try {
          ServerSession::Trained trained =
              found->second.session.on_trained(std::move(*piece.result), executor_.now_seconds());
          job = std::move(trained.job);
          perform(*found, std::move(trained.actions), todo);
        } catch (...) {
          phase_failed(*found, current_error(), todo);
        }
      }
    }
    if (job) publish(id, std::move(*job), todo);
    submit(std::move(todo));
  }

  void publish(const std::string& id, UpdateJob job, Todo& todo) {
    std::optional<WrittenUpdate> written;
    std::optional<Error> failure;
    const double begin = executor_.now_seconds();
    try {
      written = write_update(std::move(job));
    } catch (...) {
      failure = current_error();
    }
    StudentPtr student;
    std::optional<SessionRecord> record;
    {
      std::unique_lock lock(mutex_);
      Entry& entry = settled(id, lock);  // nobody forgets a device whose phase runs
      if (failure) return phase_failed(entry, *failure, todo);
      Device& device = entry.second;
      stage(entry, Stage::write, executor_.now_seconds() - begin, device.next_version());
      student = device.student;
      if (written->next && store_of(*student).keeps()) {
        record = begin_save(entry, device.session.record_with(*written));
      }
    }
    // What the device gets to know, the store must know first.
    const std::optional<Error> unsaved = record ? save(*student, *record) : std::nullopt;
    const std::lock_guard lock(mutex_);
    Entry& entry = known(id);
    if (record) end_save(entry, unsaved);
    if (unsaved) {  // told already
      const Error error(
          unsaved->code(),
          std::string("the update cannot be saved and is not sent: ") + unsaved->what());
      drive(entry, todo,
            [&](ServerSession& s, double now) { return s.on_phase_failed(error, now); });
      return;
    }
    Device& device = entry.second;
    const bool is_withheld = written->next == nullptr;
    const std::size_t bytes = written->bytes.size();
    device.keep_earlier(options_.earlier_states, executor_.now_seconds());
    ServerActions actions;
    try {
      actions = device.session.on_written(std::move(*written), executor_.now_seconds());
    } catch (...) {
      return phase_failed(entry, current_error(), todo);
    }
    if (!is_withheld) histograms_.update_bytes.add(static_cast<double>(bytes));
    hasten_metrics(executor_.now_seconds());
    perform(entry, std::move(actions), todo);
  }

  // ---- the store: records are made under the lock, and saved without it ----

  /// One save of a device at a time: settled() says that none is under way. end_save() follows.
  SessionRecord begin_save(Entry& entry, SessionRecord record) {
    record.device_id = entry.first;
    record.is_paused = record.is_paused && !entry.second.is_pinned;
    entry.second.is_saving = true;
    entry.second.unsaved_seconds.reset();
    return record;
  }

  /// Why it could not.
  std::optional<Error> save(const StudentParts& student, const SessionRecord& record) {
    try {
      store_of(student).save(record);
      return std::nullopt;
    } catch (...) {
      return current_error();
    }
  }

  void end_save(Entry& entry, const std::optional<Error>& unsaved) {
    Device& device = entry.second;
    device.is_saving = false;
    save_ended_.notify_all();
    if (unsaved) ++device.saves_failed;
    const std::string failure = std::exchange(device.save_failure, unsaved ? unsaved->what() : "");
    if (failure.empty() != device.save_failure.empty()) hasten_metrics(executor_.now_seconds());
    if (unsaved && failure.empty()) {
      log_.warning("session_not_saved",
                   {{"device", entry.first},
                    {"message", unsaved->what()},
                    {"next", "the device keeps its model until its session can be saved"}});
    } else if (!unsaved && !failure.empty()) {
      log_.info("session_saved_again", {{"device", entry.first}});
    }
  }

  /// What goes with no update.
  void save_alone(const StudentParts& student, const SessionRecord& record) {
    const std::optional<Error> unsaved = save(student, record);
    const std::lock_guard lock(mutex_);
    end_save(known(record.device_id), unsaved);
  }

  void phase_failed(Entry& entry, const Error& error, Todo& todo) {
    log_.warning("phase_failed", {{"device", entry.first}, {"message", error.what()}});
    drive(entry, todo, [&](ServerSession& s, double now) { return s.on_phase_failed(error, now); });
  }

  void note_phase(Entry& entry, const TrainingResult& result) {
    entry.second.note_phase(result);
    const std::vector<double>& losses = result.losses;
    log_.info("phase", {{"device", entry.first},
                        {"seconds", result.seconds},
                        {"first_loss", losses.empty() ? 0 : losses.front()},
                        {"last_loss", losses.empty() ? 0 : losses.back()}});
  }

  // ---- metrics ----

  /// There is news.
  void hasten_metrics(double now) {
    const double earliest =
        next_metrics_seconds_ - metrics_period_seconds + least_metrics_period_seconds;
    next_metrics_seconds_ = std::min(next_metrics_seconds_, earliest);
    if (now >= next_metrics_seconds_) refresh_metrics(now);
  }

  void refresh_metrics(double now) {
    next_metrics_seconds_ = now + metrics_period_seconds;
    std::string text;
    try {
      std::vector<DeviceStatus> rows;
      for (auto& [id, device] : devices_) {
        device.remember(links(device), now);
        rows.push_back(status(id, device, now));
      }
      text = server_metrics(rows, histograms_);
    } catch (...) {  // of a policy
      log_.warning("metrics_not_computed", {{"message", current_error().what()}});
      return;
    }
    const std::lock_guard lock(metrics_mutex_);
    metrics_ = std::move(text);
  }

  ServerParts parts_;  // but what is in student_
  ServerHostOptions options_;
  StudentPtr student_;  // of devices that have none of their own
  Executor& executor_;
  ServerTransport& transport_;
  LogSink& log_;
  std::atomic<bool> stopped_ = false;

  mutable std::mutex mutex_;  // for what follows
  bool ended_ = false;
  std::condition_variable save_ended_;
  std::map<std::string, Device> devices_;
  std::map<ConnectionId, Link> links_;
  std::uint64_t sessions_begun_ = 0;
  double next_metrics_seconds_ = 0;

  ServerHistograms histograms_;

  mutable std::mutex metrics_mutex_;
  std::string metrics_;
};

ServerHost::ServerHost(ServerParts parts, ServerHostOptions options, Executor& executor,
                       ServerTransport& transport, LogSink* log)
    : impl_(
          std::make_shared<Impl>(std::move(parts), std::move(options), executor, transport, log)) {}

ServerHost::~ServerHost() {
  impl_->end();
}

void ServerHost::on_connected(ConnectionId connection, const std::string& peer) {
  impl_->guard(connection, [&] { impl_->on_connected(connection, peer); });
}
void ServerHost::on_message(ConnectionId connection, DeviceMessage message) {
  impl_->guard(connection, [&] { impl_->on_message(connection, std::move(message)); });
}
void ServerHost::on_disconnected(ConnectionId connection, const std::string& reason) {
  impl_->guard(connection, [&] { impl_->on_disconnected(connection, reason); });
}
void ServerHost::on_time() {
  impl_->on_time();
}
std::optional<double> ServerHost::next_wake_seconds() const {
  return impl_->next_wake_seconds();
}
void ServerHost::disconnect(const std::string& device_id, const std::string& reason) {
  impl_->disconnect(device_id, reason);
}
void ServerHost::set_paused(const std::string& device_id, bool is_paused, const std::string& by) {
  impl_->set_paused(device_id, is_paused, by);
}
void ServerHost::reset(const std::string& device_id, const std::string& by) {
  impl_->reset(device_id, by);
}
void ServerHost::roll_back(const std::string& device_id, const std::string& by) {
  impl_->roll_back(device_id, by);
}
std::vector<DeviceStatus> ServerHost::devices() const {
  return impl_->devices();
}
std::vector<HistoryPoint> ServerHost::history(const std::string& device_id) const {
  return impl_->history(device_id);
}
void ServerHost::show(const std::string& device_id,
                      std::function<void(const DevicePictures*, const Error*)> done) {
  impl_->show(device_id, std::move(done));
}
void ServerHost::stop() {
  impl_->stop();
}
std::string ServerHost::metrics() const {
  return impl_->metrics();
}
std::vector<SessionReport> ServerHost::report() const {
  return impl_->report();
}
const ServerSession* ServerHost::session(const std::string& device_id) const {
  return impl_->session(device_id);
}

}  // namespace ams
