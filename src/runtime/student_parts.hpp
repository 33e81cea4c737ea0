#pragma once

#include <memory>
#include <string>

#include "ams/core/error.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/session_store.hpp"

namespace ams::detail {

using StudentPtr = std::shared_ptr<const StudentParts>;

template <class Pointer>
void require(const Pointer& pointer, const char* name) {
  if (pointer) return;
  throw Error(ErrorCode::invalid_argument, std::string("ServerHost: the ") + name + " is null");
}

/// Throws Error(invalid_argument) on what is null, and Error(manifest_mismatch) for a trainer of
/// another network.
void check(const StudentParts& student);

/// One that keeps nothing where the student has none.
SessionStore& store_of(const StudentParts& student);

}  // namespace ams::detail
