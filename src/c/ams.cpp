#include "ams/c/ams.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ams/bundle/student_bundle.hpp"
#include "ams/core/format.hpp"
#include "ams/core/version.hpp"
#include "ams/device/device.hpp"
#include "ams/net/server_address.hpp"
#include "ams/onnx/onnx_predictor.hpp"
#include "ams/runtime/log.hpp"
#include "ams/segmentation/segmentation_task.hpp"
#include "ams/session/text.hpp"
#include "ams/video/pixels.hpp"

namespace {

using namespace ams;
using ams::detail::refuse;

// ---- errors ----

struct Closed : std::exception {
  const char* what() const noexcept override { return "the device was closed"; }
};

constexpr ams_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return AMS_INVALID_ARGUMENT;
    case ErrorCode::malformed_data:
      return AMS_MALFORMED_DATA;
    case ErrorCode::unsupported_version:
      return AMS_UNSUPPORTED_VERSION;
    case ErrorCode::manifest_mismatch:
      return AMS_MANIFEST_MISMATCH;
    case ErrorCode::base_version_mismatch:
      return AMS_BASE_VERSION_MISMATCH;
    case ErrorCode::digest_mismatch:
      return AMS_DIGEST_MISMATCH;
    case ErrorCode::limit_exceeded:
      return AMS_LIMIT_EXCEEDED;
    case ErrorCode::io_error:
      return AMS_IO_ERROR;
    case ErrorCode::unavailable:
      return AMS_UNAVAILABLE;
    case ErrorCode::unauthorized:
      return AMS_UNAUTHORIZED;
    case ErrorCode::protocol_violation:
      return AMS_PROTOCOL_VIOLATION;
  }
  return AMS_FAILED;
}

ams_status fail(ams_error* error, ams_status status, std::string_view message) noexcept {
  if (error == nullptr) return status;
  error->status = status;
  const std::string_view text = cut_text(message, sizeof error->message - 1);
  text.copy(error->message, text.size());
  error->message[text.size()] = '\0';
  return status;
}

/// What the function throws, as a status.
template <class Function>
ams_status guarded(ams_error* error, Function&& function) noexcept {
  try {
    function();
    return AMS_OK;
  } catch (const Closed& closed) {
    return fail(error, AMS_CLOSED, closed.what());
  } catch (const Error& failure) {
    return fail(error, status_of(failure.code()), failure.what());
  } catch (const std::exception& failure) {
    return fail(error, AMS_FAILED, failure.what());
  } catch (...) {
    return fail(error, AMS_FAILED, "an unknown exception");
  }
}

// ---- what callers give ----

constexpr std::size_t max_struct_bytes = 4096;

/// Refuses a struct that this library does not know. A newer program's is longer; what it does not
/// use there is 0. The first version of every struct is the one of today.
template <class Struct>
void require_known(const Struct* given, const char* name) {
  if (given == nullptr) refuse(fmt::format("the {} is NULL", name));
  const std::size_t size = given->size;
  if (size < sizeof(Struct) || size > max_struct_bytes) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{}.size is {}; set it to sizeof({}), which is {}", name, size, name,
                            sizeof(Struct)));
  }
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  if (std::any_of(bytes + sizeof(Struct), bytes + size, [](unsigned char b) { return b != 0; })) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{} has a field that libams {} does not know: use a newer libams_c",
                            name, version_string));
  }
}

std::string text_of(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

std::string required_text(const char* text, const char* name) {
  if (text == nullptr || *text == '\0') {
    refuse(fmt::format("ams_device_options.{} is missing", name));
  }
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

DeviceOptions device_options(const ams_device_options& given, Digest fingerprint) {
  DeviceOptions options;
  const ServerAddress address = parse_server_address(required_text(given.server, "server"));
  options.link.host = address.host;
  options.link.port = address.port;
  options.link.ca_file = text_of(given.ca_file);
  options.link.insecure_accept_any_host_name = given.accept_any_host_name != 0;
  const auto side = [](std::int32_t pixels, int usual, const char* name) {
    if (pixels == 0) return usual;
    if (pixels < 16 || pixels > 2048) {
      refuse(fmt::format("ams_device_options.{} is {}; allowed are 16 to 2048 pixels, and 0 for {}",
                         name, pixels, usual));
    }
    return static_cast<int>(pixels);
  };
  options.codec.max_width = side(given.uplink_width, options.codec.max_width, "uplink_width");
  options.codec.max_height = side(given.uplink_height, options.codec.max_height, "uplink_height");
  const double kbps = given.uplink_kbps == 0 ? 100 : given.uplink_kbps;
  if (!(kbps >= 1 && kbps <= 1e6)) {
    refuse(
        fmt::format("ams_device_options.uplink_kbps is {}; allowed are 1 to 1000000, and 0 for "
                    "100",
                    kbps));
  }
  options.codec.encoder.target_bps = 1000 * kbps;
  options.client.device_id = required_text(given.device_id, "device_id");
  options.client.token = text_of(given.token);
  options.client.first_batch_seconds = given.first_batch_seconds;
  options.client.student_fingerprint = fingerprint;
  options.state = text_of(given.state_file);
  return options;
}

std::unique_ptr<Predictor> make_student(const StudentBundle& bundle,
                                        const ams_device_options& given) {
  const std::string runtime = given.runtime == nullptr ? "onnx" : given.runtime;
  if (runtime != "onnx") {
    throw Error(ErrorCode::unavailable,
                "ams_device_options.runtime is '" + runtime + "'; this library has: onnx");
  }
  return make_onnx_predictor(
      bundle, {given.threads == 0 ? 1 : given.threads, split(text_of(given.execution_providers))});
}

PixelView view_of(const ams_frame& frame) {
  if (frame.format < AMS_RGB24 || frame.format > AMS_NV12) {
    refuse(fmt::format("ams_frame.format is {}; allowed are {} to {}", frame.format, int{AMS_RGB24},
                       int{AMS_NV12}));
  }
  static_assert(static_cast<int>(PixelFormat::nv12) == AMS_NV12);
  return {.format = static_cast<PixelFormat>(frame.format),
          .width = frame.width,
          .height = frame.height,
          .pixels = frame.pixels,
          .stride_bytes = frame.stride_bytes,
          .chroma = frame.chroma,
          .chroma_stride_bytes = frame.chroma_stride_bytes,
          .full_range = frame.full_range != 0};
}

// ---- events ----

constexpr std::size_t max_waiting_events = 1024;

/// The log of a device, told to its program on a thread of its own.
class Events final : public LogSink {
 public:
  Events(ams_event_callback callback, void* user) : callback_(callback), user_(user) {}

  void write(LogLevel level, std::string_view name, std::span<const LogField> fields) override {
    if (callback_ == nullptr) return;
    if (waiting_.fetch_add(1) >= max_waiting_events) {
      --waiting_;
      ++dropped_;
      return;
    }
    boost::asio::post(thread_, [this, told = told_of(level, name, fields)] {
      tell(told);
      --waiting_;
    });
  }

  /// Tells what waits, and nothing after that.
  void close() { thread_.join(); }

  bool are_told_here() { return thread_.get_executor().running_in_this_thread(); }
  std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  struct Told {
    std::int32_t kind = AMS_EVENT_LOG;
    std::int32_t level = 0;
    std::string name, text;
    ModelVersion model;
  };

  static Told told_of(LogLevel level, std::string_view name, std::span<const LogField> fields) {
    const double unix_seconds =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    Told told{.level = static_cast<std::int32_t>(level),
              .name = std::string(name),
              .text = format_log_line(LogFormat::text, unix_seconds, level, name, fields),
              .model = {}};
    if (name == "connected") told.kind = AMS_EVENT_CONNECTED;
    if (name == "disconnected") told.kind = AMS_EVENT_DISCONNECTED;
    if (name == "model") {
      told.kind = AMS_EVENT_MODEL;
      for (const LogField& field : fields) {
        if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
          told.model.number = static_cast<std::uint32_t>(*number);
        } else if (const auto* digest = std::get_if<std::string>(&field.value)) {
          std::from_chars(digest->data(), digest->data() + digest->size(), told.model.digest, 16);
        }
      }
    }
    return told;
  }

  void tell(const Told& told) const {
    const ams_event event{sizeof(ams_event), told.kind,         told.level,       told.name.c_str(),
                          told.text.c_str(), told.model.number, told.model.digest};
    callback_(user_, &event);
  }

  const ams_event_callback callback_;
  void* const user_;
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::uint64_t> dropped_{0};
  boost::asio::thread_pool thread_{1};
};

}  // namespace

// ---- a device ----

struct ams_device {
 public:
  ams_device(const ams_device_options& given, const StudentBundle& bundle)
      : name(bundle.name),
        class_names(bundle.class_names),
        num_classes(bundle.num_classes),
        input_width(bundle.input_width),
        input_height(bundle.input_height),
        events(given.on_event, given.user) {
    for (const std::string& one : class_names) class_name_texts.push_back(one.c_str());
    for (const int id : bundle.selected_classes) selected.push_back(static_cast<std::uint8_t>(id));
    if (selected.empty()) {
      for (int id = 0; id < num_classes; ++id) selected.push_back(static_cast<std::uint8_t>(id));
    }
    DeviceParts parts{.initial = ModelState(bundle.manifest, bundle.values),
                      .active = make_student(bundle, given),
                      .inactive = make_student(bundle, given),
                      .codec = nullptr,
                      .task = std::make_shared<SegmentationTask>(ClassSubset(selected))};
    parts.on_prediction = [this](const Handle&, const Handle&, ModelVersion version) {
      predicting_version = version.number;
    };
    device.emplace(std::move(parts), device_options(given, bundle.fingerprint), events);
  }

  const std::string name;
  const std::vector<std::string> class_names;
  std::vector<const char*> class_name_texts;
  std::vector<std::uint8_t> selected;
  const int num_classes, input_width, input_height;

  std::atomic<std::uint64_t> frames = 0;
  std::mutex frame_mutex;  // of what takes a frame
  PixelReader pixels;
  std::uint32_t predicting_version = 0;

  std::mutex close_mutex;
  Events events;
  std::optional<Device> device;  // the last one: its threads use all of the above
};

namespace {

ams_device& required(ams_device* device) {
  if (device == nullptr) refuse("the ams_device is NULL");
  return *device;
}

ams_device& open_one(ams_device* device) {
  if (required(device).device->is_closed()) throw Closed();
  return *device;
}

void process(ams_device& device, const ams_frame& frame, ams_labels* labels) {
  if (!(frame.capture_seconds >= 0 && frame.capture_seconds <= max_capture_seconds)) {
    refuse(fmt::format("ams_frame.capture_seconds is {}; allowed are 0 to {}",
                       frame.capture_seconds, max_capture_seconds));
  }
  if (labels != nullptr) {
    const auto needed = static_cast<std::size_t>(device.input_width) *
                        static_cast<std::size_t>(device.input_height);
    if (labels->ids == nullptr) refuse("ams_labels.ids is NULL");
    if (labels->capacity_bytes < needed) {
      refuse(fmt::format("ams_labels.capacity_bytes is {}; {} x {} labels need {}",
                         labels->capacity_bytes, device.input_width, device.input_height, needed));
    }
  }
  const std::lock_guard lock(device.frame_mutex);
  Frame picture = device.pixels.read(view_of(frame));
  picture.capture_seconds = frame.capture_seconds;
  const Handle handle = Handle::make(std::move(picture));
  if (labels != nullptr) {
    const Handle prediction = device.device->host().predict(handle);
    const LabelMap& map = prediction.as<LabelMap>();
    std::memcpy(labels->ids, map.ids.data(), map.ids.size());
    labels->width = map.width;
    labels->height = map.height;
    labels->model_version = device.predicting_version;
  }
  device.device->host().offer(frame.capture_seconds, handle);
  ++device.frames;
}

/// All but the size, as this library knows the struct.
template <class Struct>
void give(Struct value, Struct* to) {
  value.size = to->size;
  *to = value;
}

}  // namespace

const char* ams_status_name(ams_status status) {
  if (status == AMS_OK) return "ok";
  if (status == AMS_CLOSED) return "closed";
  if (status == AMS_FAILED) return "failed";
  // Their order is that of the enumerators.
  if (status < 0 || status > AMS_FAILED) return "unknown";
  return to_string(static_cast<ErrorCode>(status - 1));
}

const char* ams_version(void) {
  return version_string;
}

ams_status ams_device_open(const ams_device_options* options, ams_device** device,
                           ams_error* error) {
  return guarded(error, [&] {
    if (device == nullptr) refuse("the place for the ams_device is NULL");
    *device = nullptr;
    require_known(options, "ams_device_options");
    const StudentBundle bundle = open_student_bundle(required_text(options->student, "student"));
    *device = new ams_device(*options, bundle);
  });
}

ams_status ams_device_start(ams_device* device, ams_error* error) {
  return guarded(error, [&] { open_one(device).device->start(); });
}

ams_status ams_device_close(ams_device* device, const char* reason, double timeout_seconds,
                            ams_error* error) {
  return guarded(error, [&] {
    ams_device& it = required(device);
    if (!(timeout_seconds >= 0 && timeout_seconds <= 3600)) {
      refuse(fmt::format("timeout_seconds is {}; allowed are 0 to 3600", timeout_seconds));
    }
    if (it.events.are_told_here()) refuse("on_event must not call ams_device_close()");
    const std::lock_guard lock(it.close_mutex);
    it.device->close(std::string(cut_text(printable(text_of(reason)), max_text_bytes)),
                     timeout_seconds);
    it.events.close();
  });
}

void ams_device_free(ams_device* device) {
  if (device == nullptr) return;
  ams_device_close(device, nullptr, 0, nullptr);
  delete device;
}

ams_status ams_device_process(ams_device* device, const ams_frame* frame, ams_labels* labels,
                              ams_error* error) {
  return guarded(error, [&] {
    ams_device& it = open_one(device);
    require_known(frame, "ams_frame");
    if (labels != nullptr) require_known(labels, "ams_labels");
    process(it, *frame, labels);
  });
}

ams_status ams_device_describe(ams_device* device, ams_student* student, ams_error* error) {
  return guarded(error, [&] {
    const ams_device& it = required(device);
    require_known(student, "ams_student");
    give({.size = 0,
          .name = it.name.c_str(),
          .class_names = it.class_name_texts.empty() ? nullptr : it.class_name_texts.data(),
          .selected_classes = it.selected.data(),
          .num_selected_classes = static_cast<std::int32_t>(it.selected.size()),
          .num_classes = it.num_classes,
          .input_width = it.input_width,
          .input_height = it.input_height},
         student);
  });
}

ams_status ams_device_get_status(ams_device* device, ams_device_status* status, ams_error* error) {
  return guarded(error, [&] {
    const ams_device& it = required(device);
    require_known(status, "ams_device_status");
    const DeviceHost::Status now = it.device->host().status();
    const ClientCounters counters = it.device->host().counters();
    give({.size = 0,
          .connected = now.streaming ? 1 : 0,
          .model_version = now.model_version,
          .sampling_rate_fps = now.sampling_rate_fps,
          .update_interval_seconds = now.update_interval_seconds,
          .uplink_bytes = now.link.uplink_bytes,
          .downlink_bytes = now.link.downlink_bytes,
          .frames = it.frames,
          .frames_sampled = counters.frames_sampled,
          .samples_dropped = counters.frames_dropped,
          .batches = counters.batches,
          .updates = counters.updates,
          .update_bytes = counters.update_bytes,
          .snapshots = counters.snapshots,
          .refusals = counters.refusals,
          .connections = counters.connections,
          .disconnections = counters.disconnections,
          .events_dropped = it.events.dropped()},
         status);
  });
}
