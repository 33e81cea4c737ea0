#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ams/core/bytes.hpp"
#include "ams/core/handle.hpp"
#include "ams/core/model_state.hpp"
#include "ams/runtime/executor.hpp"
#include "ams/runtime/frame_codec.hpp"
#include "ams/runtime/log_sink.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/runtime/stage_times.hpp"
#include "ams/runtime/transport.hpp"
#include "ams/session/client_options.hpp"
#include "ams/session/edge_client.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/task.hpp"

namespace ams {

/// What a DeviceHost is made of. Predictors and codec must not be null.
struct DeviceParts {
  ModelState initial;  ///< w_0, or the state that `save` got last
  /// Two copies of the student: one predicts while the other takes over an update. A driver with
  /// one thread may give one object twice.
  std::shared_ptr<Predictor> active, inactive;
  std::shared_ptr<const FrameCodec> codec;

  /// Compares predictions, so that a scene change is seen at once (CutDetector). Null: none is
  /// seen.
  std::shared_ptr<const Task> task = nullptr;

  /// Keeps the state for a restart, e.g. ModelJournal::save(). `updates` lead to it, one after
  /// another, from the state of the call before; none: they do not, or have more bytes than it.
  /// Called as WorkKind::save, at most every save_interval_seconds and at the end. What a restarted
  /// device has missed, its server sends. May throw. Null: nothing is kept.
  std::function<void(const ModelState& state, std::span<const Bytes> updates)> save = nullptr;
  double save_interval_seconds = 30;  ///< >= 0; small updates would wear out flash memory

  /// Gets the device's stages. Null: none.
  StageObserver on_stage = nullptr;

  /// Every prediction, with the version of the model that made it. Called in predict(), on its
  /// thread; what it throws, predict() throws. Null: none.
  std::function<void(const Handle& frame, const Handle& prediction, ModelVersion version)>
      on_prediction = nullptr;
};

/// A device whose student a server adapts while it runs: connects an EdgeClient to a transport, a
/// frame codec and the running model. It performs the client's actions.
///
///     DeviceHost device(parts, {.device_id = "camera-7"}, executor, transport);
///     device.start();
///     while (const auto frame = camera.next()) {
///       show(device.predict(frame->picture));
///       device.offer(frame->seconds, frame->picture);
///     }
///     device.leave("the end");
///
/// A monitor: every function may be called from every thread, also from several at once, except
/// that one thread at a time predicts. predict(), offer() and status() never wait for the network,
/// for an update or for the encoder. Transport events come in order, one at a time; what they do
/// (apply an update) happens on their thread. The transport is called under the host's lock,
/// Executor::submit() is not.
///
/// Stop the executor's threads before the host is destroyed. Work and functions that an executor
/// keeps beyond that do nothing.
class DeviceHost {
 public:
  struct Status {
    double sampling_rate_fps = 0;
    double update_interval_seconds = 0;
    bool streaming = false;
    bool stopped = false;
    std::uint32_t model_version = 0;  ///< of the model that predicts
    LinkCounters link;
  };

  /// Loads `initial` into both predictors. executor, transport and log outlive the host. Throws
  /// Error(invalid_argument) on options out of range and a null part, and what Predictor::load()
  /// throws.
  DeviceHost(DeviceParts parts, ClientOptions options, Executor& executor,
             DeviceTransport& transport, LogSink* log = nullptr);
  ~DeviceHost();
  DeviceHost(const DeviceHost&) = delete;
  DeviceHost& operator=(const DeviceHost&) = delete;

  /// Connects. No effect unless Status::stopped.
  void start();

  // ---- frames ----

  /// With the newest model. Throws what Predictor::predict() throws.
  Handle predict(const Handle& frame);

  /// A frame that may be sampled. Never waits: one that comes while an update is being applied, or
  /// while another frame is being reduced, is not sampled; the next one may be.
  void offer(double capture_seconds, Handle frame);

  // ---- the end ----

  /// Says goodbye; what the server has sent before its own Bye is still applied.
  void leave(const std::string& reason);

  /// Waits until that is over; false when it takes longer. In virtual time, see Status::stopped.
  bool wait_until_left(double timeout_seconds);

  // ---- events: the transport ----

  void on_connected();
  void on_message(const ServerMessage& message);

  /// Once for each DeviceTransport::connect(), whether on_connected() came or not.
  void on_disconnected(const std::string& reason);

  // ---- time ----

  /// In real time, call it every 50 ms.
  void on_time();

  /// When on_time() is wanted next; nothing while the client waits for other events.
  std::optional<double> next_wake_seconds() const;

  // ---- state ----

  Status status() const;

  /// Waits while an update is being applied.
  ClientCounters counters() const;

  /// What loading and swapping took, for the latest 100000 models.
  std::vector<double> swap_seconds() const;

  /// The device's stages.
  StageTimes stages() const;

  /// For single-threaded use.
  const EdgeClient& client() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ams
