#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/core/handle.hpp"

namespace ams {

/// Scores one student's predictions against labels, frame by frame. Not thread-safe.
class TaskScore {
 public:
  virtual ~TaskScore() = default;

  /// Takes the next frame, in order of time. Gives the score of the latest seconds, in [0, 1], or
  /// nothing where it has none. Throws Error(invalid_argument).
  virtual std::optional<double> add(const Handle& prediction, const Handle& label,
                                    double capture_seconds) = 0;

  /// Named results so far, the main one first, e.g. {"miou", 0.61}; nothing where there is none.
  virtual std::vector<std::pair<std::string, std::optional<double>>> summary() const = 0;
};

/// What a session and its hosts must know of a task: what a sample is, how much two labels differ,
/// how predictions are scored, and how they are shown. The loss belongs to the trainer.
///
/// A task decides what its handles hold: frames come from the frame codec, labels from the teacher,
/// predictions from the predictor. Const members are thread-safe.
class Task {
 public:
  virtual ~Task() = default;

  /// E.g. "segmentation". For logs and reports.
  virtual std::string name() const = 0;

  /// The sample that the session keeps and the trainer reads, of a decoded frame and its label.
  virtual Handle sample(const Handle& frame, const Handle& label) const = 0;

  /// A label as bytes, for a store: with the frames as they came, samples outlive the server. By
  /// default none, and samples are not kept.
  virtual std::vector<std::byte> pack_label(const Handle& label) const {
    (void)label;
    return {};
  }

  /// The label that pack_label() wrote. Bytes of a disk may be damaged. Throws Error.
  virtual Handle unpack_label(std::span<const std::byte> bytes) const {
    (void)bytes;
    throw Error(ErrorCode::unavailable, "labels of this task are not kept");
  }

  /// phi-score of two consecutive samples (section 3.2): the task's loss with `current`'s label as
  /// the prediction and `previous`'s as the truth; finite. Nothing where they cannot be compared.
  virtual std::optional<double> phi(const Handle& previous, const Handle& current) const = 0;

  /// Share of two predictions that differs, in [0, 1], for CutDetector. Nothing where they cannot
  /// be compared; by default always, and a device then sees no cuts.
  virtual std::optional<double> difference(const Handle& previous, const Handle& current) const {
    (void)previous;
    (void)current;
    return std::nullopt;
  }

  /// The frame and the label that a sample was made of, as draw() takes them. Empty where they are
  /// not there; by default always, and an operator then sees no pictures.
  virtual std::pair<Handle, Handle> frame_and_label(const Handle& sample) const {
    (void)sample;
    return {};
  }

  /// Bytes that a sample counts in the replay buffer; always the same for one sample.
  virtual std::size_t size_bytes(const Handle& sample) const = 0;

  /// Scores predictions from now on.
  virtual std::unique_ptr<TaskScore> score() const = 0;

  /// The frame with a label or a prediction drawn over it, for people.
  virtual Frame draw(const Handle& frame, const Handle& label) const = 0;
};

}  // namespace ams
