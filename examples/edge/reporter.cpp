#include "edge/reporter.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/percentiles.hpp"
#include "common/trace.hpp"

namespace ams {
namespace {

constexpr double rate_window_seconds = 10;
constexpr double line_period_seconds = 5;
constexpr const char* timeline_header =
    "video_seconds,miou,miou_no_customization,downlink_kbps,uplink_kbps,sampling_rate_fps,"
    "model_version,frame_latency_ms,frames,frames_dropped,downlink_bytes,uplink_bytes\n";

double median_of_latest(const std::vector<double>& values) {
  const auto count = std::min<std::ptrdiff_t>(100, std::ssize(values));
  return percentile({values.end() - count, values.end()}, 0.5);
}

nlohmann::json percent(std::optional<double> value) {
  return value ? nlohmann::json(100 * *value) : nlohmann::json();
}

}  // namespace

void PlayCounters::add_latency(double seconds) {
  constexpr std::size_t most = 1'000'000;  // a camera runs for weeks
  latency_seconds.push_back(seconds);
  if (latency_seconds.size() > most) {
    latency_seconds.erase(latency_seconds.begin(), latency_seconds.begin() + most / 2);
  }
}

Reporter::Reporter(const EdgeFlags& flags, const DeviceHost& device, const Scorer* scorer,
                   const Outputs& outputs, std::string runtime)
    : flags_(flags),
      device_(device),
      scorer_(scorer),
      outputs_(outputs),
      runtime_(std::move(runtime)) {
  if (!flags.timeline.empty()) timeline_ = timeline_header;
}

void Reporter::status(const PlayCounters& play, bool last) {
  const double t = play.video_seconds;
  if (!last && t < next_status_seconds_) return;
  next_status_seconds_ = std::floor(t) + 1;
  const DeviceHost::Status now = device_.status();
  recent_links_.push_back({t, now.link});
  while (recent_links_.size() > 2 &&
         recent_links_.front().video_seconds < t - rate_window_seconds) {
    recent_links_.pop_front();
  }
  const LinkSample& before = recent_links_.front();
  const double span = std::max(1e-9, t - before.video_seconds);
  const auto kbps = [&](std::uint64_t from, std::uint64_t to) {
    return double(to - from) * 8 / 1000 / span;
  };
  const double down_kbps = kbps(before.counters.downlink_bytes, now.link.downlink_bytes);
  const double up_kbps = kbps(before.counters.uplink_bytes, now.link.uplink_bytes);
  const Scorer::Live live = scorer_ != nullptr ? scorer_->live() : Scorer::Live{};
  const double latency_ms = median_of_latest(play.latency_seconds) * 1000;

  if (!flags_.timeline.empty()) {
    const auto cell = [](std::optional<double> value) {
      return value ? std::to_string(100 * *value) : std::string();
    };
    timeline_ += std::to_string(t) + "," + cell(live.adapted) + "," + cell(live.baseline) + "," +
                 std::to_string(down_kbps) + "," + std::to_string(up_kbps) + "," +
                 std::to_string(now.sampling_rate_fps) + "," + std::to_string(now.model_version) +
                 "," + std::to_string(latency_ms) + "," + std::to_string(play.frames) + "," +
                 std::to_string(play.frames_dropped) + "," +
                 std::to_string(now.link.downlink_bytes) + "," +
                 std::to_string(now.link.uplink_bytes) + "\n";
  }
  if (flags_.status == "none") return;
  std::FILE* const out = flags_.output_is_standard_output() ? stderr : stdout;
  const bool terminal = flags_.status == "auto" && ::isatty(::fileno(out)) != 0;
  if (!terminal && !last && t < next_line_seconds_) return;
  next_line_seconds_ = std::floor(t) + line_period_seconds;
  const auto text = [](std::optional<double> value) {
    char digits[16] = "   -";
    if (value) std::snprintf(digits, sizeof digits, "%4.1f", 100 * *value);
    return std::string(digits);
  };
  std::fprintf(out,
               "%s%5.0f s  mIoU %s (un-customised %s)  down %6.1f  up %6.1f Kbps  sampling %.2f/s  "
               "model v%-3u  %5.1f ms latency  dropped %zu%s%s",
               terminal ? "\r" : "", t, text(live.adapted).c_str(), text(live.baseline).c_str(),
               down_kbps, up_kbps, now.sampling_rate_fps, now.model_version, latency_ms,
               play.frames_dropped, now.streaming || last ? "      " : "  offline",
               terminal && !last ? "" : "\n");
  std::fflush(out);
}

void Reporter::write(const PlayCounters& play, const std::string& video_name,
                     const std::optional<Clip>& clip, const std::string& failure) const {
  if (!flags_.timeline.empty()) write_file_atomically(flags_.timeline, timeline_);
  if (flags_.report.empty()) return;
  const ModelState& held = device_.client().held();
  const LinkCounters link = device_.status().link;
  const ClientCounters c = device_.counters();
  const double seconds = std::max(play.video_seconds, 1e-9);
  nlohmann::ordered_json report;
  report["clip"] = clip ? clip->info().name : video_name;
  report["student"] = flags_.student.name();
  report["runtime"] = runtime_;
  report["seconds"] = seconds;
  if (!failure.empty()) report["error"] = failure;
  if (clip && scorer_ != nullptr) {
    nlohmann::json names = nlohmann::json::array();
    for (auto id : clip->info().eval_classes) names.push_back(clip->info().classes.at(id));
    report["classes"] = names;
    report["miou"] = percent(scorer_->adapted("miou"));
    report["miou_no_customization"] = percent(scorer_->baseline("miou"));
    report["miou_per_frame"] = percent(scorer_->adapted("miou_per_frame"));
    report["miou_whole_video"] = percent(scorer_->adapted("miou_whole_video"));
    report["miou_whole_video_no_customization"] = percent(scorer_->baseline("miou_whole_video"));
  }
  report["downlink_bps"] = double(link.downlink_bytes) * 8 / seconds;
  report["uplink_bps"] = double(link.uplink_bytes) * 8 / seconds;
  report["downlink_bytes"] = link.downlink_bytes;
  report["uplink_bytes"] = link.uplink_bytes;
  report["updates"] = c.updates;
  report["update_bytes_mean"] = c.updates ? double(c.update_bytes) / double(c.updates) : 0;
  report["snapshots"] = c.snapshots;
  report["refusals"] = c.refusals;
  report["connections"] = c.connections;
  report["frames"] = play.frames;
  report["frames_dropped"] = play.frames_dropped;
  // What happens where inference is slower than frames come.
  report["frame_policy"] = play.live ? "newest" : "each_until_max_lag";
  report["frames_late"] = play.frames_late;
  report["video_losses"] = play.video_losses;
  report["frames_sampled"] = c.frames_sampled;
  report["samples_dropped"] = c.frames_dropped;  // the buffer was full
  report["batches_refused"] = c.batches_refused;
  if (!flags_.output.empty()) report["output"] = outputs_.output_report();
  if (!flags_.show.empty()) report["show"] = outputs_.show_report();
  report["frame_latency_ms"] = percentiles(play.latency_seconds, 1000);
  report["stage_seconds"] = stages_report(device_.stages());
  report["scene_changes"] = c.scene_changes;
  report["swap_ms"] = percentiles(device_.swap_seconds(), 1000);
  report["digest"] = hex(held.version().digest);
  report["model_version"] = held.version().number;
  // Names of files and texts of errors may not be UTF-8; the report must be written all the same.
  write_file_atomically(
      flags_.report, report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace ams
