#include "hosted_device.hpp"

#include <limits>

namespace ams::detail {
namespace {

/// One device that comes back does not throw out a connection that is alive as often as this.
constexpr int most_takeovers = 3;
constexpr double takeovers_seconds = 60;
constexpr std::size_t max_phases_reported = 10000;
constexpr std::size_t max_unacknowledged = 64;
constexpr double earlier_state_period_seconds = 300;

}  // namespace

bool HostedDevice::is_contested(double now) {
  if (takeovers_ == 0 || now - takeovers_since_ > takeovers_seconds) {
    takeovers_ = 0;
    takeovers_since_ = now;
  }
  if (++takeovers_ < most_takeovers) return false;
  takeovers_ = 0;
  return true;
}

void HostedDevice::note_phase(const TrainingResult& result) {
  phase_seconds.push_back(result.seconds);
  if (phase_seconds.size() > max_phases_reported) phase_seconds.pop_front();
  if (!result.losses.empty()) loss = result.losses.back();
}

void HostedDevice::keep_earlier(std::size_t most, double now) {
  if (most == 0) return;
  if (!earlier.empty() && now - earlier_seconds_ < earlier_state_period_seconds) return;
  if (!earlier.empty() && earlier.back() == session.held_ptr()) return;
  if (earlier.size() == most) earlier.pop_front();
  earlier.push_back(session.held_ptr());
  earlier_seconds_ = now;
}

void HostedDevice::update_left(double now) {
  const std::uint64_t number = session.held().version().number;
  // After a reconnection several are sent again; the last one counts.
  if (!unacknowledged_.empty() && unacknowledged_.back().first == number) {
    unacknowledged_.pop_back();
  }
  unacknowledged_.emplace_back(number, now);
  if (unacknowledged_.size() > max_unacknowledged) unacknowledged_.pop_front();
}

std::optional<double> HostedDevice::acknowledged(std::uint64_t version, double now) {
  std::optional<double> took;
  while (!unacknowledged_.empty() && unacknowledged_.front().first <= version) {
    const auto [number, left_seconds] = unacknowledged_.front();
    unacknowledged_.pop_front();
    // Of others a newer one took the place before they were swapped in.
    if (number == version) took = now - left_seconds;
  }
  return took;
}

DeviceStatus HostedDevice::status(const std::string& id, const std::string& peer,
                                  const LinkCounters& links, double now) const {
  DeviceStatus status;
  status.device_id = id;
  status.student = student->name;
  status.is_connected = session.connected();
  status.peer = peer;
  status.is_paused = session.is_paused();
  status.held = session.held().version();
  status.confirmed = session.confirmed();
  status.counters = session.counters();
  status.batches_beyond_rate = batches_beyond;
  status.batches_waiting = session.pending_batches();
  status.labels_waiting_seconds = now - labelled_seconds.value_or(now);
  status.saves_failed = saves_failed;
  status.save_failure = save_failure;
  status.buffered_samples = session.buffered_samples();
  status.sampling_rate_fps = session.sampling_rate_fps();
  status.update_interval_seconds = session.update_interval_seconds();
  status.unheard_seconds = now - heard_seconds;
  if (label_seconds) status.label_age_seconds = now - *label_seconds;
  status.loss = loss;
  status.links = links;
  status.uplink_kbps = history.uplink_kbps();
  status.downlink_kbps = history.downlink_kbps();
  status.phases_per_second = history.phases_per_second();
  status.labels_per_second = history.labels_per_second();
  status.last_error = session.last_error();
  // The session knows that a batch failed, and not why.
  if (!batch_failure.empty() && status.last_error == batch_error) {
    status.last_error += ": " + batch_failure;
  }
  return status;
}

void HostedDevice::remember(const LinkCounters& links, double now) {
  const SessionCounters& counters = session.counters();
  history.measure(now, {links, counters.phases, counters.samples});
  const auto small = [](double value) { return static_cast<float>(value); };
  constexpr float unknown = std::numeric_limits<float>::quiet_NaN();
  const bool is_scored = counters.trials > 0;
  history.add({now, is_scored ? small(counters.score_held) : unknown,
               is_scored ? small(counters.score_initial) : unknown, loss ? small(*loss) : unknown,
               small(history.uplink_kbps()), small(history.downlink_kbps()),
               small(session.update_interval_seconds())});
}

}  // namespace ams::detail
