#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "ams/core/error.hpp"
#include "ams/protocol/text.hpp"
#include "ams/server/session.hpp"

namespace ams::session_detail {
namespace {

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

SessionOptions completed(SessionOptions options) {
  options.training_rate.base_interval_seconds = options.update_interval_seconds;
  validate(options);
  if (!options.strategy && !options.downlink_budget) {
    options.strategy = make_selection_strategy("gradient_guided", 0.05);
  }
  return options;
}

ModelFeedOptions feed_options(const SessionOptions& options) {
  ModelFeedOptions feed;
  feed.encode = options.encode;
  feed.snapshot_zstd_level = options.snapshot_zstd_level;
  feed.max_history_updates = options.max_history_updates;
  feed.max_history_bytes = options.max_history_bytes;
  feed.max_consecutive_snapshots = options.max_consecutive_snapshots;
  return feed;
}

LearningRateMultipliers multiplied(const LearningRateMultipliers& a,
                                   const LearningRateMultipliers& b) {
  constexpr double most = 1e6;
  return {std::min(a.weight * b.weight, most), std::min(a.normalization * b.normalization, most),
          std::min(a.head * b.head, most)};
}

void charge(UpdatePlanner& planner, const ServerMessage& message, double now_seconds) {
  // Of messages without a payload of their own, as the wire has them.
  constexpr std::size_t welcome_bytes = 72, other_bytes = 14;
  if (std::holds_alternative<Update>(message)) return;
  std::size_t bytes = other_bytes;
  if (const auto* snapshot = std::get_if<Snapshot>(&message)) bytes = snapshot->bytes.size();
  if (std::holds_alternative<Welcome>(message)) bytes = welcome_bytes;
  if (const auto* fault = std::get_if<Fault>(&message)) bytes += fault->message.size();
  if (const auto* bye = std::get_if<Bye>(&message)) bytes += bye->reason.size();
  planner.owe_message(now_seconds, bytes);
}

void check_hello(const Hello& hello, const Manifest& manifest, const std::string& known_device_id) {
  if (hello.version != protocol_version) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("Hello: protocol version {}; this server speaks {}", hello.version,
                            protocol_version));
  }
  if (!is_device_id(hello.device_id)) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("Hello: device id of {} bytes; allowed are 1 to {} of UTF-8 without "
                            "control characters",
                            hello.device_id.size(), max_device_id_bytes));
  }
  if (!known_device_id.empty() && hello.device_id != known_device_id) {
    throw Error(ErrorCode::protocol_violation, "Hello: this session belongs to another device");
  }
  if (hello.manifest_digest != manifest.digest()) {
    throw Error(
        ErrorCode::manifest_mismatch,
        fmt::format("Hello: the device's student has manifest {:016x}; this server teaches {:016x}",
                    hello.manifest_digest, manifest.digest()));
  }
}

void check_frame_batch(const FrameBatch& batch, const SessionOptions& options) {
  const auto refuse = [](ErrorCode code, const std::string& message) {
    throw Error(code, "FrameBatch: " + message);
  };
  const std::vector<double>& times = batch.capture_seconds;
  if (batch.batch_id < 1 || batch.batch_id > max_batch_id) {
    refuse(ErrorCode::malformed_data,
           fmt::format("batch id {}; allowed are 1 to 2^62", batch.batch_id));
  }
  if (times.empty() || times.size() > options.max_frames_per_batch) {
    refuse(ErrorCode::limit_exceeded, fmt::format("{} frames; allowed are 1 to {}", times.size(),
                                                  options.max_frames_per_batch));
  }
  if (batch.bitstream.empty() || batch.bitstream.size() > options.max_bitstream_bytes) {
    refuse(ErrorCode::limit_exceeded,
           fmt::format("bitstream of {} bytes; allowed are 1 to {}", batch.bitstream.size(),
                       options.max_bitstream_bytes));
  }
  for (std::size_t i = 0; i < times.size(); ++i) {
    // Written so that NaN is out of range.
    if (!(times[i] >= 0 && times[i] <= max_capture_seconds)) {
      refuse(ErrorCode::malformed_data,
             fmt::format("capture time {}; allowed are 0 to {} s", times[i], max_capture_seconds));
    }
    if (i > 0 && times[i] <= times[i - 1]) {
      refuse(ErrorCode::malformed_data,
             fmt::format("capture time {} after {}; they must ascend", times[i], times[i - 1]));
    }
  }
  if (times.back() - times.front() > max_batch_span_seconds) {
    refuse(ErrorCode::malformed_data,
           fmt::format("its frames span {} s; allowed are {}", times.back() - times.front(),
                       max_batch_span_seconds));
  }
}

std::string unusable_reason(const TrainingResult& result, std::size_t dimension) {
  if (result.parameters.size() != dimension || result.adam.first_moment.size() != dimension ||
      result.adam.second_moment.size() != dimension) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("ServerSession::on_phase_done: parameters and moments must have {} values",
                    dimension));
  }
  const auto finite = [](double loss) { return std::isfinite(loss); };
  if (!std::all_of(result.losses.begin(), result.losses.end(), finite)) {
    return "training diverged: a loss is not finite";
  }
  if (!all_finite(result.adam.first_moment) || !all_finite(result.adam.second_moment)) {
    return "training diverged: a moment of Adam is not finite";
  }
  return {};
}

}  // namespace ams::session_detail
