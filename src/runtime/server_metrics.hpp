#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ams/session/server_session.hpp"

namespace ams {

/// What a host knows of a device besides its session.
struct DeviceMetrics {
  const std::string& device_id;
  const ServerSession& session;
  double unheard_seconds = 0;         ///< since its latest message
  double labels_waiting_seconds = 0;  ///< how long labels have been waiting for a phase
  std::uint64_t batches_beyond_rate = 0;
};

/// Prometheus text (version 0.0.4): a family for each metric, a sample for each device.
std::string server_metrics(const std::vector<DeviceMetrics>& devices);

}  // namespace ams
