#pragma once

#include <cstdint>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "ams/core/error.hpp"
#include "ams/runtime/stage_times.hpp"
#include "common/clock.hpp"

namespace ams {

/// Writes the way of every sample as JSON lines, one for each stage that ends: the time since the
/// file was opened, the device, the stage, what it took, and the batch or the model version that it
/// is about. Thread-safe.
class TraceFile {
 public:
  /// Throws Error(io_error).
  explicit TraceFile(const std::string& path) : file_(path), begin_seconds_(now_seconds()) {
    if (!file_) throw Error(ErrorCode::io_error, "--trace: '" + path + "' cannot be written");
  }

  void write(const std::string& device_id, Stage stage, double took_seconds, std::uint64_t number) {
    const bool is_of_batch = stage <= Stage::label;
    const nlohmann::ordered_json line = {{"seconds", now_seconds() - begin_seconds_},
                                         {"device", device_id},
                                         {"stage", to_string(stage)},
                                         {"took_seconds", took_seconds},
                                         {is_of_batch ? "batch" : "version", number}};
    const std::lock_guard lock(mutex_);
    file_ << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n'
          << std::flush;
  }

 private:
  std::mutex mutex_;
  std::ofstream file_;
  double begin_seconds_;
};

/// For a report: seconds by stage, {"encode": {"mean": .., "max": .., "count": ..}, ...}.
inline nlohmann::ordered_json stages_report(const StageTimes& stages) {
  nlohmann::ordered_json report = nlohmann::ordered_json::object();
  stages.for_each([&](Stage stage, const StageTime& time) {
    report[std::string(to_string(stage))] = {
        {"mean", time.mean_seconds()}, {"max", time.max_seconds}, {"count", time.count}};
  });
  return report;
}

}  // namespace ams
