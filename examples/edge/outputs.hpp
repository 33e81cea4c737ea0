#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "ams/core/handle.hpp"
#include "ams/runtime/record_sink.hpp"
#include "ams/segmentation/prediction_record.hpp"
#include "ams/torch/student_spec.hpp"
#include "ams/video/clip.hpp"
#include "edge/flags.hpp"
#include "edge/show.hpp"
#include "edge/video_source.hpp"

namespace ams {

/// Where the device's predictions go: --output for programs, --show for people. Neither holds up
/// the device.
class Outputs {
 public:
  /// After EdgeFlags::check(). Throws as RecordSink and Show do.
  Outputs(const EdgeFlags& flags, const StudentSpec& spec, const std::optional<Clip>& clip,
          const VideoSource& video);

  /// Handles of Frame and LabelMap. index: of the frame. latency_seconds: from due to predicted.
  void add(std::uint64_t index, double latency_seconds, std::uint32_t model_version,
           const Handle& frame, const Handle& prediction);

  /// Whether nobody reads standard output any more, where that is the output.
  bool closed() const { return sink_ && sink_->closed(); }

  /// Writes what waits. No more add().
  void finish();

  /// Of --output and --show, for the report; null without them.
  nlohmann::ordered_json output_report() const;
  nlohmann::ordered_json show_report() const;

 private:
  const EdgeFlags& flags_;
  std::optional<RecordSink> sink_;
  std::optional<Show> show_;
};

}  // namespace ams
