#include "server/students.hpp"

#include <utility>

#include "ams/core/error.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "common/torch_student.hpp"

namespace ams {
namespace {

/// Store and teacher apart.
std::shared_ptr<StudentParts> open_student(const ServerFlags& flags) {
  struct Opened {
    TorchStudent student;
    StudentParts parts;
  };
  TorchStudent student = load_torch_student(flags.student, flags.student_spec());
  const auto opened = std::make_shared<Opened>(Opened{std::move(student), {}});
  const StudentSpec& spec = opened->student.spec;
  const StudentValues& values = opened->student.values;
  StudentParts& parts = opened->parts;
  parts.initial = ModelState(values.manifest, values.values);
  parts.task = make_segmentation_task(spec);
  parts.trainer = make_segmentation_trainer(spec, flags.trainer);
  parts.predictor = make_predictor(spec);
  parts.fingerprint = values.fingerprint;
  parts.name = flags.student.name();
  parts.wrong_text = flags.wrong_student_text();
  return {opened, &opened->parts};
}

}  // namespace

Students::Students(const ServerFlags& flags) : flags_(flags) {
  const auto own = open_student(flags);
  own->teacher = flags.make_teacher(own->task);
  own->store = store_ = flags.make_store(own->initial.manifest_ptr(), own->fingerprint);
  own_ = own;
  std::map<std::string, Shared> opened;  // by what sections say
  for (const auto& [id, device] : flags.of_devices()) {
    if (device->own_student().empty()) continue;
    try {
      Shared& student = opened[device->own_student()];
      if (!student) {
        const auto other = open_student(*device);
        other->teacher =
            device->has_own_teacher() ? device->make_teacher(other->task) : own->teacher;
        if (store_) {
          other->store = std::make_shared<SqliteStore>(*store_, other->initial.manifest_ptr(),
                                                       other->fingerprint);
        }
        student = other;
      }
      device->make_policy()()->prepare(student->initial);
      of_devices_[id] = student;
    } catch (const Error& error) {
      throw Error(error.code(), "[device." + id + "] of --config: " + error.what());
    }
  }
}

std::function<std::optional<DeviceSetup>(const std::string&)> Students::of_device() const {
  if (flags_.of_devices().empty()) return nullptr;
  return [devices = flags_.of_devices(),
          students = of_devices_](const std::string& id) -> std::optional<DeviceSetup> {
    const auto found = devices.find(id);
    if (found == devices.end()) return std::nullopt;
    const ServerFlags& flags = *found->second;
    const auto student = students.find(id);
    return DeviceSetup{flags.make_policy()(), flags.session, flags.pinned,
                       student == students.end() ? nullptr : student->second};
  };
}

}  // namespace ams
