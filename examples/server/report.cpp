#include "server/report.hpp"

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/percentiles.hpp"
#include "common/trace.hpp"

namespace ams {
namespace {

nlohmann::json report_of(const SessionReport& session) {
  const SessionCounters& c = session.counters;
  return {{"device_id", session.device_id},
          {"model_version", session.held.number},
          {"digest", hex(session.held.digest)},
          {"updates", c.updates},
          {"update_bytes_mean", c.updates ? double(c.update_bytes) / double(c.updates) : 0},
          {"bits_per_coordinate",
           c.update_coordinates ? 8.0 * double(c.update_bytes) / double(c.update_coordinates) : 0},
          {"samples", c.samples},
          {"snapshots", c.snapshots},
          {"resumed_in_step", c.resumed_in_step},
          {"resumed_with_updates", c.resumed_with_updates},
          {"resumed_with_snapshot", c.resumed_with_snapshot},
          {"refusals", c.refusals},
          {"batches_failed", c.batches_failed},
          {"phases_failed", c.phases_failed},
          {"phases_withheld", c.phases_withheld},
          {"phase_seconds", percentiles(session.phase_seconds)},
          {"stage_seconds", stages_report(session.stages)},
          {"score_adapted", c.score_held},
          {"score_no_customization", c.score_initial},
          {"restarts", c.restarts},
          {"restarts_no_customization", c.restarts_initial},
          {"uplink_bytes", session.ended_links.uplink_bytes},
          {"downlink_bytes", session.ended_links.downlink_bytes}};
}

}  // namespace

void write_report(const std::vector<SessionReport>& sessions, const LinkCounters& total,
                  const Manifest& manifest, const ServerFlags& flags) {
  nlohmann::json reports = nlohmann::json::array();
  for (const SessionReport& session : sessions) reports.push_back(report_of(session));
  const nlohmann::json report = {{"sessions", reports},
                                 {"uplink_bytes", total.uplink_bytes},
                                 {"downlink_bytes", total.downlink_bytes},
                                 {"parameters", manifest.dimension()},
                                 {"training", flags.training_report(manifest)}};
  write_file_atomically(
      flags.report, report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace ams
