#include "student_parts.hpp"

#include "ams/core/manifest_difference.hpp"

namespace ams::detail {

void check(const StudentParts& student) {
  require(student.task, "task");
  require(student.teacher, "teacher");
  require(student.trainer, "trainer");
  require(student.initial.manifest_ptr(), "initial model's manifest");
  require(student.trainer->manifest(), "trainer's manifest");
  const std::string difference =
      ams::manifest_difference(student.initial.manifest(), *student.trainer->manifest(),
                               "the initial model", "the trainer's");
  if (difference.empty()) return;
  throw Error(ErrorCode::manifest_mismatch,
              "ServerHost: the trainer trains another network: " + difference);
}

SessionStore& store_of(const StudentParts& student) {
  static NoStore no_store;
  return student.store ? *student.store : no_store;
}

}  // namespace ams::detail
