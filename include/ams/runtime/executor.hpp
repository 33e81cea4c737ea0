#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace ams {

/// What a piece of work is, for executors that give each kind a thread or a modelled time.
enum class WorkKind {
  label,    ///< server: decode a batch of samples and ask the teacher
  train,    ///< server: a training phase and the writing of its update
  sample,   ///< device: reduce a frame to the size of a sample
  encode,   ///< device: compress a buffer of samples
  publish,  ///< device: load an update into the inactive model and swap
  save,     ///< device: write the model's state to storage
  show,     ///< server: predict for somebody who looks; of less priority than all else
};

/// What a piece of work took.
struct WorkCost {
  std::size_t frames = 0;       ///< decoded, labelled, encoded, or predicted for a trial
  std::size_t iterations = 0;   ///< of training
  std::size_t batch_size = 0;   ///< of training
  double measured_seconds = 0;  ///< wall time of the long part
};

/// A piece of a host's work: a long part, then what follows from it.
struct Work {
  WorkKind kind = WorkKind::label;
  std::string
      session;  ///< whose: pieces of one kind and one session run one after another, in order
  /// The long part. Nothing: it was not wanted any more, and `finish` is not called.
  std::function<std::optional<WorkCost>()> run;
  std::function<void()> finish;
};

/// Where a host runs: a clock, a thread of its own, and threads that work. ThreadExecutor is the
/// real one. A simulator's keeps virtual time: it calls `run` when the work's turn has come and
/// `finish` when a modelled time has passed.
///
/// Calls may come from any thread; none of them waits for work. No function that it is given
/// throws.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Never steps back.
  virtual double now_seconds() const = 0;

  /// Runs a function on the host's thread, in the order of the calls; in virtual time, now.
  virtual void post(std::function<void()> function) = 0;

  /// Work that waits for its turn. Sessions take turns (round robin) on label and train.
  virtual void submit(Work work) = 0;

  /// Drops all work of a session that has not begun.
  virtual void forget(const std::string& session) = 0;
};

}  // namespace ams
