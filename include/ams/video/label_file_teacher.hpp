#pragma once

#include <utility>

#include "ams/server/teacher.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"

namespace ams {

/// A teacher that knows the answers: gives the label map of a clip that is nearest in time to the
/// frame (Clip::label_index). The device must play the same clip, on its timeline.
class LabelFileTeacher : public Teacher {
 public:
  /// Errors: those of LabelTrackReader.
  explicit LabelFileTeacher(Clip clip) : clip_(std::move(clip)), track_(clip_.labels_path()) {}

  /// Looks at frame.capture_seconds only. Error(invalid_argument) where the clip has no label for
  /// it.
  LabelMap label(const Frame& frame) override {
    return track_.at(clip_.label_index(frame.capture_seconds));
  }

  const Clip& clip() const { return clip_; }

 private:
  Clip clip_;
  LabelTrackReader track_;
};

}  // namespace ams
