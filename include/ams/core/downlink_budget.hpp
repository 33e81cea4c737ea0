#pragma once

#include <cstddef>
#include <vector>

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
/// it may leave nothing for updates until it is paid. What cannot wait for an allowance is owed, and
/// taken off later ones.
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

  /// Bytes go out that nobody asked an allowance for: a connection's handshake, a snapshot. All that
  /// is owed, now and from before, is paid back evenly, over half a window and longer where that
  /// would take more than half of the budget, so that updates go on meanwhile. Throws
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

}  // namespace ams
