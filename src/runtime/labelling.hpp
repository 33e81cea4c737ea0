#pragma once

// What the labelling thread does for ServerHost: batches of frames become samples.

#include <atomic>
#include <optional>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/runtime/executor.hpp"
#include "ams/runtime/frame_codec.hpp"
#include "ams/runtime/log_sink.hpp"
#include "ams/session/server_session.hpp"
#include "student_parts.hpp"

namespace ams::detail {

/// A batch that a device has sent.
struct Labelling {
  StudentPtr student;
  LabelBatch batch;
  std::vector<TimedSample> samples;
  std::optional<Error> failure;                   ///< then there are no samples
  double begin_seconds = 0, decoded_seconds = 0;  ///< of the executor's clock
};

/// A batch of a session that the store had, with its labels.
struct Restoring {
  StudentPtr student;
  LabelledBatch batch;
  std::vector<TimedSample> samples;
  std::optional<Error> failure;  ///< then there are no samples
};

/// Decodes the frames and asks the teacher, as many at a time as it takes. Slow. What is thrown
/// becomes the failure. Nothing when `stopped` is set meanwhile.
std::optional<WorkCost> label(Labelling& piece, const FrameCodec& codec, const Executor& executor,
                              const std::atomic<bool>& stopped, LogSink& log);

/// Likewise, without the teacher.
WorkCost restore(Restoring& piece, const FrameCodec& codec);

}  // namespace ams::detail
