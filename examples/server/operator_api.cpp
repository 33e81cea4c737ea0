#include "server/operator_api.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/video/image_file.hpp"

namespace ams {
namespace {

using nlohmann::json;

/// An answer that is not 200.
struct Denial {
  unsigned status;
  std::string message;
};

HttpAnswer to_answer(const json& value, unsigned status = 200) {
  return {status, "application/json",
          value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}

HttpAnswer to_answer(const Denial& refusal) {
  return to_answer(json{{"error", refusal.message}}, refusal.status);
}

std::string percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    throw Denial{400, "the path is not percent-encoded as it should be"};
  };
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) digit('%');
    decoded += static_cast<char>(16 * digit(text[i + 1]) + digit(text[i + 2]));
    i += 2;
  }
  return decoded;
}

std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> found;
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    found.push_back(percent_decoded(path.substr(begin, end - begin)));
    begin = end + 1;
  }
  return found;
}

json or_null(const std::optional<double>& value) {
  return value ? json(*value) : json();
}

json to_json(const DeviceStatus& d) {
  const SessionCounters& c = d.counters;
  const auto when_scored = [&](double score) { return c.trials ? json(score) : json(); };
  return {{"id", d.device_id},
          {"state", d.is_paused      ? "paused"
                    : d.is_connected ? "connected"
                                     : "away"},
          {"connected", d.is_connected},
          {"paused", d.is_paused},
          {"peer", d.peer},
          {"student", d.student},
          {"version", d.held.number},
          {"versions_behind", std::int64_t{d.held.number} - std::int64_t{d.confirmed.number}},
          {"score_adapted", when_scored(c.score_held)},
          {"score_no_customization", when_scored(c.score_initial)},
          {"gain", when_scored(c.score_held - c.score_initial)},
          {"loss", or_null(d.loss)},
          {"label_age_seconds", or_null(d.label_age_seconds)},
          {"unheard_seconds", d.unheard_seconds},
          {"labels_waiting_seconds", d.labels_waiting_seconds},
          {"sampling_rate_fps", d.sampling_rate_fps},
          {"update_interval_seconds", d.update_interval_seconds},
          {"uplink_kbps", d.uplink_kbps},
          {"downlink_kbps", d.downlink_kbps},
          {"uplink_bytes", d.links.uplink_bytes},
          {"downlink_bytes", d.links.downlink_bytes},
          {"phases_per_second", d.phases_per_second},
          {"labels_per_second", d.labels_per_second},
          {"phases", c.phases},
          {"updates", c.updates},
          {"update_bytes", c.update_bytes},
          {"snapshots", c.snapshots},
          {"samples", c.samples},
          {"connections", c.connections},
          {"errors",
           {{"phases_failed", c.phases_failed},
            {"batches_failed", c.batches_failed},
            {"refusals", c.refusals},
            {"faults", c.faults},
            {"saves_failed", d.saves_failed}}},
          {"drops",
           {{"queue_full", c.batches_dropped},
            {"beyond_rate", d.batches_beyond_rate},
            {"samples", c.samples_dropped}}},
          {"not_saved", d.save_failure.empty() ? json() : json(d.save_failure)},
          {"last_error", d.last_error}};
}

json to_json(const std::vector<HistoryPoint>& points, double now_seconds) {
  json columns = {{"age_seconds", json::array()},
                  {"score_adapted", json::array()},
                  {"score_no_customization", json::array()},
                  {"loss", json::array()},
                  {"uplink_kbps", json::array()},
                  {"downlink_kbps", json::array()},
                  {"update_interval_seconds", json::array()}};
  for (const HistoryPoint& p : points) {
    columns["age_seconds"].push_back(now_seconds - p.seconds);
    columns["score_adapted"].push_back(p.score_adapted);
    columns["score_no_customization"].push_back(p.score_initial);
    columns["loss"].push_back(p.loss);
    columns["uplink_kbps"].push_back(p.uplink_kbps);
    columns["downlink_kbps"].push_back(p.downlink_kbps);
    columns["update_interval_seconds"].push_back(p.update_interval_seconds);
  }
  return columns;
}

constexpr std::array<std::string_view, 4> picture_names{"sample.jpg", "teacher.jpg", "adapted.jpg",
                                                        "no_customization.jpg"};

std::string jpeg(const Frame& frame) {
  if (frame.rgb.empty()) return {};
  const std::vector<std::byte> bytes = encode_jpeg(frame);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

/// Pictures of the devices that were looked at lately. Whoever asks while a device's are being
/// drawn waits for the same ones, so that a page's four requests draw them once.
struct OperatorApi::Pictures {
  static constexpr double fresh_seconds = 1, longest_seconds = 20;
  static constexpr std::size_t max_devices = 16;

  struct Device {
    double asked_seconds = 0, drawn_seconds = -1;
    std::array<std::string, 4> jpegs;  // in the order of picture_names
    std::vector<std::pair<std::size_t, HttpReply>> waiting;
  };

  std::mutex mutex;
  std::map<std::string, Device> devices;

  static HttpAnswer answer(const std::string& jpeg) {
    if (jpeg.empty()) return to_answer(Denial{404, "this server draws no predictions"});
    return {200, "image/jpeg", jpeg};
  }

  /// Whether they must be drawn; otherwise the reply is seen to.
  bool wants(const std::string& id, std::size_t which, const HttpReply& reply, double now) {
    const std::lock_guard lock(mutex);
    if (!devices.contains(id) && devices.size() >= max_devices) devices.erase(oldest());
    Device& device = devices[id];
    if (device.drawn_seconds >= 0 && now - device.drawn_seconds < fresh_seconds) {
      reply(answer(device.jpegs[which]));
      return false;
    }
    const bool is_drawing = !device.waiting.empty() && now - device.asked_seconds < longest_seconds;
    device.waiting.emplace_back(which, reply);
    if (!is_drawing) device.asked_seconds = now;
    return !is_drawing;
  }

  std::map<std::string, Device>::iterator oldest() {
    auto oldest = devices.begin();
    for (auto it = devices.begin(); it != devices.end(); ++it) {
      if (it->second.asked_seconds < oldest->second.asked_seconds) oldest = it;
    }
    return oldest;
  }

  void drawn(const std::string& id, const DevicePictures* pictures, const Error* error,
             double now) {
    std::array<std::string, 4> jpegs;
    std::string why = error ? error->what() : "";
    if (pictures) {
      try {
        jpegs = {jpeg(pictures->sample), jpeg(pictures->teacher), jpeg(pictures->adapted),
                 jpeg(pictures->initial)};
      } catch (const Error& failure) {
        why = failure.what();
      }
    }
    std::vector<std::pair<std::size_t, HttpReply>> waiting;
    {
      const std::lock_guard lock(mutex);
      const auto found = devices.find(id);
      if (found == devices.end()) return;
      waiting = std::exchange(found->second.waiting, {});
      if (why.empty()) {
        found->second.drawn_seconds = now;
        found->second.jpegs = jpegs;
      }
    }
    for (const auto& [which, reply] : waiting) {
      reply(why.empty() ? answer(jpegs[which]) : to_answer(Denial{404, why}));
    }
  }
};

OperatorApi::OperatorApi(ServerHost& host, const Executor& executor)
    : pictures_(std::make_shared<Pictures>()), host_(&host), executor_(&executor) {}

void OperatorApi::operator()(const HttpRequest& request, const HttpReply& reply) const {
  const auto only = [&](std::string_view method) {
    if (request.method == method) return;
    throw Denial{405, "only " + std::string(method) + " is answered here"};
  };
  try {
    const std::vector<std::string> parts = segments(request.path);
    if (parts.size() < 2 || parts.size() > 4 || parts[1] != "devices") {
      throw Denial{404, "not found"};
    }
    const double now = executor_->now_seconds();
    if (parts.size() == 2) {
      only("GET");
      json devices = json::array();
      for (const DeviceStatus& device : host_->devices()) devices.push_back(to_json(device));
      return reply(to_answer({{"uptime_seconds", now}, {"devices", std::move(devices)}}));
    }
    const std::string& id = parts[2];
    std::optional<DeviceStatus> known;
    for (DeviceStatus& device : host_->devices()) {
      if (device.device_id == id) known = std::move(device);
    }
    if (!known) throw Denial{404, "no device of this id has a session here"};
    if (parts.size() == 3) {
      only("GET");
      json device = to_json(*known);
      device["history"] = to_json(host_->history(id), now);
      return reply(to_answer(device));
    }
    const std::string& what = parts[3];
    for (std::size_t which = 0; which < picture_names.size(); ++which) {
      if (what != picture_names[which]) continue;
      only("GET");
      if (!pictures_->wants(id, which, reply, now)) return;
      return host_->show(id, [pictures = pictures_, executor = executor_, id](
                                 const DevicePictures* drawn, const Error* error) {
        pictures->drawn(id, drawn, error, executor->now_seconds());
      });
    }
    if (what == "pause" || what == "resume") {
      only("POST");
      host_->set_paused(id, what == "pause", request.peer);
    } else if (what == "reset") {
      only("POST");
      host_->reset(id, request.peer);
    } else if (what == "roll-back") {
      only("POST");
      host_->roll_back(id, request.peer);
    } else if (what == "disconnect") {
      only("POST");
      host_->disconnect(id, "an operator ended the connection");
    } else {
      throw Denial{404,
                   "not found; a device has sample.jpg, teacher.jpg, adapted.jpg and "
                   "no_customization.jpg, and takes pause, resume, reset, roll-back and "
                   "disconnect"};
    }
    reply(to_answer(json{{"done", what}}));
  } catch (const Denial& refusal) {
    reply(to_answer(refusal));
  } catch (const Error& error) {
    reply(to_answer(Denial{error.code() == ErrorCode::unavailable ? 409U : 400U, error.what()}));
  } catch (const std::exception& error) {
    reply(to_answer(Denial{500, error.what()}));
  }
}

}  // namespace ams
