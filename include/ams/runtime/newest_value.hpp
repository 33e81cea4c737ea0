#pragma once

#include <mutex>
#include <optional>
#include <utility>

namespace ams {

/// Hands values from one thread to another where only the newest counts, such as the model that a
/// device is to show. A value that comes while one waits takes its place, so that a slow taker
/// holds up nobody and no more than one value waits. Thread-safe.
///
///     if (models.put(client.held())) post(publisher, [&] { publish(*models.take()); });
template <class T>
class NewestValue {
 public:
  /// True when none waited: somebody has to be told to take it. False when it has taken the place
  /// of one whose taker has been told.
  bool put(T value) {
    std::optional<T> before(std::move(value));
    const std::lock_guard lock(mutex_);
    waiting_.swap(before);  // destroyed after the lock is released: that may take long
    return !before.has_value();
  }

  /// Nothing when none waits.
  std::optional<T> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::optional<T> waiting_;
};

}  // namespace ams
