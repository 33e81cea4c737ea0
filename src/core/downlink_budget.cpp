#include "ams/core/downlink_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ams/core/error.hpp"

namespace ams {
namespace {

constexpr double max_update_interval_seconds = 3600;

/// What may be taken in advance, in windows.
constexpr double advance_windows = 1.0 / 3;

void check_times(double now_seconds, double update_interval_seconds) {
  if (!std::isfinite(now_seconds)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("DownlinkBudget: now_seconds is {}; it must be finite", now_seconds));
  }
  if (!(update_interval_seconds > 0 && update_interval_seconds <= max_update_interval_seconds)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("DownlinkBudget: T_update is {} s; it must be above 0, up to {}",
                            update_interval_seconds, max_update_interval_seconds));
  }
}

void require(bool good, const char* field, double value, const char* allowed) {
  if (good) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("DownlinkBudgetOptions: {} is {}; it must be {}", field, value, allowed));
}

}  // namespace

void validate(const DownlinkBudgetOptions& options) {
  // Written so that NaN is out of range.
  require(options.budget_bps >= 50 && options.budget_bps <= 1e9, "budget_bps", options.budget_bps,
          "50 to 1e9");
  require(options.link_bps == 0 ||
              (options.link_bps >= options.budget_bps && std::isfinite(options.link_bps)),
          "link_bps", options.link_bps, "0 or at least budget_bps");
  require(options.window_seconds >= 1 && options.window_seconds <= 86400, "window_seconds",
          options.window_seconds, "1 to 86400");
  require(options.overhead_bytes >= 0 && options.overhead_bytes <= 1e6, "overhead_bytes",
          options.overhead_bytes, "0 to 1e6");
}

DownlinkBudget::DownlinkBudget(DownlinkBudgetOptions options, double start_seconds)
    : options_((validate(options), options)), start_seconds_(start_seconds) {
  if (!std::isfinite(start_seconds)) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("DownlinkBudget: start_seconds is {}; it must be finite", start_seconds));
  }
  if (options_.link_bps == 0) options_.link_bps = 4 * options_.budget_bps;
}

double DownlinkBudget::steady_bytes(double update_interval_seconds) const noexcept {
  return std::max(0.0, options_.budget_bps * update_interval_seconds / 8 - options_.overhead_bytes);
}

double DownlinkBudget::Spent::between(double from_seconds, double to_seconds) const noexcept {
  const double begin = std::max(begin_seconds, from_seconds);
  const double end = std::min(end_seconds, to_seconds);
  return end > begin ? bytes * (end - begin) / (end_seconds - begin_seconds) : 0;
}

double DownlinkBudget::between(double from_seconds, double to_seconds) const noexcept {
  double bytes = debt_.between(from_seconds, to_seconds);
  for (const std::vector<Spent>* list : {&spent_, &advanced_}) {
    for (const Spent& spent : *list) bytes += spent.between(from_seconds, to_seconds);
  }
  return bytes;
}

double DownlinkBudget::left_bytes(double now_seconds, double update_interval_seconds) const {
  // Of the window that ends now. Before a whole window has passed there is less to spend.
  const double window = std::max(options_.window_seconds, update_interval_seconds);
  return options_.budget_bps * std::min(window, now_seconds - start_seconds_) / 8 -
         between(now_seconds - window, now_seconds);
}

/// Half of what the budget gives until then pays the advance back.
double DownlinkBudget::advance_end_seconds() const noexcept {
  return start_seconds_ + options_.window_seconds * advance_windows * 2;
}

double DownlinkBudget::advance_bytes(double now_seconds) const {
  const double end = advance_end_seconds();
  // Less what is owed and advanced already.
  return std::max(0.0,
                  options_.budget_bps / 2 * (end - now_seconds) / 8 - between(now_seconds, end));
}

std::size_t DownlinkBudget::allowance_bytes(double now_seconds, double update_interval_seconds,
                                            bool scene_changed) const {
  check_times(now_seconds, update_interval_seconds);
  const double left = left_bytes(now_seconds, update_interval_seconds);
  const double steady = options_.budget_bps * update_interval_seconds / 8;
  double most = scene_changed || left < steady ? left : steady + (left - steady) / 2;
  most += advance_bytes(now_seconds);
  most = std::min(most, options_.link_bps * update_interval_seconds / 8) - options_.overhead_bytes;
  return most > 0 ? static_cast<std::size_t>(most) : 0;
}

void DownlinkBudget::spend(double now_seconds, std::size_t update_bytes,
                           double update_interval_seconds) {
  check_times(now_seconds, update_interval_seconds);
  const double bytes = static_cast<double>(update_bytes) + options_.overhead_bytes;
  const double left = std::max(0.0, left_bytes(now_seconds, update_interval_seconds));
  const double advanced = std::clamp(bytes - left, 0.0, advance_bytes(now_seconds));
  if (advanced > 0) {
    add(advanced_, {now_seconds, advance_end_seconds(), advanced}, now_seconds);
  }
  add(spent_, {now_seconds - update_interval_seconds, now_seconds, bytes - advanced}, now_seconds);
}

void DownlinkBudget::owe(double now_seconds, std::size_t bytes) {
  check_times(now_seconds, max_update_interval_seconds);
  double owed = static_cast<double>(bytes);
  double begin = now_seconds;
  if (const double left = debt_.between(now_seconds, debt_.end_seconds); left > 0) {
    owed += left;
    // One entry a moment, however often a device comes back.
    if (now_seconds - debt_.begin_seconds < options_.window_seconds / 100) {
      owed += debt_.bytes - left;
      begin = debt_.begin_seconds;
    }
  }
  if (const double paid = debt_.between(debt_.begin_seconds, begin); paid > 0) {
    add(spent_, {debt_.begin_seconds, std::min(begin, debt_.end_seconds), paid}, now_seconds);
  }
  const double at_half_the_budget = 2 * 8 * owed / options_.budget_bps;
  debt_ = {begin, begin + std::max(options_.window_seconds / 2, at_half_the_budget), owed};
}

void DownlinkBudget::add(std::vector<Spent>& list, Spent spent, double now_seconds) {
  const double longest_window = std::max(options_.window_seconds, max_update_interval_seconds);
  std::erase_if(list,
                [&](const Spent& s) { return s.end_seconds <= now_seconds - longest_window; });
  list.push_back(spent);
}

}  // namespace ams
