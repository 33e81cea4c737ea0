#include "edge/device.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "ams/torch/network_predictor.hpp"
#include "ams/video/sample_decoder.hpp"
#include "ams/video/sample_encoder.hpp"
#include "ams/video/scaling.hpp"
#include "common/clock.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "edge/saved_state.hpp"

namespace ams {
namespace {

/// The goodbye has limits of its own; this one is for what they do not cover.
constexpr std::chrono::seconds max_goodbye{10};
constexpr double tick_seconds = 0.05;

/// A camera may have changed its picture's size within a buffer: the newest frame's is for all.
std::vector<FramePtr> of_one_size(std::vector<FramePtr> frames) {
  const int width = frames.back()->width, height = frames.back()->height;
  for (FramePtr& frame : frames) {
    if (frame->width == width && frame->height == height) continue;
    frame = std::make_shared<const Frame>(scale_frame(*frame, width, height));
  }
  return frames;
}

}  // namespace

Device::Device(const EdgeFlags& flags, const StudentSpec& spec)
    : flags_(flags),
      student_(load_student_values(spec)),
      initial_(student_.manifest, student_.values),
      max_sample_width_(options::parse_size(flags.uplink_size).first),
      max_sample_height_(options::parse_size(flags.uplink_size).second),
      holder_(make_predictor(spec), make_predictor(spec)),
      client_(starting_state(), flags.client_options(student_.fingerprint)),
      link_(flags.link_options(), link_callbacks()) {
  for (int copy = 0; copy < 2; ++copy) load_into_holder(client_.held());
  swap_seconds_.clear();
  model_version_ = client_.held().version().number;
}

Device::~Device() {
  end_threads();
}

ModelState Device::starting_state() const {
  if (flags_.state.empty()) return initial_;
  std::optional<ModelState> saved = read_saved_state(flags_.state, student_);
  if (!saved) return initial_;
  log::info("resuming", {{"state", flags_.state}, {"version", saved->version().number}});
  return std::move(*saved);
}

void Device::start() {
  link_.start();
  link_.post([this] { drive([](Client& client, double now) { return client.on_start(now); }); });
  tick();
}

LabelMap Device::predict(const Frame& frame) {
  const auto model = holder_.read();
  return (*model)->predict(frame);
}

void Device::offer(FramePtr frame) {
  // One at a time: while the link's thread is busy with an update, no pictures pile up before it.
  if (offered_.exchange(true)) return;
  link_.post([this, frame = std::move(frame)] {
    if (client_.wants_frame(frame->capture_seconds)) {
      drive([&](Client& client, double now) {
        return client.on_frame(frame->capture_seconds, reduced(frame), now);
      });
    }
    offered_ = false;
  });
}

/// As large as samples are sent: what waits for a server that is away is not more. Never enlarged,
/// that would only cost bits.
FramePtr Device::reduced(FramePtr frame) const {
  if (frame->width <= max_sample_width_ && frame->height <= max_sample_height_) return frame;
  return std::make_shared<const Frame>(scale_frame(*frame,
                                                   std::min(max_sample_width_, frame->width),
                                                   std::min(max_sample_height_, frame->height)));
}

void Device::leave(const std::string& reason) {
  link_.post([this, reason] {
    leaving_ = true;
    drive([&](Client& client, double now) { return client.on_stop(reason, now); });
  });
  std::ignore = left_.try_acquire_for(max_goodbye);
  end_threads();
}

/// The link first, since its thread gives the others work; and before anything is destroyed, since
/// the others post to the link.
void Device::end_threads() {
  link_.stop();
  encoder_.join();
  publisher_.join();
}

WebSocketClientCallbacks Device::link_callbacks() {
  WebSocketClientCallbacks callbacks;
  callbacks.on_connected = [this] {
    drive([](Client& client, double now) { return client.on_connected(now); });
  };
  callbacks.on_message = [this](const ServerMessage& message) {
    drive([&](Client& client, double now) { return client.on_message(message, now); });
    if (const auto* fault = std::get_if<Fault>(&message)) {
      log::error("server_fault", {{"code", to_string(fault->code)}, {"message", fault->message}});
    }
  };
  callbacks.on_disconnected = [this](const std::string& reason) {
    if (!leaving_) log::warning("disconnected", {{"reason", reason}});
    drive([&](Client& client, double now) { return client.on_disconnected(reason, now); });
  };
  return callbacks;
}

/// One event into the client, its actions out. On the link's thread; none of the actions blocks it.
template <class Event>
void Device::drive(Event&& event) {
  try {
    perform(event(client_, now_seconds()));
  } catch (const std::exception& error) {  // the link's thread must go on
    log::error("client_failed", {{"message", error.what()}});
  }
  sampling_rate_fps_ = client_.sampling_rate_fps();
  streaming_ = client_.streaming();
  if (leaving_ && client_.stopped() && !std::exchange(has_left_, true)) left_.release();
}

void Device::perform(EdgeActions<FramePtr> actions) {
  StatePtr copy;  // one, for whoever needs it
  const auto held = [&] {
    if (!copy) copy = std::make_shared<const ModelState>(client_.held());
    return copy;
  };
  for (auto& action : actions) {
    if (std::holds_alternative<ConnectToServer>(action)) {
      link_.connect();
    } else if (auto* send = std::get_if<SendToServer>(&action)) {
      if (const auto* refusal = std::get_if<Refusal>(&send->message)) {
        log::warning("update_refused", {{"code", to_string(refusal->code)},
                                        {"message", refusal->message},
                                        {"held_version", refusal->held.number}});
      }
      link_.send(send->message);
    } else if (auto* buffer = std::get_if<EncodeBuffer<FramePtr>>(&action)) {
      boost::asio::post(encoder_, [this, buffer = std::move(*buffer)] { encode(buffer); });
    } else if (std::holds_alternative<Publish>(action)) {
      if (to_publish_.put(held())) {
        boost::asio::post(publisher_, [this] { publish(**to_publish_.take()); });
      }
    } else if (std::holds_alternative<Persist>(action)) {
      if (!flags_.state.empty() && to_save_.put(held())) {
        boost::asio::post(publisher_, [this] { save(**to_save_.take()); });
      }
    } else if (auto* disconnect = std::get_if<DisconnectServer>(&action)) {
      link_.close(disconnect->reason);
    }
  }
}

/// On the publisher's thread.
void Device::publish(const ModelState& state) {
  try {
    load_into_holder(state);
  } catch (const std::exception& error) {  // the model before goes on serving
    log::error("model_not_loaded", {{"message", error.what()}});
    return;
  }
  const ModelVersion version = state.version();
  log::info("model", {{"version", version.number}, {"digest", hex(version.digest)}});
  model_version_ = version.number;
  link_.post([this, version] {
    drive([&](Client& client, double now) { return client.on_published(version, now); });
  });
}

/// On the publisher's thread.
void Device::save(const ModelState& state) {
  try {
    write_saved_state(flags_.state, state, student_.fingerprint);
  } catch (const std::exception& error) {
    log::warning("state_not_saved", {{"message", error.what()}});
  }
}

/// On the publisher's thread, and before it starts.
void Device::load_into_holder(const ModelState& state) {
  const double start = now_seconds();
  holder_.update([&](std::unique_ptr<Predictor>& inactive, const std::unique_ptr<Predictor>&) {
    inactive->load(state.values());
  });
  swap_seconds_.push_back(now_seconds() - start);
}

/// On the encoder's thread.
void Device::encode(const EncodeBuffer<FramePtr>& buffer) {
  std::vector<std::byte> bitstream;  // stays empty when there is none
  try {
    SampleEncoderOptions encoder;
    // No more than servers decode, however long the device was alone.
    const double max_bps =
        0.9 * 8 * static_cast<double>(SampleDecoderLimits().max_bytes) / buffer.period_seconds;
    encoder.target_bps = std::min(flags_.uplink_kbps * 1000, max_bps);
    bitstream = encode_samples(of_one_size(buffer.frames), buffer.period_seconds, encoder);
  } catch (const std::exception& error) {
    log::warning("encoding_failed", {{"message", error.what()}});
  }
  link_.post([this, id = buffer.batch_id, bitstream = std::move(bitstream)]() mutable {
    drive([&](Client& client, double now) {
      return client.on_encoded(id, std::move(bitstream), now);
    });
  });
}

void Device::tick() {
  link_.post_after(tick_seconds, [this] {
    if (const auto wake = client_.next_wake_seconds(); wake && *wake <= now_seconds()) {
      drive([](Client& client, double now) { return client.on_time(now); });
    }
    tick();
  });
}

Device::Status Device::status() const {
  return {sampling_rate_fps_, streaming_, model_version_, link_.counters()};
}

}  // namespace ams
