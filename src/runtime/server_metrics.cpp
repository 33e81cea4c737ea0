#include "server_metrics.hpp"

#include "ams/core/format.hpp"

namespace ams {
namespace {

using D = DeviceMetrics;

struct Family {
  const char* name;
  const char* type;
  const char* help;
  double (*value)(const D&);
};

const SessionCounters& counters(const D& device) {
  return device.session.counters();
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
     [](const D& d) { return number(d.session.pending_batches()); }},
    {"ams_labels_waiting_seconds", "gauge", "How long labels have been waiting for a phase.",
     [](const D& d) { return d.labels_waiting_seconds; }},
    {"ams_snapshots_total", "counter", "Whole models sent.",
     [](const D& d) { return number(counters(d).snapshots); }},
    {"ams_refusals_total", "counter", "Updates that the device refused.",
     [](const D& d) { return number(counters(d).refusals); }},
    {"ams_connected", "gauge", "1 while the device is connected.",
     [](const D& d) { return number(d.session.connected()); }},
    {"ams_unheard_seconds", "gauge", "Since the latest message of the device.",
     [](const D& d) { return d.unheard_seconds; }},
    {"ams_model_version", "gauge", "Version that the server has for the device.",
     [](const D& d) { return number(d.session.held().version().number); }},
    {"ams_versions_behind", "gauge", "Versions that the device has not acknowledged.",
     [](const D& d) {
       return number(d.session.held().version().number) - number(d.session.confirmed().number);
     }},
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
     [](const D& d) { return d.session.sampling_rate_fps(); }},
    {"ams_update_interval_seconds", "gauge", "T_update that the device was told.",
     [](const D& d) { return d.session.update_interval_seconds(); }},
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

std::string server_metrics(const std::vector<DeviceMetrics>& devices) {
  std::string text;
  for (const Family& family : families) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", family.name, family.help, family.type);
    for (const DeviceMetrics& device : devices) {
      text += fmt::format("{}{{device=\"{}\"}} {}\n", family.name, label(device.device_id),
                          family.value(device));
    }
  }
  return text;
}

}  // namespace ams
