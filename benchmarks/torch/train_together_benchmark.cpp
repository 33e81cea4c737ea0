// Training steps of several devices together (NetworkTrainer::train_together: passes of as many
// pictures as it takes at once by default) beside the same steps one device after another (train),
// all devices in one forward, and a device on each core (two trainers of one thread). EDANet at
// 256 x 128, batch norms and head, two threads. The ways take turns and each counts by its best run,
// so that what else runs on the machine touches all alike. The floor is a matrix product of as many
// multiplications: forward, and the gradients of feature maps.

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ams/core/selection.hpp"
#include "ams/torch/network_trainer.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/segmentation_task.hpp"
#include "ams/torch/student.hpp"
#include "harness.hpp"
#include "training.hpp"

namespace {

using namespace ams::benchmark;

constexpr int width = 256, height = 128;
constexpr int cores = 2;
constexpr std::size_t iterations = 2;
constexpr int runs = 2;

std::unique_ptr<ams::NetworkTrainer> make_trainer(const ams::StudentSpec& spec,
                                                  std::size_t pictures_together = 0) {
  const ams::Student student = ams::open_student(spec);
  ams::NetworkTrainerOptions options;
  options.pictures_together = pictures_together;
  return std::make_unique<ams::NetworkTrainer>(
      student.network,
      ams::segmentation_task(spec, ams::LabelMap::default_ignore_id,
                             student.network->align_corners(), 0.25),
      options);
}

std::vector<ams::TrainingJob> make_jobs(const ams::StudentValues& start, std::size_t devices,
                                        std::size_t batch) {
  const auto strategy = ams::make_selection_strategy("normalization_and_head", 1);
  const std::size_t n = start.manifest->dimension();
  std::vector<ams::TrainingJob> jobs;
  for (std::size_t d = 0; d < devices; ++d) {
    std::vector<ams::Handle> mini_batch;
    for (std::size_t i = 0; i < batch; ++i)
      mini_batch.emplace_back(noise(width, height, d * batch + i));
    ams::TrainingJob job{start.manifest,
                         start.values,
                         ams::AdamState(n),
                         {},
                         {},
                         {},
                         strategy->required_gradients(*start.manifest),
                         std::vector(iterations, mini_batch)};
    ams::Random random(1);
    job.coordinates = strategy->select({*start.manifest, job.adam, job.adam_options}, random);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

/// The best time of each way, which take turns.
std::vector<double> best_seconds(const std::vector<std::function<void()>>& ways) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> best(ways.size(), 1e9);
  for (int run = 0; run < runs; ++run) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const auto start = Clock::now();
      ways[i]();
      best[i] = std::min(best[i], std::chrono::duration<double>(Clock::now() - start).count());
    }
  }
  return best;
}

/// The devices' phases on `cores` threads, each with a trainer of its own.
void train_beside(const std::vector<std::unique_ptr<ams::NetworkTrainer>>& trainers,
                  const std::vector<ams::TrainingJob>& jobs) {
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < trainers.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t d = t; d < jobs.size(); d += trainers.size()) trainers[t]->train(jobs[d]);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main() {
  ams::tune_allocator_for_training();
  ams::set_compute_threads(cores);
  const double rate = multiplications_per_second();
  ams::StudentSpec spec;
  spec.input_width = width;
  spec.input_height = height;
  const ams::StudentValues start = ams::load_student_values(spec);
  std::vector<std::unique_ptr<ams::NetworkTrainer>> trainers;
  for (int core = 0; core < cores; ++core) trainers.push_back(make_trainer(spec));
  ams::NetworkTrainer& trainer = *trainers.front();
  const auto unbounded = make_trainer(spec, 1 << 20);

  for (const std::size_t batch : {8, 2, 1}) {
    print_header(("A step of each device, mini-batches of " + std::to_string(batch)).c_str());
    for (const std::size_t devices : {1, 2, 4, 8, 16}) {
      const auto jobs = make_jobs(start, devices, batch);
      const std::vector<std::pair<const char*, std::function<void()>>> ways{
          {"one after another",
           [&] {
             for (const auto& job : jobs) trainer.train(job);
           }},
          {"together", [&] { trainer.train_together(jobs); }},
          {"all in one forward", [&] { unbounded->train_together(jobs); }},
          {"a device a core", [&] {
             ams::set_compute_threads(1);
             train_beside(trainers, jobs);
             ams::set_compute_threads(cores);
           }}};
      std::vector<double> bytes;
      std::vector<std::function<void()>> calls;
      for (const auto& [name, call] : ways) {
        bytes.push_back(peak_bytes(call) / (1 << 20));
        calls.push_back(call);
      }
      const std::vector<double> seconds = best_seconds(calls);
      for (std::size_t i = 1; i < ways.size(); ++i) {
        print_row(
            {std::to_string(devices) + " device(s) " + ways[i].first, seconds[i] / iterations,
             ways[0].first, seconds[0] / iterations,
             2 * static_cast<double>(devices * batch) * edanet_multiplications_per_pixel * width *
                 height / rate,
             format("%.1f device-steps/s; +%.0f MiB (alternative +%.0f)",
                    static_cast<double>(devices * iterations) / seconds[i], bytes[i], bytes[0])});
      }
    }
  }
}
