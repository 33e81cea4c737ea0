#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ams/runtime/device_status.hpp"

namespace ams {

/// A device's past in a bounded memory: when it is full, every second point goes and the others
/// follow at half the pace. Not thread-safe.
class DeviceHistory {
 public:
  static constexpr std::size_t max_points = 512;

  /// The sums that rates are made of.
  struct Totals {
    LinkCounters links;
    std::uint64_t phases = 0, labels = 0;
  };

  /// Brings the rates up to date.
  void measure(double now_seconds, const Totals& totals) {
    const double elapsed = now_seconds - measured_seconds_;
    if (is_measured_ && elapsed <= 0) return;
    if (is_measured_) {
      constexpr double mean_over_seconds = 15;
      const double weight = 1 - std::exp(-elapsed / mean_over_seconds);
      const auto follow = [&](double& rate, std::uint64_t now, std::uint64_t before) {
        const double latest = now > before ? static_cast<double>(now - before) / elapsed : 0;
        rate += weight * (latest - rate);
      };
      follow(uplink_bytes_, totals.links.uplink_bytes, totals_.links.uplink_bytes);
      follow(downlink_bytes_, totals.links.downlink_bytes, totals_.links.downlink_bytes);
      follow(phases_, totals.phases, totals_.phases);
      follow(labels_, totals.labels, totals_.labels);
    }
    is_measured_ = true;
    measured_seconds_ = now_seconds;
    totals_ = totals;
  }

  double uplink_kbps() const noexcept { return uplink_bytes_ * 8e-3; }
  double downlink_kbps() const noexcept { return downlink_bytes_ * 8e-3; }
  double phases_per_second() const noexcept { return phases_; }
  double labels_per_second() const noexcept { return labels_; }

  /// Keeps the point, unless it comes too soon after the one before.
  void add(const HistoryPoint& point) {
    if (!points_.empty() && point.seconds - points_.back().seconds < period_seconds_) return;
    if (points_.size() == max_points) {
      for (std::size_t i = 0; i < max_points / 2; ++i) points_[i] = points_[2 * i];
      points_.resize(max_points / 2);
      period_seconds_ *= 2;
    }
    points_.push_back(point);
  }

  /// The oldest first.
  const std::vector<HistoryPoint>& points() const noexcept { return points_; }

 private:
  std::vector<HistoryPoint> points_;
  double period_seconds_ = 2;
  bool is_measured_ = false;
  double measured_seconds_ = 0;
  Totals totals_;
  double uplink_bytes_ = 0, downlink_bytes_ = 0, phases_ = 0, labels_ = 0;  // a second
};

}  // namespace ams
