#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "ams/core/error.hpp"
#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/log_sink.hpp"
#include "ams/runtime/model_journal.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/session/client_options.hpp"
#include "ams/video/h264_codec.hpp"

namespace ams {

struct DeviceOptions {
  WebSocketClientOptions link = {};
  H264CodecOptions codec = {};  ///< of samples

  /// `seed` is mixed with `device_id`: devices that lost a server together do not come back
  /// together. `max_frames_per_batch` is cut to what servers decode.
  ClientOptions client = {};

  /// Keeps the adapted student for a restart (ModelJournal); empty: nothing is kept.
  std::filesystem::path state = {};
};

/// A device in real time: a DeviceHost with its threads, its WebSocket link, the H.264 encoder of
/// its samples and its state file.
///
///     Device device(parts, options, log);
///     device.start();
///     while (const auto frame = camera.next()) {
///       show(device.host().predict(frame->picture));
///       device.host().offer(frame->seconds, frame->picture);
///     }
///     device.close("the end", 10);
///
/// Every function may be called from every thread.
class Device {
 public:
  /// Connects to nothing yet. parts: without `codec` and `save`, which are the device's own;
  /// `initial` is version 0, and gives way to what `state` holds. log outlives the device. Throws
  /// as DeviceHost, WebSocketDeviceTransport and ModelJournal::load() do, and Error(unavailable)
  /// without an H.264 encoder.
  Device(DeviceParts parts, DeviceOptions options, LogSink& log);

  /// As close() with no time.
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Connects, and again whenever the link is lost. Throws Error(invalid_argument) a second time,
  /// and after close().
  void start();

  /// Says goodbye, takes over what the server has sent, saves and ends all threads. Waits for the
  /// server no longer than the timeout. A second call waits for the first one. Not from the
  /// device's threads.
  void close(const std::string& reason, double timeout_seconds);

  bool is_closed() const noexcept { return is_closed_; }

  /// predict() and the state are there after close() too.
  DeviceHost& host() noexcept { return *host_; }
  const DeviceHost& host() const noexcept { return *host_; }

 private:
  std::optional<ModelJournal> journal_;
  ThreadExecutor executor_;
  WebSocketDeviceTransport link_;
  std::optional<DeviceHost> host_;

  std::mutex mutex_;  // of start() and close()
  bool is_started_ = false;
  std::atomic<bool> is_closed_ = false;
};

}  // namespace ams
