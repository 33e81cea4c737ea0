#pragma once

#include <cstddef>
#include <utility>

#include "ams/runtime/teacher.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"

namespace ams {

/// A teacher that knows the answers: gives the label map of a clip that is nearest in time to the
/// frame (Clip::label_index). The device must play the same clip, on its timeline.
class LabelFileTeacher : public Teacher {
 public:
  /// Errors: those of LabelTrackReader.
  explicit LabelFileTeacher(Clip clip) : clip_(std::move(clip)), track_(clip_.labels_path()) {}

  /// A LabelMap; the frame itself is not looked at. Throws Error(invalid_argument) where the clip
  /// has no label for the time, and as Clip::require_allowed_ids().
  Handle label(const Handle&, double capture_seconds) override {
    const std::size_t index = clip_.label_index(capture_seconds);
    LabelMap labels = track_.at(index);
    clip_.require_allowed_ids(labels, index);  // opening a long clip has not read all of them
    return Handle::make(std::move(labels));
  }

  const Clip& clip() const { return clip_; }

 private:
  Clip clip_;
  LabelTrackReader track_;
};

}  // namespace ams
