#include "ams/policy/budget/budget_policy.hpp"

#include <memory>
#include <string>
#include <vector>

#include "ams/core/random.hpp"
#include "ams/session/write_update.hpp"
#include "harness.hpp"

// What a downlink budget costs the server after each phase: finding the finest way to write an
// update that fits, beside writing it once. The floor reads held and trained values once.
namespace ams::benchmark {
namespace {

/// 2.1 million values: 20 layers, their scales and shifts (1.6%), a classifier (0.2%).
std::shared_ptr<const Manifest> network() {
  std::vector<TensorSpec> tensors;
  const auto add = [&](const std::string& name, std::int64_t size, TensorRole role) {
    TensorSpec tensor;
    tensor.name = name;
    tensor.shape = {size};
    tensor.role = role;
    tensors.push_back(tensor);
  };
  for (int layer = 0; layer < 20; ++layer) {
    add("layer" + std::to_string(layer), 103'700, TensorRole::weight);
    add("norm" + std::to_string(layer), 1'680, TensorRole::normalization);
  }
  add("head", 4'864, TensorRole::head);
  return std::make_shared<const Manifest>(std::move(tensors));
}

void measure(double budget_bps) {
  constexpr double interval_seconds = 10;
  const auto manifest = network();
  Random random(1);
  const auto noise = [&](double scale) {
    return static_cast<float>(scale * (random.uniform() - 0.5));
  };
  std::vector<float> values(manifest->dimension());
  for (float& value : values) value = noise(1);
  auto held = std::make_shared<const ModelState>(manifest, values);
  AdamState adam(manifest->dimension());
  adam.step_count = 1;
  std::fill(adam.second_moment.begin(), adam.second_moment.end(), 1.0F);
  BudgetPolicy policy({.budget = {.budget_bps = budget_bps}});
  policy.prepare(*held);
  policy.start(0);

  // A minute's phases, so that it knows what updates take and has moments to choose by.
  UpdateJob job;
  double now_seconds = 0;
  for (int phase = 0; phase < 7; ++phase) {
    now_seconds += interval_seconds;
    for (float& moment : adam.first_moment) moment = noise(1);
    PhasePlan plan = policy.plan({now_seconds, *held, adam, now_seconds, 1, 1}, random);
    plan.coordinates.for_each([&](std::uint32_t i) { plan.parameters[i] += noise(0.02); });
    job = {held,
           std::move(plan.parameters),
           {},
           std::move(plan.coordinates),
           policy.encode(now_seconds, {})};
    if (phase == 6) break;
    WrittenUpdate written = write_update(job);
    if (written.next) {
      held = written.next;
      policy.on_sent(Update{written.bytes}, false, now_seconds);
    }
    policy.on_written({written.next == nullptr, written.bytes.size(), written.usual_bytes,
                       written.coordinates, held->values(), written.trained});
  }

  Row row;
  row.what = format("%.0f Kbps, ", budget_bps / 1000) + policy.strategy().name();
  std::size_t size = 0;
  row.seconds = median_seconds([&] { size = write_update(job).bytes.size(); });
  row.alternative = "encode_update, once";
  row.alternative_seconds = median_seconds([&] {
    ModelState copy = *held;
    keep(encode_update(copy, job.trained, job.coordinates, job.plan.ways[job.plan.usual]).data());
  });
  row.floor_seconds = 8.0 * static_cast<double>(values.size()) / memory_bytes_per_second();
  row.note = format("%.0f coordinates, ", static_cast<double>(job.coordinates.size())) +
             (size > 0 ? format("%.0f bytes", static_cast<double>(size)) : "withheld");
  print_row(row);
}

}  // namespace
}  // namespace ams::benchmark

int main() {
  ams::benchmark::print_header("write an update within a downlink budget (n = 2,113,264)");
  for (const double budget_bps : {2e3, 10e3, 50e3, 1e6}) ams::benchmark::measure(budget_bps);
}
