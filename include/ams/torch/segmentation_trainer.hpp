#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "ams/segmentation/label_map.hpp"
#include "ams/segmentation/segmentation_task.hpp"
#include "ams/session/training_job.hpp"
#include "ams/torch/student_spec.hpp"

namespace ams {

struct SegmentationTrainerOptions {
  /// Teacher's labels with this id, and classes that are not selected, take no part in the loss.
  int ignore_id = LabelMap::default_ignore_id;

  /// A pixel weighs its class's frequency in the mini-batch to the power of minus this, at most ten
  /// times as much as one of the commonest class. mIoU counts all classes alike, and so rare ones
  /// are worth their pixels. [0, 1]; 0: all pixels alike, as in the paper.
  double class_balance = 0.25;

  /// Matrix products and convolutions in bfloat16 (master values stay float32). Faster only on CPUs
  /// with native bfloat16.
  bool bfloat16 = false;

  /// Where the network is trained: "cpu", "cuda", "cuda:1", ...
  std::string device = "cpu";

  /// Frames and labels at the student's size are kept as long as their sample lives, up to this
  /// size.
  std::size_t cache_bytes = std::size_t{256} << 20;
};

/// A labelled frame as a session should keep it for make_segmentation_trainer(spec): scaled to the
/// student's input size, so that training gives the very same result from a fraction of the memory
/// (1.5 MB become 0.1 MB at 1024 x 512 to 256 x 128). Throws Error(invalid_argument) when bytes do
/// not fit the sizes.
LabelledFramePtr training_sample(const StudentSpec& spec, const Frame& frame,
                                 const LabelMap& labels);

/// The task of a student: SegmentationTask whose samples are those of training_sample(), about the
/// selected classes. names: of all class ids, for colours. Throws Error(invalid_argument) as
/// validate(spec).
std::shared_ptr<const SegmentationTask> make_segmentation_task(const StudentSpec& spec,
                                                               std::vector<std::string> names = {});

/// Trains segmentation students on samples of type LabelledFrame: frames are scaled to the
/// student's input size (area average), labels by nearest neighbour; softmax cross-entropy over the
/// selected classes, averaged over the pixels that have one, by class_balance. A mini-batch without
/// such a pixel makes no step and counts as loss 0. Batch norm is frozen (its scale and shift are
/// trained) unless spec.train_batch_norm_statistics. Only the gradients that a job requires are
/// computed. The same job gives the same bits on one machine with the same number of threads.
/// train() throws Error(manifest_mismatch) for another network's job, Error(invalid_argument) for
/// sizes that do not fit and for a loss that is not finite; the trainer remains usable. Opening it
/// throws as load_student_values(), and Error(unavailable) for a device that is not there.
std::unique_ptr<Trainer> make_segmentation_trainer(const StudentSpec& spec,
                                                   const SegmentationTrainerOptions& options = {});

}  // namespace ams
