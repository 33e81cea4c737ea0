#pragma once

#include <algorithm>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ams/runtime/log_sink.hpp"

/// Keeps the names of events.
class RecordingLog final : public ams::LogSink {
 public:
  void write(ams::LogLevel, std::string_view event, std::span<const ams::LogField>) override {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(event);
  }
  std::ptrdiff_t count(std::string_view event) const {
    const std::lock_guard lock(mutex_);
    return std::count(events_.begin(), events_.end(), event);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};
