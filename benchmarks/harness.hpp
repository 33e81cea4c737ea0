#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

/// Timing and tables for the benchmarks: every figure stands beside a plain alternative measured in
/// the same run and beside its floor (the time that moving its bytes must take on this machine).
namespace ams::benchmark {

/// Median wall time of one call, over at least `runs` calls and `seconds` of running; one warm-up
/// call.
template <class F>
double median_seconds(F&& f, int runs = 9, double seconds = 0.5) {
  using Clock = std::chrono::steady_clock;
  f();
  std::vector<double> times;
  const auto begin = Clock::now();
  while (static_cast<int>(times.size()) < runs ||
         (std::chrono::duration<double>(Clock::now() - begin).count() < seconds &&
          times.size() < 10000)) {
    const auto start = Clock::now();
    f();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

/// Keeps the compiler from removing a computation whose result nobody reads.
inline void keep(const void* p) {
  asm volatile("" : : "r"(p) : "memory");
}

/// Bytes per second that one core reads and writes (a large memcpy, both directions counted). The
/// best of many: a floor is what the machine can do, not what it did while something else ran.
inline double memory_bytes_per_second() {
  static const double rate = [] {
    using Clock = std::chrono::steady_clock;
    std::vector<char> from(64 << 20, 1), to(64 << 20);
    double best_seconds = 1e9;
    for (int run = 0; run < 40; ++run) {
      const auto start = Clock::now();
      std::memcpy(to.data(), from.data(), from.size());
      keep(to.data());
      best_seconds =
          std::min(best_seconds, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return 2.0 * static_cast<double>(from.size()) / best_seconds;
  }();
  return rate;
}

/// As printf, of up to three numbers.
inline std::string format(const char* pattern, double a, double b = 0, double c = 0) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, a, b, c);
  return text;
}

struct Row {
  std::string what;
  double seconds = 0;
  std::string alternative;
  double alternative_seconds = 0;
  double floor_seconds = 0;  ///< 0: no floor stated
  std::string note;
};

inline void print_header(const char* title) {
  std::printf("\n%s\n%-44s %12s  %-34s %12s %8s %12s %8s  %s\n", title, "what", "ms", "alternative",
              "ms", "ratio", "floor ms", "x floor", "note");
}

inline void print_row(const Row& r) {
  std::printf("%-44s %12.4f  %-34s %12.4f %8.2f ", r.what.c_str(), r.seconds * 1e3,
              r.alternative.c_str(), r.alternative_seconds * 1e3,
              r.seconds > 0 ? r.alternative_seconds / r.seconds : 0);
  if (r.floor_seconds > 0) {
    std::printf("%12.4f %8.2f  %s\n", r.floor_seconds * 1e3, r.seconds / r.floor_seconds,
                r.note.c_str());
  } else {
    std::printf("%12s %8s  %s\n", "-", "-", r.note.c_str());
  }
  std::fflush(stdout);
}

}  // namespace ams::benchmark
