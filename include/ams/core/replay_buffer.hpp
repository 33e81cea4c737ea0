#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/exact_math.hpp"
#include "ams/core/random.hpp"

namespace ams {

/// Bounds of a replay buffer. Whatever comes first drops the oldest samples.
struct ReplayBufferOptions {
  double horizon_seconds = 240;    ///< T_horizon, finite, > 0
  std::size_t max_samples = 4096;  ///< >= 1; the paper's 1 fps over 240 s needs 241
  std::size_t max_bytes = std::numeric_limits<std::size_t>::max();  ///< >= 1; see size_of
};

/// The training buffer B of Algorithm 1: samples with time stamps, of which mini-batches are drawn
/// with replacement over the last T_horizon seconds (line 12; Algorithm 2, line 7), uniformly or,
/// if wanted, the recent ones more often.
///
/// Sample: any copyable type whose move does not throw; a cheap handle such as LabelledFramePtr is
/// best, as each draw copies it.
///
/// Thread-safe: every member may be called from any thread at any time (one labels frames and adds
/// them while another draws for training). Members hold one mutex for the time of copying handles;
/// samples are destroyed outside it. The draws depend only on the contents, the arguments and
/// `random`, so a run repeats exactly when the caller orders its adds and draws.
///
///     HorizonReplayBuffer<LabelledFramePtr> buffer({.horizon_seconds = 240});
///     buffer.add(frame->frame.capture_seconds, frame);
///     Random random(seed);
///     auto mini_batches = buffer.draw(now, 20, 8, random);  // K = 20 mini-batches of 8
///     if (mini_batches.empty()) wait_for_frames();
template <class Sample>
class HorizonReplayBuffer {
  static_assert(std::is_nothrow_move_constructible_v<Sample> &&
                    std::is_nothrow_move_assignable_v<Sample>,
                "a sample's move must not throw; hold it by std::shared_ptr");

 public:
  struct Entry {
    double time_seconds = 0;
    Sample sample;
  };

  /// Bytes that a sample counts against max_bytes. Must always give the same for the same sample.
  using SizeFunction = std::function<std::size_t(const Sample&)>;

  /// size_of: without one, every sample counts sizeof(Sample). Throws Error(invalid_argument).
  explicit HorizonReplayBuffer(ReplayBufferOptions options = {}, SizeFunction size_of = {})
      : options_(options), size_of_(std::move(size_of)) {
    const auto require = [](bool ok, const std::string& message) {
      if (!ok) throw Error(ErrorCode::invalid_argument, "replay buffer: " + message);
    };
    require(std::isfinite(options_.horizon_seconds) && options_.horizon_seconds > 0,
            "horizon_seconds is " + std::to_string(options_.horizon_seconds) +
                "; allowed is a finite value > 0");
    require(options_.max_samples >= 1, "max_samples is 0; allowed is 1 or more");
    require(options_.max_bytes >= 1, "max_bytes is 0; allowed is 1 or more");
  }

  /// Keeps a sample of the given time, and forgets those that are older than the newest time by
  /// more than T_horizon, then the oldest ones until max_samples and max_bytes hold.
  ///
  /// Times need not come in order: a late sample takes its place among the others, behind those of
  /// the same time. One that would be forgotten at once (older than the horizon, or the oldest of a
  /// full buffer) is not taken and nothing changes; the result is false. Times from a network must
  /// be checked by the caller: one in the far future empties the buffer.
  ///
  /// Throws Error(invalid_argument) when the time is not finite, Error(limit_exceeded) when the
  /// sample alone is over max_bytes, and std::bad_alloc; nothing has changed then.
  bool add(double time_seconds, Sample sample) {
    if (!std::isfinite(time_seconds)) {
      throw Error(
          ErrorCode::invalid_argument,
          "replay buffer: time stamp is " + std::to_string(time_seconds) + "; it must be finite");
    }
    const std::size_t bytes = size_of_ ? size_of_(std::as_const(sample)) : sizeof(Sample);
    if (bytes > options_.max_bytes) {
      throw Error(ErrorCode::limit_exceeded, "replay buffer: a sample of " + std::to_string(bytes) +
                                                 " bytes; allowed are up to max_bytes = " +
                                                 std::to_string(options_.max_bytes));
    }
    std::vector<Stored> forgotten;  // destroyed after the lock is released
    const std::lock_guard lock(mutex_);
    const auto place =
        std::upper_bound(stored_.begin(), stored_.end(), time_seconds,
                         [](double time, const Stored& s) { return time < s.entry.time_seconds; });
    const auto place_index = static_cast<std::size_t>(place - stored_.begin());

    const double newest = place == stored_.end() ? time_seconds : stored_.back().entry.time_seconds;
    const double oldest_allowed = newest - options_.horizon_seconds;
    std::size_t drop = 0;
    std::size_t kept_bytes = bytes_;
    while (drop < stored_.size() && (stored_[drop].entry.time_seconds < oldest_allowed ||
                                     stored_.size() - drop >= options_.max_samples ||
                                     kept_bytes > options_.max_bytes - bytes)) {
      kept_bytes -= stored_[drop].bytes;
      ++drop;
    }
    if (time_seconds < oldest_allowed || drop > place_index) return false;

    forgotten.reserve(drop);
    stored_.insert(place, Stored{Entry{time_seconds, std::move(sample)}, bytes});
    for (; forgotten.size() < drop; stored_.pop_front()) {
      forgotten.push_back(std::move(stored_.front()));
    }
    bytes_ = kept_bytes + bytes;
    return true;
  }

  /// `batch_count` mini-batches of `batch_size` samples, each drawn with replacement from the
  /// samples whose time is in [now - T_horizon, now]; all from the same contents, whatever is added
  /// meanwhile. Empty when there is no such sample; `random` is not used then.
  ///
  /// recency_seconds: a sample that is older than the newest one by `age` seconds is drawn (recency
  /// / (recency + age))^2 times as often: of samples at one rate, half of the draws are from the
  /// newest recency_seconds. 0: all alike, as in the paper. Up to 1e9.
  ///
  /// Throws Error(invalid_argument) unless now_seconds is finite and recency_seconds in its range.
  std::vector<std::vector<Sample>> draw(double now_seconds, std::size_t batch_count,
                                        std::size_t batch_size, Random& random,
                                        double recency_seconds = 0) const {
    require_finite_now(now_seconds);
    if (!(recency_seconds >= 0 && recency_seconds <= 1e9)) {  // or NaN
      throw Error(ErrorCode::invalid_argument, "replay buffer: recency_seconds is " +
                                                   std::to_string(recency_seconds) +
                                                   "; allowed is 0 to 1e9");
    }
    std::vector<std::vector<Sample>> batches;
    const std::lock_guard lock(mutex_);
    const auto [first, last] = range(now_seconds);
    if (first == last) return batches;
    batches.resize(batch_count);
    if (recency_seconds > 0) {
      draw_recent(first, last, recency_seconds, batch_size, random, batches);
      return batches;
    }
    for (std::vector<Sample>& batch : batches) {
      batch.reserve(batch_size);
      for (std::size_t i = 0; i < batch_size; ++i) {
        batch.push_back(stored_[first + random.below(last - first)].entry.sample);
      }
    }
    return batches;
  }

  /// The newest samples in [now - T_horizon, now], at most `count`, oldest first. now_seconds:
  /// finite, else Error(invalid_argument).
  std::vector<Sample> newest(double now_seconds, std::size_t count) const {
    require_finite_now(now_seconds);
    std::vector<Sample> samples;
    const std::lock_guard lock(mutex_);
    const auto [first, last] = range(now_seconds);
    for (std::size_t i = std::max(first, last - std::min(count, last)); i < last; ++i) {
      samples.push_back(stored_[i].entry.sample);
    }
    return samples;
  }

  /// Number of samples that draw() chooses from. now_seconds: finite, else Error(invalid_argument).
  std::size_t count_in_horizon(double now_seconds) const {
    require_finite_now(now_seconds);
    const std::lock_guard lock(mutex_);
    const auto [first, last] = range(now_seconds);
    return last - first;
  }

  /// Everything held, oldest first: for a checkpoint. Adding the entries in this order to a new
  /// buffer gives one that draws alike.
  std::vector<Entry> snapshot() const {
    std::vector<Entry> entries;
    const std::lock_guard lock(mutex_);
    entries.reserve(stored_.size());
    for (const Stored& s : stored_) entries.push_back(s.entry);
    return entries;
  }

  void clear() {
    std::deque<Stored> forgotten;
    const std::lock_guard lock(mutex_);
    forgotten.swap(stored_);
    bytes_ = 0;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return stored_.size();
  }

  std::size_t size_bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

  const ReplayBufferOptions& options() const noexcept { return options_; }

 private:
  struct Stored {
    Entry entry;
    std::size_t bytes = 0;
  };

  static void require_finite_now(double now_seconds) {
    if (!std::isfinite(now_seconds)) {
      throw Error(ErrorCode::invalid_argument,
                  "replay buffer: now is " + std::to_string(now_seconds) + "; it must be finite");
    }
  }

  /// Fills the batches with samples of the positions [first, last). The mutex is held.
  void draw_recent(std::size_t first, std::size_t last, double recency_seconds,
                   std::size_t batch_size, Random& random,
                   std::vector<std::vector<Sample>>& batches) const {
    std::vector<double> sums;  // of the weights up to each position
    sums.reserve(last - first);
    const double newest_seconds = stored_[last - 1].entry.time_seconds;
    double sum = 0;
    for (std::size_t i = first; i < last; ++i) {
      const double age = newest_seconds - stored_[i].entry.time_seconds;
      const double share = recency_seconds / (recency_seconds + age);
      sum += detail::rounded(share * share);
      sums.push_back(sum);
    }
    for (std::vector<Sample>& batch : batches) {
      batch.reserve(batch_size);
      for (std::size_t i = 0; i < batch_size; ++i) {
        const double drawn = detail::rounded(random.uniform() * sum);
        const auto place = std::upper_bound(sums.begin(), sums.end() - 1, drawn) - sums.begin();
        batch.push_back(stored_[first + static_cast<std::size_t>(place)].entry.sample);
      }
    }
  }

  /// Half-open range of positions whose time is in [now - T_horizon, now]. The mutex is held.
  std::pair<std::size_t, std::size_t> range(double now_seconds) const {
    const double begin_seconds = now_seconds - options_.horizon_seconds;
    const auto first = std::partition_point(stored_.begin(), stored_.end(), [&](const Stored& s) {
      return s.entry.time_seconds < begin_seconds;
    });
    const auto last = std::partition_point(
        first, stored_.end(), [&](const Stored& s) { return s.entry.time_seconds <= now_seconds; });
    return {static_cast<std::size_t>(first - stored_.begin()),
            static_cast<std::size_t>(last - stored_.begin())};
  }

  ReplayBufferOptions options_;
  SizeFunction size_of_;
  mutable std::mutex mutex_;
  std::deque<Stored> stored_;  // ascending in time
  std::size_t bytes_ = 0;
};

}  // namespace ams
