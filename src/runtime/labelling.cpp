#include "labelling.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "ams/core/format.hpp"
#include "current_error.hpp"
#include "wall_seconds.hpp"

namespace ams::detail {
namespace {

/// For the store; nothing where it cannot be.
Bytes pack_label(const StudentParts& student, const Handle& label, LogSink& log) {
  if (!store_of(student).keeps()) return {};
  try {
    return student.task->pack_label(label);
  } catch (...) {
    log.warning("label_not_kept", {{"message", current_error().what()}});
    return {};
  }
}

}  // namespace

std::optional<WorkCost> label(Labelling& piece, const FrameCodec& codec, const Executor& executor,
                              const std::atomic<bool>& stopped, LogSink& log) {
  const double begin = wall_seconds();
  piece.begin_seconds = piece.decoded_seconds = executor.now_seconds();
  const std::vector<double>& times = piece.batch.capture_seconds;
  try {
    const std::vector<Handle> frames = codec.decode(piece.batch.bitstream.span(), times);
    piece.batch.bitstream = {};
    piece.decoded_seconds = executor.now_seconds();
    if (frames.size() != times.size()) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("{} frames were decoded of {}", frames.size(), times.size()));
    }
    const StudentParts& student = *piece.student;
    const std::size_t most = std::max<std::size_t>(1, student.teacher->max_frames());
    for (std::size_t first = 0; first < frames.size(); first += most) {
      if (stopped) return std::nullopt;
      const std::size_t count = std::min(most, frames.size() - first);
      const std::vector<Handle> labels = student.teacher->label_frames(
          std::span(frames).subspan(first, count), std::span(times).subspan(first, count));
      if (labels.size() != count) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("the teacher gave {} labels of {} frames", labels.size(), count));
      }
      for (std::size_t i = 0; i < count; ++i) {
        if (!labels[i]) continue;
        const std::size_t at = first + i;
        piece.samples.push_back({times[at], student.task->sample(frames[at], labels[i]),
                                 pack_label(student, labels[i], log)});
      }
    }
  } catch (...) {
    piece.failure = current_error();
  }
  return WorkCost{.frames = times.size(), .measured_seconds = wall_seconds() - begin};
}

WorkCost restore(Restoring& piece, const FrameCodec& codec) {
  const double begin = wall_seconds();
  const LabelledBatch& batch = piece.batch;
  const Task& task = *piece.student->task;
  const std::vector<double>& times = batch.capture_seconds;
  try {
    const std::vector<Handle> frames = codec.decode(batch.bitstream.span(), times);
    for (std::size_t i = 0; i < std::min(frames.size(), times.size()); ++i) {
      if (batch.labels[i].empty()) continue;
      const Handle label = task.unpack_label(batch.labels[i].span());
      piece.samples.push_back({times[i], task.sample(frames[i], label)});
    }
  } catch (...) {  // the disk's fault: the batch is lost, the session goes on
    piece.failure = current_error();
    piece.samples.clear();
  }
  return WorkCost{.frames = times.size(), .measured_seconds = wall_seconds() - begin};
}

}  // namespace ams::detail
