#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ams/runtime/device_status.hpp"

namespace ams {

/// Counts values up to each of a few bounds, as Prometheus wants them. A plain value.
class Histogram {
 public:
  static constexpr std::size_t bounds_count = 10;

  /// Bounds begin at `first` and grow by `factor`.
  Histogram(double first, double factor) {
    for (double& bound : bounds_) {
      bound = first;
      first *= factor;
    }
  }

  void add(double value) {
    for (std::size_t i = 0; i < bounds_count; ++i) counts_[i] += value <= bounds_[i];
    ++count_;
    sum_ += value;
  }

  /// In Prometheus text.
  void write(const char* name, const char* help, std::string& text) const;

 private:
  std::array<double, bounds_count> bounds_{};
  std::array<std::uint64_t, bounds_count> counts_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

/// Of all devices together.
struct ServerHistograms {
  Histogram phase_seconds{0.05, 2};
  Histogram labelling_seconds{0.01, 2.5};  ///< of a batch
  Histogram queue_seconds{0.01, 2.5};      ///< labels waiting for their phase
  Histogram update_bytes{256, 4};
};

/// Prometheus text (version 0.0.4): a family for each metric, a sample for each device.
std::string server_metrics(const std::vector<DeviceStatus>& devices,
                           const ServerHistograms& histograms);

}  // namespace ams
