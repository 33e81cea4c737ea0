#pragma once

#include <chrono>

namespace ams {

/// Seconds since the program's first call; never steps back. Thread-safe.
inline double now_seconds() {
  static const auto start = std::chrono::steady_clock::now();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace ams
