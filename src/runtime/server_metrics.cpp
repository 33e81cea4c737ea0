#include "server_metrics.hpp"

#include <cmath>

#include "ams/core/format.hpp"

namespace ams {
namespace {

using D = DeviceStatus;

struct Family {
  const char* name;
  const char* type;
  const char* help;
  double (*value)(const D&);
};

const SessionCounters& counters(const D& device) {
  return device.counters;
}
template <class Number>
double number(Number value) {
  return static_cast<double>(value);
}

constexpr Family families[] = {
    {"ams_updates_total", "counter", "Updates sent to a device.",
     [](const D& d) { return number(counters(d).updates); }},
    {"ams_update_bytes_total", "counter", "Their bytes, before framing.",
     [](const D& d) { return number(counters(d).update_bytes); }},
    {"ams_phases_total", "counter", "Training phases that gave an update.",
     [](const D& d) { return number(counters(d).phases); }},
    {"ams_phases_failed_total", "counter", "Training phases that failed.",
     [](const D& d) { return number(counters(d).phases_failed); }},
    {"ams_phases_withheld_total", "counter", "Phases whose update did not fit into the budget.",
     [](const D& d) { return number(counters(d).phases_withheld); }},
    {"ams_phase_seconds_total", "counter", "Time spent training.",
     [](const D& d) { return counters(d).phase_seconds; }},
    {"ams_samples_total", "counter", "Frames labelled.",
     [](const D& d) { return number(counters(d).samples); }},
    {"ams_batches_dropped_total", "counter",
     "Batches of frames dropped because too many waited for their labels.",
     [](const D& d) { return number(counters(d).batches_dropped); }},
    {"ams_batches_failed_total", "counter", "Batches that could not be decoded or labelled.",
     [](const D& d) { return number(counters(d).batches_failed); }},
    {"ams_batches_beyond_rate_total", "counter",
     "Batches dropped because the device sends more frames than it was told.",
     [](const D& d) { return number(d.batches_beyond_rate); }},
    {"ams_batches_waiting", "gauge", "Batches that wait for their labels.",
     [](const D& d) { return number(d.batches_waiting); }},
    {"ams_labels_waiting_seconds", "gauge", "How long labels have been waiting for a phase.",
     [](const D& d) { return d.labels_waiting_seconds; }},
    {"ams_label_age_seconds", "gauge", "Since the newest label came; NaN before the first.",
     [](const D& d) { return d.label_age_seconds.value_or(std::nan("")); }},
    {"ams_samples_dropped_total", "counter", "Labelled frames too old or too large to keep.",
     [](const D& d) { return number(counters(d).samples_dropped); }},
    {"ams_phases_abandoned_total", "counter",
     "Phases that nobody wanted any more: the device had left, was paused or got another model.",
     [](const D& d) { return number(counters(d).phases_abandoned); }},
    {"ams_loss", "gauge", "Last loss of the latest phase; NaN before the first.",
     [](const D& d) { return d.loss.value_or(std::nan("")); }},
    {"ams_paused", "gauge", "1 while an operator keeps the device from being trained.",
     [](const D& d) { return number(d.is_paused); }},
    {"ams_saves_failed_total", "counter", "Times that the session could not be saved.",
     [](const D& d) { return number(d.saves_failed); }},
    {"ams_session_not_saved", "gauge",
     "1 since the session could not be saved: the device gets no updates until it can.",
     [](const D& d) { return number(!d.save_failure.empty()); }},
    {"ams_device_uplink_bytes_total", "counter", "Bytes from the device, TLS included.",
     [](const D& d) { return number(d.links.uplink_bytes); }},
    {"ams_device_downlink_bytes_total", "counter", "Bytes to the device, TLS included.",
     [](const D& d) { return number(d.links.downlink_bytes); }},
    {"ams_snapshots_total", "counter", "Whole models sent.",
     [](const D& d) { return number(counters(d).snapshots); }},
    {"ams_refusals_total", "counter", "Updates that the device refused.",
     [](const D& d) { return number(counters(d).refusals); }},
    {"ams_connected", "gauge", "1 while the device is connected.",
     [](const D& d) { return number(d.is_connected); }},
    {"ams_unheard_seconds", "gauge", "Since the latest message of the device.",
     [](const D& d) { return d.unheard_seconds; }},
    {"ams_model_version", "gauge", "Version that the server has for the device.",
     [](const D& d) { return number(d.held.number); }},
    {"ams_versions_behind", "gauge", "Versions that the device has not acknowledged.",
     [](const D& d) { return number(d.held.number) - number(d.confirmed.number); }},
    {"ams_score_adapted", "gauge",
     "Running score of what the device holds, on labels that it was not trained on.",
     [](const D& d) { return counters(d).score_held; }},
    {"ams_score_no_customization", "gauge",
     "Running score of the un-customised student on the same labels.",
     [](const D& d) { return counters(d).score_initial; }},
    {"ams_restarts_total", "counter",
     "Phases that started from an earlier state instead of what the device holds.",
     [](const D& d) { return number(counters(d).restarts + counters(d).restarts_initial); }},
    {"ams_sampling_rate_fps", "gauge", "Sampling rate that the device was told.",
     [](const D& d) { return d.sampling_rate_fps; }},
    {"ams_update_interval_seconds", "gauge", "T_update that the device was told.",
     [](const D& d) { return d.update_interval_seconds; }},
};

/// Quotes and backslashes are escaped; a device id has no control characters.
std::string label(const std::string& device_id) {
  std::string text;
  for (const char c : device_id) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

}  // namespace

void Histogram::write(const char* name, const char* help, std::string& text) const {
  text += fmt::format("# HELP {0} {1}\n# TYPE {0} histogram\n", name, help);
  for (std::size_t i = 0; i < bounds_count; ++i) {
    text += fmt::format("{}_bucket{{le=\"{:.6g}\"}} {}\n", name, bounds_[i], counts_[i]);
  }
  text += fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, count_,
                      sum_);
}

std::string server_metrics(const std::vector<DeviceStatus>& devices,
                           const ServerHistograms& histograms) {
  std::string text;
  for (const Family& family : families) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", family.name, family.help, family.type);
    for (const DeviceStatus& device : devices) {
      const double value = family.value(device);
      text += fmt::format("{}{{device=\"{}\"}} ", family.name, label(device.device_id));
      text += std::isnan(value) ? "NaN\n" : fmt::format("{}\n", value);
    }
  }
  histograms.phase_seconds.write("ams_training_seconds", "How long phases train.", text);
  histograms.labelling_seconds.write("ams_labelling_seconds",
                                     "How long the teacher takes for a batch.", text);
  histograms.queue_seconds.write("ams_queue_seconds",
                                 "How long labels waited for their phase to begin.", text);
  histograms.update_bytes.write("ams_update_size_bytes", "Bytes of an update.", text);
  return text;
}

}  // namespace ams
