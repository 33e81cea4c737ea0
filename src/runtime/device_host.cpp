#include "ams/runtime/device_host.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>
#include <variant>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/model_holder.hpp"
#include "ams/runtime/newest_value.hpp"
#include "ams/session/cut_detector.hpp"
#include "current_error.hpp"
#include "wall_seconds.hpp"

namespace ams {
namespace {

using detail::current_error;
using detail::wall_seconds;

constexpr std::size_t max_swaps_reported = 100000;
constexpr std::size_t max_noted_samples = 512;

DeviceParts checked(DeviceParts parts) {
  if (!parts.active || !parts.inactive) {
    throw Error(ErrorCode::invalid_argument, "DeviceHost: a predictor is null");
  }
  if (!(parts.save_interval_seconds >= 0)) {  // or NaN
    throw Error(ErrorCode::invalid_argument, "DeviceHost: save_interval_seconds must be 0 or more");
  }
  if (!parts.codec) throw Error(ErrorCode::invalid_argument, "DeviceHost: the frame codec is null");
  return parts;
}

NoLog no_log;

}  // namespace

class DeviceHost::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(DeviceParts parts, ClientOptions options, Executor& executor, DeviceTransport& transport,
       LogSink* log)
      : parts_(checked(std::move(parts))),
        executor_(executor),
        transport_(transport),
        log_(log != nullptr ? *log : no_log),
        client_(std::move(parts_.initial), std::move(options)),
        device_id_(client_.options().device_id),
        holder_({parts_.active, {}}, {parts_.inactive, {}}) {
    for (int copy = 0; copy < 2; ++copy) load(client_.held());
    model_version_ = client_.held().version().number;
    note_status();
  }

  void start() {
    {
      const std::lock_guard lock(mutex_);
      is_leaving_ = false;
    }
    tell([](EdgeClient& client, double now) { return client.on_start(now); });
  }

  // ---- frames ----

  Handle predict(const Handle& frame) {
    Handle prediction;
    ModelVersion version;
    {
      const auto model = holder_.read();
      prediction = model->predictor->predict(frame);
      version = model->version;
    }
    watch_scene(prediction, version);
    if (parts_.on_prediction) parts_.on_prediction(frame, prediction, version);
    return prediction;
  }

  /// One thread at a time predicts.
  void watch_scene(const Handle& prediction, ModelVersion version) {
    if (!parts_.task) return;
    const Handle previous = std::exchange(previous_prediction_, prediction);
    // Another model says other things of the same scene.
    if (!previous || std::exchange(previous_version_, version.number) != version.number) return;
    std::optional<double> difference;
    try {
      difference = parts_.task->difference(previous, prediction);
    } catch (...) {  // the device must go on
      log_.warning("predictions_not_compared", {{"message", current_error().what()}});
    }
    if (!difference || !cuts_.on_difference(*difference, executor_.now_seconds())) return;
    executor_.post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->tell([](EdgeClient& client, double now) { return client.on_scene_change(now); });
    });
  }

  void offer(double capture_seconds, Handle frame) {
    {
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (!lock || ended_ || is_reducing_ || !client_.wants_frame(capture_seconds)) return;
      is_reducing_ = true;
    }
    auto reduced = std::make_shared<Handle>();
    executor_.submit(
        {WorkKind::sample, device_id_,
         [weak = weak_from_this(), frame = std::move(frame), reduced]() -> std::optional<WorkCost> {
           const auto self = weak.lock();
           return self ? self->reduce(frame, *reduced) : std::nullopt;
         },
         [weak = weak_from_this(), capture_seconds, reduced] {
           if (const auto self = weak.lock()) {
             self->sample(capture_seconds, std::move(*reduced));
           }
         }});
  }

  // ---- the end ----

  void leave(const std::string& reason) {
    {
      const std::lock_guard lock(mutex_);
      is_leaving_ = true;
    }
    tell([&](EdgeClient& client, double now) { return client.on_stop(reason, now); });
  }

  bool wait_until_left(double timeout_seconds) {
    std::unique_lock lock(mutex_);
    return has_left_.wait_for(lock, std::chrono::duration<double>(timeout_seconds),
                              [this] { return client_.stopped(); });
  }

  /// The host is going: nobody is called from now on.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }

  // ---- events: the transport ----

  void on_connected() {
    tell([](EdgeClient& client, double now) { return client.on_connected(now); });
  }

  void on_message(const ServerMessage& message) {
    const double begin = executor_.now_seconds();
    tell([&](EdgeClient& client, double now) { return client.on_message(message, now); });
    if (std::holds_alternative<Welcome>(message)) note_connected();
    const auto* part = std::get_if<SnapshotPart>(&message);
    const bool is_last_part = part && part->offset_bytes + part->bytes.size() >= part->size_bytes;
    if (std::holds_alternative<Update>(message) || std::holds_alternative<Snapshot>(message) ||
        is_last_part) {
      const std::lock_guard lock(mutex_);
      stage(Stage::apply, executor_.now_seconds() - begin, client_.held().version().number);
    }
    if (const auto* fault = std::get_if<Fault>(&message)) {
      log_.error("server_fault", {{"code", to_string(fault->code)}, {"message", fault->message}});
    }
  }

  void on_disconnected(const std::string& reason) {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      if (!is_leaving_) log_.warning("disconnected", {{"reason", reason}});
      drive(todo,
            [&](EdgeClient& client, double now) { return client.on_disconnected(reason, now); });
    }
    submit(std::move(todo));
  }

  // ---- time ----

  void on_time() {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      const auto wake = client_.next_wake_seconds();
      if (wake && *wake <= executor_.now_seconds()) {
        drive(todo, [](EdgeClient& client, double now) { return client.on_time(now); });
      } else if (!ended_) {
        save_when_due(todo);
      }
    }
    submit(std::move(todo));
  }

  std::optional<double> next_wake_seconds() const {
    const std::lock_guard lock(mutex_);
    const auto wake = client_.next_wake_seconds();
    if (!unsaved_.state || is_saving_) return wake;
    return wake ? std::min(*wake, next_save_seconds_) : next_save_seconds_;
  }

  // ---- state ----

  Status status() const {
    Status status;
    {
      const std::lock_guard lock(status_mutex_);
      status = status_;
    }
    status.model_version = model_version_;
    status.link = transport_.counters();
    return status;
  }

  ClientCounters counters() const {
    const std::lock_guard lock(mutex_);
    return client_.counters();
  }

  std::vector<double> swap_seconds() const {
    const std::lock_guard lock(swaps_mutex_);
    return {swap_seconds_.begin(), swap_seconds_.end()};
  }

  StageTimes stages() const {
    const std::lock_guard lock(stages_mutex_);
    return stages_;
  }

  const EdgeClient& client() const { return client_; }

 private:
  struct Model {
    std::shared_ptr<Predictor> predictor;
    ModelVersion version;
  };
  using StatePtr = std::shared_ptr<const ModelState>;

  /// What the next save is to bring.
  struct Unsaved {
    StatePtr state;
    std::vector<Bytes> updates;
    std::size_t bytes = 0;  ///< of the updates
    bool leads_on = true;   ///< the updates lead from what was saved to the state
  };

  /// Work that the actions ask for, to be submitted without the lock.
  using Todo = std::vector<Work>;

  void submit(Todo todo) {
    for (Work& work : todo) executor_.submit(std::move(work));
  }

  // ---- the one loop ----

  template <class Event>
  void tell(Event&& event) {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      drive(todo, std::forward<Event>(event));
    }
    submit(std::move(todo));
  }

  /// One event into the client, its actions out.
  template <class Event>
  void drive(Todo& todo, Event&& event) {
    if (ended_) return;
    try {
      perform(event(client_, executor_.now_seconds()), todo);
    } catch (...) {  // the device must go on
      log_.error("client_failed", {{"message", current_error().what()}});
    }
    save_when_due(todo);
    note_status();
    if (is_leaving_ && client_.stopped()) has_left_.notify_all();
  }

  /// The newest state, when its time has come or the device has left.
  void save_when_due(Todo& todo) {
    const double now = executor_.now_seconds();
    if (!unsaved_.state || is_saving_ || (now < next_save_seconds_ && !client_.stopped())) return;
    next_save_seconds_ = now + parts_.save_interval_seconds;
    is_saving_ = true;
    todo.push_back(save_work());
  }

  void note_unsaved(StatePtr state, const Persist& persist) {
    unsaved_.state = std::move(state);
    unsaved_.bytes += persist.update.size();
    const std::size_t most = unsaved_.state->values().size_bytes();
    if (persist.update.empty() || unsaved_.bytes > most) unsaved_.leads_on = false;
    if (unsaved_.leads_on) {
      unsaved_.updates.push_back(persist.update);
    } else {
      unsaved_.updates.clear();
    }
  }

  void note_connected() {
    const std::lock_guard lock(mutex_);
    if (client_.streaming()) {
      log_.info("connected", {{"held_version", client_.held().version().number}});
    }
  }

  void note_status() {
    const std::lock_guard lock(status_mutex_);
    status_.sampling_rate_fps = client_.sampling_rate_fps();
    status_.update_interval_seconds = client_.update_interval_seconds();
    status_.streaming = client_.streaming();
    status_.stopped = client_.stopped();
  }

  void perform(EdgeActions actions, Todo& todo) {
    StatePtr copy;  // one, for whoever needs it
    const auto held = [&] {
      if (!copy) copy = std::make_shared<const ModelState>(client_.held());
      return copy;
    };
    for (EdgeAction& action : actions) {
      if (std::holds_alternative<ConnectToServer>(action)) {
        transport_.connect();
      } else if (auto* send = std::get_if<SendToServer>(&action)) {
        if (const auto* refusal = std::get_if<Refusal>(&send->message)) {
          log_.warning("update_refused", {{"code", to_string(refusal->code)},
                                          {"message", refusal->message},
                                          {"held_version", refusal->held.number}});
        }
        transport_.send(std::move(send->message));
      } else if (auto* buffer = std::get_if<EncodeBuffer>(&action)) {
        note_buffer(*buffer);
        todo.push_back(encode_work(std::move(*buffer)));
      } else if (std::holds_alternative<Publish>(action)) {
        if (to_publish_.put(held())) todo.push_back(publish_work());
      } else if (const auto* persist = std::get_if<Persist>(&action)) {
        if (parts_.save) note_unsaved(held(), *persist);
      } else {
        transport_.close(std::get<DisconnectServer>(action).reason);
      }
    }
  }

  // ---- the delay budget ----

  void stage(Stage stage, double seconds, std::uint64_t number) {
    {
      const std::lock_guard lock(stages_mutex_);
      stages_.add(stage, seconds);
    }
    if (parts_.on_stage) parts_.on_stage(stage, seconds, number);
  }

  /// How long its oldest frame has waited.
  void note_buffer(const EncodeBuffer& buffer) {
    const double now = executor_.now_seconds();
    for (; !sampled_.empty(); sampled_.pop_front()) {
      if (sampled_.front().first != buffer.capture_seconds.front()) continue;
      stage(Stage::buffer, now - sampled_.front().second, buffer.batch_id);
      break;
    }
  }

  // ---- sampling ----

  /// As samples are sent: what waits for a server that is away is no larger.
  std::optional<WorkCost> reduce(const Handle& frame, Handle& reduced) {
    const double begin = wall_seconds();
    try {
      reduced = parts_.codec->reduce(frame);
      return WorkCost{.frames = 1, .measured_seconds = wall_seconds() - begin};
    } catch (...) {
      log_.warning("frame_not_sampled", {{"message", current_error().what()}});
      const std::lock_guard lock(mutex_);
      is_reducing_ = false;
      return std::nullopt;
    }
  }

  void sample(double capture_seconds, Handle reduced) {
    Todo todo;
    {
      const std::lock_guard lock(mutex_);
      is_reducing_ = false;
      sampled_.emplace_back(capture_seconds, executor_.now_seconds());
      if (sampled_.size() > max_noted_samples) sampled_.pop_front();
      drive(todo, [&](EdgeClient& client, double now) {
        return client.on_frame(capture_seconds, std::move(reduced), now);
      });
    }
    submit(std::move(todo));
  }

  // ---- encoding ----

  struct Encoding {
    EncodeBuffer buffer;
    Bytes bitstream;  ///< stays empty when there is none
    double begin_seconds = 0;
  };

  Work encode_work(EncodeBuffer buffer) {
    auto piece = std::make_shared<Encoding>();
    piece->buffer = std::move(buffer);
    return {WorkKind::encode, device_id_,
            [weak = weak_from_this(), piece]() -> std::optional<WorkCost> {
              const auto self = weak.lock();
              return self ? self->encode(*piece) : std::nullopt;
            },
            [weak = weak_from_this(), piece] {
              const auto self = weak.lock();
              if (!self) return;
              self->stage(Stage::encode, self->executor_.now_seconds() - piece->begin_seconds,
                          piece->buffer.batch_id);
              self->tell([&](EdgeClient& client, double now) {
                return client.on_encoded(piece->buffer.batch_id, std::move(piece->bitstream), now);
              });
            }};
  }

  std::optional<WorkCost> encode(Encoding& piece) {
    const double begin = wall_seconds();
    WorkCost cost;
    cost.frames = piece.buffer.frames.size();
    piece.begin_seconds = executor_.now_seconds();
    try {
      piece.bitstream = parts_.codec->encode(piece.buffer.frames, piece.buffer.period_seconds);
    } catch (...) {
      log_.warning("encoding_failed", {{"message", current_error().what()}});
    }
    piece.buffer.frames.clear();
    cost.measured_seconds = wall_seconds() - begin;
    return cost;
  }

  // ---- the model ----

  /// A device that has missed a thousand updates loads the newest one.
  Work publish_work() {
    auto state = std::make_shared<StatePtr>();
    return {WorkKind::publish, device_id_,
            [weak = weak_from_this(), state]() -> std::optional<WorkCost> {
              const auto self = weak.lock();
              if (!self) return std::nullopt;
              const auto newest = self->to_publish_.take();
              if (!newest) return std::nullopt;
              *state = *newest;
              return WorkCost{};
            },
            [weak = weak_from_this(), state] {
              if (const auto self = weak.lock()) self->publish(**state);
            }};
  }

  void publish(const ModelState& state) {
    const double begin = wall_seconds();
    try {
      load(state);
    } catch (...) {  // the model before goes on serving
      log_.error("model_not_loaded", {{"message", current_error().what()}});
      return;
    }
    {
      const std::lock_guard lock(swaps_mutex_);
      swap_seconds_.push_back(wall_seconds() - begin);
      if (swap_seconds_.size() > max_swaps_reported) swap_seconds_.pop_front();
    }
    const ModelVersion version = state.version();
    stage(Stage::swap, wall_seconds() - begin, version.number);
    log_.info("model",
              {{"version", version.number}, {"digest", fmt::format("{:016x}", version.digest)}});
    model_version_ = version.number;
    tell([&](EdgeClient& client, double now) { return client.on_published(version, now); });
  }

  void load(const ModelState& state) {
    holder_.update([&](Model& inactive, const Model&) {
      inactive.predictor->load(state.values());
      inactive.version = state.version();
    });
  }

  Work save_work() {
    return {WorkKind::save, device_id_,
            [weak = weak_from_this()]() -> std::optional<WorkCost> {
              const auto self = weak.lock();
              return self ? self->save() : std::nullopt;
            },
            [] {}};
  }

  std::optional<WorkCost> save() {
    Unsaved taken;
    {
      const std::lock_guard lock(mutex_);
      is_saving_ = false;
      taken = std::exchange(unsaved_, {});
    }
    if (!taken.state) return std::nullopt;
    const double begin = wall_seconds();
    try {
      parts_.save(*taken.state, taken.updates);
    } catch (...) {
      log_.warning("state_not_saved", {{"message", current_error().what()}});
      const std::lock_guard lock(mutex_);
      unsaved_.leads_on = false;  // not from what was saved
      unsaved_.updates.clear();
    }
    return WorkCost{.measured_seconds = wall_seconds() - begin};
  }

  DeviceParts parts_;
  Executor& executor_;
  DeviceTransport& transport_;
  LogSink& log_;

  mutable std::mutex mutex_;  // for what follows; held while an update is applied
  EdgeClient client_;
  bool is_leaving_ = false;
  bool is_reducing_ = false;  // a frame is on its way to the client
  bool ended_ = false;
  std::condition_variable has_left_;
  std::deque<std::pair<double, double>> sampled_;  // capture time, when it came
  Unsaved unsaved_;
  bool is_saving_ = false;  // work that takes it is on its way
  double next_save_seconds_ = 0;

  const std::string device_id_;
  DoubleBufferedHolder<Model> holder_;
  NewestValue<StatePtr> to_publish_;

  // Of the thread that predicts.
  CutDetector cuts_;
  Handle previous_prediction_;
  std::uint32_t previous_version_ = 0;
  std::atomic<std::uint32_t> model_version_{0};

  mutable std::mutex status_mutex_;
  Status status_;
  mutable std::mutex stages_mutex_;
  StageTimes stages_;
  mutable std::mutex swaps_mutex_;
  std::deque<double> swap_seconds_;
};

DeviceHost::DeviceHost(DeviceParts parts, ClientOptions options, Executor& executor,
                       DeviceTransport& transport, LogSink* log)
    : impl_(
          std::make_shared<Impl>(std::move(parts), std::move(options), executor, transport, log)) {}

DeviceHost::~DeviceHost() {
  impl_->end();
}

void DeviceHost::start() {
  impl_->start();
}
Handle DeviceHost::predict(const Handle& frame) {
  return impl_->predict(frame);
}
void DeviceHost::offer(double capture_seconds, Handle frame) {
  impl_->offer(capture_seconds, std::move(frame));
}
void DeviceHost::leave(const std::string& reason) {
  impl_->leave(reason);
}
bool DeviceHost::wait_until_left(double timeout_seconds) {
  return impl_->wait_until_left(timeout_seconds);
}
void DeviceHost::on_connected() {
  impl_->on_connected();
}
void DeviceHost::on_message(const ServerMessage& message) {
  impl_->on_message(message);
}
void DeviceHost::on_disconnected(const std::string& reason) {
  impl_->on_disconnected(reason);
}
void DeviceHost::on_time() {
  impl_->on_time();
}
std::optional<double> DeviceHost::next_wake_seconds() const {
  return impl_->next_wake_seconds();
}
DeviceHost::Status DeviceHost::status() const {
  return impl_->status();
}
ClientCounters DeviceHost::counters() const {
  return impl_->counters();
}
std::vector<double> DeviceHost::swap_seconds() const {
  return impl_->swap_seconds();
}
StageTimes DeviceHost::stages() const {
  return impl_->stages();
}
const EdgeClient& DeviceHost::client() const {
  return impl_->client();
}

}  // namespace ams
