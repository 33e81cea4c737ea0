#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ams/runtime/log_sink.hpp"
#include "ams/runtime/teacher.hpp"
#include "ams/session/task.hpp"

namespace ams {

struct ProcessTeacherOptions {
  std::vector<std::string> command;    ///< program, looked up in PATH, and its arguments
  double start_timeout_seconds = 300;  ///< until it is ready, > 0
  double answer_timeout_seconds = 60;  ///< for the labels of a batch, > 0
  double restart_min_seconds = 1;      ///< waits before it is started again double up to the
  double restart_max_seconds = 60;     ///< largest; > 0
  std::size_t max_frames = 16;         ///< of a batch, >= 1
  std::size_t max_answer_bytes = std::size_t{1} << 28;
};

/// A teacher in a process of its own: what crashes there, hangs or takes all memory costs a batch.
/// `python -m ams.teachers.child` is the program for teachers in Python.
///
/// A process that ends, gives no answer in time or breaks the protocol is killed and, at the next
/// batch after a pause, started again; until then batches fail. It dies with this process.
///
/// Frames are of type Frame; labels come as Task::pack_label() writes them, and are hostile until
/// Task::unpack_label() has checked them.
///
/// Protocol: the program has a stream socket as file descriptor 3. A message is its length (32 bits,
/// big-endian) and so many bytes; numbers in it have 32 bits, little-endian. To the program: number
/// of frames (>= 1), height, width, then the frames, each height x width x 3 bytes of RGB. From the
/// program, once when it is ready and then for each batch: 0, number of labels (ready: 0), then for
/// each label its size in bytes and these, size 0 for none; or 1 and a text that says what went
/// wrong.
class ProcessTeacher final : public Teacher {
 public:
  /// Starts the program and waits until it is ready. log: outlives the teacher; null: none. Throws
  /// Error: invalid_argument on a null task and options out of range, unavailable when the program
  /// cannot be started or is not ready in time, with its reason.
  ProcessTeacher(std::shared_ptr<const Task> task, ProcessTeacherOptions options,
                 LogSink* log = nullptr);

  /// Ends the process: asks it to, and kills it half a second later.
  ~ProcessTeacher() override;

  /// As label_frames(), of one frame.
  Handle label(const Handle& frame, double capture_seconds) override;

  std::size_t max_frames() const override { return options_.max_frames; }

  /// Throws Error(unavailable) for what the program says went wrong, and when it has ended, hangs
  /// or waits to be started again.
  std::vector<Handle> label_frames(std::span<const Handle> frames,
                                   std::span<const double> capture_seconds) override;

 private:
  class Process;
  std::shared_ptr<const Task> task_;
  ProcessTeacherOptions options_;
  std::unique_ptr<Process> process_;
};

}  // namespace ams
