#include "device_pictures.hpp"

#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams::detail {

DevicePictures draw(const StudentParts& student, const Handle& sample, const ModelState& held) {
  const auto [frame, label] =
      sample ? student.task->frame_and_label(sample) : std::pair<Handle, Handle>();
  if (!frame || !label) {
    throw Error(ErrorCode::unavailable, sample ? "samples of this task have no pictures"
                                               : "no frame of this device is labelled yet");
  }
  DevicePictures pictures;
  pictures.held = held.version();
  pictures.sample = frame.as<Frame>();
  pictures.teacher = student.task->draw(frame, label);
  if (student.predictor) {
    student.predictor->load(held.values());
    pictures.adapted = student.task->draw(frame, student.predictor->predict(frame));
    student.predictor->load(student.initial.values());
    pictures.initial = student.task->draw(frame, student.predictor->predict(frame));
  }
  return pictures;
}

}  // namespace ams::detail
