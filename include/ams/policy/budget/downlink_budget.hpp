#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/policy/budget/downlink_budget.hpp"

namespace ams {

/// What the downlink may carry.
struct DownlinkBudgetOptions {
  double budget_bps = 2000;  ///< mean over a window, every byte counted; 50 to 1e9
  /// What the link takes: no update is larger than this times T_update. At least budget_bps; 0:
  /// four times that.
  double link_bps = 0;
  double window_seconds = 60;  ///< of the mean; 1 to 86,400
  /// Bytes that an update costs besides its own: message, chunk, WebSocket and TLS headers.
  double overhead_bytes = 28;  ///< 0 to 1e6
};

/// Throws Error(invalid_argument), naming the field and its range.
void validate(const DownlinkBudgetOptions& options);

/// Spends a downlink budget: tells how large the next update may be, so that over no window the
/// mean is above the budget and, as long as there is something to send, little of it is left over.
/// An update counts evenly over the T_update that it took to come about, so that one that is a
/// little early or late changes little. Half of what quiet times leave over is kept for the
/// window's length and goes out when the scene changes. At the start, when an update matters most,
/// what a third of a window gives is there in advance; it is paid back with half of the budget, so
/// before the first window has passed. What is owed before makes it smaller; debts that come after
/// it may leave nothing for updates until it is paid. What cannot wait for an allowance is owed,
/// and taken off later ones.
///
/// A plain value without a clock: the caller passes the time, in seconds on any one timeline that
/// does not go back. Not thread-safe.
///
///     DownlinkBudget budget({.budget_bps = 2000});
///     ...
///     const std::size_t most = budget.allowance_bytes(now, t_update, scene_changed);
///     const auto update = ...;                      // the best that fits into `most` bytes
///     budget.spend(now, update.size(), t_update);
class DownlinkBudget {
 public:
  /// Throws Error(invalid_argument).
  explicit DownlinkBudget(DownlinkBudgetOptions options, double start_seconds = 0);

  /// Bytes that the update of this moment may have. `scene_changed`: what was saved may go out at
  /// once. update_interval_seconds: T_update, above 0, up to 3600, else Error(invalid_argument).
  std::size_t allowance_bytes(double now_seconds, double update_interval_seconds,
                              bool scene_changed) const;

  /// What an update may have on average.
  double steady_bytes(double update_interval_seconds) const noexcept;

  /// An update of so many bytes goes out; it stands for the update_interval_seconds before. Throws
  /// Error(invalid_argument) as allowance_bytes() does.
  void spend(double now_seconds, std::size_t update_bytes, double update_interval_seconds);

  /// Bytes go out that nobody asked an allowance for: a connection's handshake, a snapshot. All
  /// that is owed, now and from before, is paid back evenly, over half a window and longer where
  /// that would take more than half of the budget, so that updates go on meanwhile. Throws
  /// Error(invalid_argument) on a time that is not finite.
  void owe(double now_seconds, std::size_t bytes);

  const DownlinkBudgetOptions& options() const noexcept { return options_; }

 private:
  /// Bytes that count evenly from begin to end.
  struct Spent {
    double begin_seconds, end_seconds, bytes;
    double between(double from_seconds, double to_seconds) const noexcept;
  };

  /// What is left of the window that ends now.
  double left_bytes(double now_seconds, double update_interval_seconds) const;
  /// What may still be taken in advance.
  double advance_bytes(double now_seconds) const;
  double advance_end_seconds() const noexcept;
  void add(std::vector<Spent>& list, Spent spent, double now_seconds);
  /// Of all that has been spent, is owed or was taken in advance.
  double between(double from_seconds, double to_seconds) const noexcept;

  DownlinkBudgetOptions options_;
  double start_seconds_;
  std::vector<Spent> spent_;     // that may still lie in a window
  std::vector<Spent> advanced_;  // the same, of what was taken in advance
  Spent debt_{0, 0, 0};          // what is owed; earlier payments are in spent_
};

namespace detail::downlink_budget {

inline constexpr double max_update_interval_seconds = 3600;

/// What may be taken in advance, in windows.
inline constexpr double advance_windows = 1.0 / 3;

inline void check_times(double now_seconds, double update_interval_seconds) {
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

inline void require(bool good, const char* field, double value, const char* allowed) {
  if (good) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("DownlinkBudgetOptions: {} is {}; it must be {}", field, value, allowed));
}

}  // namespace detail::downlink_budget

inline void validate(const DownlinkBudgetOptions& options) {
  // Written so that NaN is out of range.
  detail::downlink_budget::require(options.budget_bps >= 50 && options.budget_bps <= 1e9,
                                   "budget_bps", options.budget_bps, "50 to 1e9");
  detail::downlink_budget::require(
      options.link_bps == 0 ||
          (options.link_bps >= options.budget_bps && std::isfinite(options.link_bps)),
      "link_bps", options.link_bps, "0 or at least budget_bps");
  detail::downlink_budget::require(options.window_seconds >= 1 && options.window_seconds <= 86400,
                                   "window_seconds", options.window_seconds, "1 to 86400");
  detail::downlink_budget::require(options.overhead_bytes >= 0 && options.overhead_bytes <= 1e6,
                                   "overhead_bytes", options.overhead_bytes, "0 to 1e6");
}

inline DownlinkBudget::DownlinkBudget(DownlinkBudgetOptions options, double start_seconds)
    : options_((validate(options), options)), start_seconds_(start_seconds) {
  if (!std::isfinite(start_seconds)) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("DownlinkBudget: start_seconds is {}; it must be finite", start_seconds));
  }
  if (options_.link_bps == 0) options_.link_bps = 4 * options_.budget_bps;
}

inline double DownlinkBudget::steady_bytes(double update_interval_seconds) const noexcept {
  return std::max(0.0, options_.budget_bps * update_interval_seconds / 8 - options_.overhead_bytes);
}

inline double DownlinkBudget::Spent::between(double from_seconds,
                                             double to_seconds) const noexcept {
  const double begin = std::max(begin_seconds, from_seconds);
  const double end = std::min(end_seconds, to_seconds);
  return end > begin ? bytes * (end - begin) / (end_seconds - begin_seconds) : 0;
}

inline double DownlinkBudget::between(double from_seconds, double to_seconds) const noexcept {
  double bytes = debt_.between(from_seconds, to_seconds);
  for (const std::vector<Spent>* list : {&spent_, &advanced_}) {
    for (const Spent& spent : *list) bytes += spent.between(from_seconds, to_seconds);
  }
  return bytes;
}

inline double DownlinkBudget::left_bytes(double now_seconds, double update_interval_seconds) const {
  // Of the window that ends now. Before a whole window has passed there is less to spend.
  const double window = std::max(options_.window_seconds, update_interval_seconds);
  return options_.budget_bps * std::min(window, now_seconds - start_seconds_) / 8 -
         between(now_seconds - window, now_seconds);
}

/// Half of what the budget gives until then pays the advance back.
inline double DownlinkBudget::advance_end_seconds() const noexcept {
  return start_seconds_ + options_.window_seconds * detail::downlink_budget::advance_windows * 2;
}

inline double DownlinkBudget::advance_bytes(double now_seconds) const {
  const double end = advance_end_seconds();
  // Less what is owed and advanced already.
  return std::max(0.0,
                  options_.budget_bps / 2 * (end - now_seconds) / 8 - between(now_seconds, end));
}

inline std::size_t DownlinkBudget::allowance_bytes(double now_seconds,
                                                   double update_interval_seconds,
                                                   bool scene_changed) const {
  detail::downlink_budget::check_times(now_seconds, update_interval_seconds);
  const double left = left_bytes(now_seconds, update_interval_seconds);
  const double steady = options_.budget_bps * update_interval_seconds / 8;
  double most = scene_changed || left < steady ? left : steady + (left - steady) / 2;
  most += advance_bytes(now_seconds);
  most = std::min(most, options_.link_bps * update_interval_seconds / 8) - options_.overhead_bytes;
  return most > 0 ? static_cast<std::size_t>(most) : 0;
}

inline void DownlinkBudget::spend(double now_seconds, std::size_t update_bytes,
                                  double update_interval_seconds) {
  detail::downlink_budget::check_times(now_seconds, update_interval_seconds);
  const double bytes = static_cast<double>(update_bytes) + options_.overhead_bytes;
  const double left = std::max(0.0, left_bytes(now_seconds, update_interval_seconds));
  const double advanced = std::clamp(bytes - left, 0.0, advance_bytes(now_seconds));
  if (advanced > 0) {
    add(advanced_, {now_seconds, advance_end_seconds(), advanced}, now_seconds);
  }
  add(spent_, {now_seconds - update_interval_seconds, now_seconds, bytes - advanced}, now_seconds);
}

inline void DownlinkBudget::owe(double now_seconds, std::size_t bytes) {
  detail::downlink_budget::check_times(now_seconds,
                                       detail::downlink_budget::max_update_interval_seconds);
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

inline void DownlinkBudget::add(std::vector<Spent>& list, Spent spent, double now_seconds) {
  const double longest_window =
      std::max(options_.window_seconds, detail::downlink_budget::max_update_interval_seconds);
  std::erase_if(list,
                [&](const Spent& s) { return s.end_seconds <= now_seconds - longest_window; });
  list.push_back(spent);
}

}  // namespace ams
