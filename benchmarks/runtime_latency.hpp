#pragma once

// For benchmarks of a device's runtimes: a frame's latency while nothing else happens and while a
// new model is loaded every second on another thread, what a load takes, and the memory that the
// runtime adds. Each runtime has a process of its own.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ams/bundle/student_bundle.hpp"
#include "ams/core/frame.hpp"
#include "ams/core/model_holder.hpp"
#include "ams/core/random.hpp"
#include "ams/runtime/predictor.hpp"

namespace ams::benchmark {

using Clock = std::chrono::steady_clock;
using MakePredictor = std::function<std::unique_ptr<Predictor>()>;
using Model = std::shared_ptr<Predictor>;

constexpr double warm_seconds = 1, measured_seconds = 12;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

inline double percentile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1))];
}

/// Of this process, in MB; 0 where it cannot be told.
inline double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) * 1024 / 1e6;
  }
  return 0;
}

inline Handle noise() {
  Random random(1);
  Frame frame{640, 360, {}, 0};
  for (int i = 0; i < 3 * 640 * 360; ++i) {
    frame.rgb.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  return Handle::make(std::move(frame));
}

/// Latencies of frames one after another.
inline std::vector<double> latencies(DoubleBufferedHolder<Model>& holder, const Handle& frame,
                                     double for_seconds) {
  std::vector<double> result;
  for (const auto begin = Clock::now(); seconds_since(begin) < for_seconds;) {
    const auto start = Clock::now();
    {
      const auto model = holder.read();
      (*model)->predict(frame);
    }
    result.push_back(seconds_since(start));
  }
  return result;
}

inline void measure(const std::string& runtime, const StudentBundle& bundle,
                    const MakePredictor& make) {
  const double before = resident_mb();
  const auto begin = Clock::now();
  DoubleBufferedHolder<Model> holder{Model(make()), Model(make())};
  const Handle frame = noise();
  holder.read()->get()->predict(frame);
  const double start_seconds = seconds_since(begin);

  std::vector<double> loads;
  const auto load = [&] {
    const auto start = Clock::now();
    holder.update([&](Model& inactive, const Model&) { inactive->load(bundle.values); });
    loads.push_back(seconds_since(start));
  };
  load();
  latencies(holder, frame, warm_seconds);
  const std::vector<double> idle = latencies(holder, frame, measured_seconds);
  std::vector<double> updated;
  {
    std::jthread updates([&](std::stop_token stop) {
      for (auto next = Clock::now(); !stop.stop_requested();) {
        load();
        next += std::chrono::seconds(1);
        std::this_thread::sleep_until(next);
      }
    });
    updated = latencies(holder, frame, measured_seconds);
  }
  const auto ms = [](const std::vector<double>& values, double fraction) {
    return 1000 * percentile(values, fraction);
  };
  std::printf("  %-20s %9.1f %9.1f %9.1f %9.1f %9.2f %9.1f %9.2f %9.0f\n", runtime.c_str(),
              ms(idle, 0.5), ms(idle, 0.99), ms(updated, 0.5), ms(updated, 0.99),
              percentile(updated, 0.99) / percentile(idle, 0.99), ms(loads, 0.5), start_seconds,
              resident_mb() - before);
  std::fflush(stdout);
}

/// In a process of its own; whether it went well.
inline bool in_child(const std::function<void()>& work) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      work();
    } catch (const std::exception& error) {
      std::printf("  failed: %s\n", error.what());
      status = 1;
    }
    std::fflush(stdout);
    ::_exit(status);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

inline void print_runtimes_header(const StudentBundle& bundle) {
  std::printf("\nRuntimes, %s at %d x %d, one thread\n  %-20s %9s %9s %9s %9s %9s %9s %9s %9s\n",
              bundle.name.c_str(), bundle.input_width, bundle.input_height, "ms", "p50 idle",
              "p99 idle", "p50 upd.", "p99 upd.", "p99 ratio", "load", "start, s", "+ MB");
}

/// `work` for each bundle that the program was given; its exit code.
inline int for_each_bundle(int argc, char** argv,
                           const std::function<bool(const StudentBundle&)>& work) {
  if (argc < 2) std::printf("\nRuntimes: no bundle was given; scripts/bench.sh makes them\n");
  bool all = true;
  for (int i = 1; i < argc; ++i) {
    const StudentBundle bundle = open_student_bundle(argv[i]);
    print_runtimes_header(bundle);
    all &= work(bundle);
  }
  return all ? 0 : 1;
}

}  // namespace ams::benchmark
