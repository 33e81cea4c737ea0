#pragma once

#include <cstdint>
#include <random>

namespace ams {

/// Seeded random numbers that are the same on every machine and standard library: the engine is
/// specified by the standard, and the distributions (which are not) are our own.
class Random {
 public:
  explicit Random(std::uint64_t seed = 0) : engine_(seed) {}

  std::uint64_t next() { return engine_(); }

  /// Uniform in [0, bound), without bias (Lemire 2019). bound >= 1.
  std::uint64_t below(std::uint64_t bound) {
    Wide product = Wide{engine_()} * bound;
    if (static_cast<std::uint64_t>(product) < bound) {
      const std::uint64_t threshold = (0 - bound) % bound;
      while (static_cast<std::uint64_t>(product) < threshold) {
        product = Wide{engine_()} * bound;
      }
    }
    return static_cast<std::uint64_t>(product >> 64);
  }

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

 private:
  __extension__ using Wide = unsigned __int128;

  std::mt19937_64 engine_;
};

}  // namespace ams
