#pragma once

#include <chrono>

namespace ams::detail {

/// For what work really took, whatever clock the executor has.
inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace ams::detail
