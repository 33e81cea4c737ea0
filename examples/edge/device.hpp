#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "ams/core/model_holder.hpp"
#include "ams/edge/client.hpp"
#include "ams/edge/newest_value.hpp"
#include "ams/edge/predictor.hpp"
#include "ams/net/client.hpp"
#include "ams/torch/student_spec.hpp"
#include "edge/flags.hpp"

namespace ams {

/// A student that a server adapts while it runs: an EdgeClient, connected to the network and to the
/// running model.
///
/// The client belongs to the link's thread: every event is posted there, so that inference waits
/// for nothing. Encoding samples and loading models have a thread each.
class Device {
 public:
  /// Loads the student, and what --state has of it. Throws Error.
  Device(const EdgeFlags& flags, const StudentSpec& spec);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void start();

  /// With the newest published model. One thread at a time.
  LabelMap predict(const Frame& frame);

  /// A frame that may be sampled. Never waits.
  void offer(FramePtr frame);

  /// Says goodbye; whatever the server has sent before its own Bye is still applied. Returns when
  /// all threads have ended.
  void leave(const std::string& reason);

  struct Status {
    double sampling_rate_fps = 0;
    bool streaming = false;
    std::uint32_t model_version = 0;  ///< of the model that runs
    LinkCounters link;
  };
  Status status() const;  ///< from any thread

  const ModelState& initial() const noexcept { return initial_; }
  const ModelState& held() const noexcept { return client_.held(); }              ///< after leave()
  const ClientCounters& counters() const noexcept { return client_.counters(); }  ///< likewise
  const std::vector<double>& swap_seconds() const noexcept { return swap_seconds_; }  ///< likewise

 private:
  using Client = EdgeClient<FramePtr>;

  ModelState starting_state() const;
  WebSocketClientCallbacks link_callbacks();
  template <class Event>
  void drive(Event&& event);
  void perform(EdgeActions<FramePtr> actions);
  using StatePtr = std::shared_ptr<const ModelState>;
  void publish(const ModelState& state);
  void save(const ModelState& state);
  void encode(const EncodeBuffer<FramePtr>& buffer);
  void load_into_holder(const ModelState& state);
  FramePtr reduced(FramePtr frame) const;
  void tick();
  void end_threads();

  const EdgeFlags& flags_;
  const StudentValues student_;
  const ModelState initial_;
  const int max_sample_width_, max_sample_height_;
  DoubleBufferedHolder<std::unique_ptr<Predictor>> holder_;

  // On the link's thread, from start() to leave().
  Client client_;
  bool leaving_ = false;
  bool has_left_ = false;

  // On the publisher's.
  std::vector<double> swap_seconds_;

  // From the link's thread to the publisher's: a device that has missed a thousand updates does not
  // hold a thousand models.
  NewestValue<StatePtr> to_publish_, to_save_;

  std::binary_semaphore left_{0};
  std::atomic<bool> offered_{false};
  std::atomic<double> sampling_rate_fps_{0};
  std::atomic<bool> streaming_{false};
  std::atomic<std::uint32_t> model_version_{0};

  boost::asio::thread_pool encoder_{1};
  boost::asio::thread_pool publisher_{1};
  WebSocketClient link_;
};

}  // namespace ams
