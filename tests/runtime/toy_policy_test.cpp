// A policy of one's own, in one file: it trains one tensor after another, and sends updates at half
// precision while the link is young and finely later.

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "runtime/virtual_world.hpp"

using namespace ams;

namespace {

class OneTensorAtATime final : public UpdatePolicy {
 public:
  void prepare(const ModelState& initial) override {
    tensors_ = {initial.manifest().tensors().begin(), initial.manifest().tensors().end()};
  }

  double sampling_rate_fps() const override { return 2; }
  double update_interval_seconds() const override { return 5; }

  std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
    if (context.samples < 4) return std::nullopt;
    return context.latest_begin_seconds ? *context.latest_begin_seconds + 5 : context.now_seconds;
  }

  PhasePlan plan(const PhaseContext& context, Random&) override {
    const Manifest& manifest = context.held.manifest();
    PhasePlan plan;
    plan.parameters = {context.held.values().begin(), context.held.values().end()};
    plan.required_gradients = std::vector<bool>(tensors_.size(), true);
    plan.adam.learning_rate = 0.03;
    while (tensors_[next_].kind != TensorKind::parameter) next_ = (next_ + 1) % tensors_.size();
    const TensorSpec& tensor = tensors_[next_];
    next_ = (next_ + 1) % tensors_.size();
    std::vector<std::uint32_t> indices(tensor.size);
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(tensor.offset));
    plan.coordinates = CoordinateSet::from_sorted(manifest.dimension(), std::move(indices));
    return plan;
  }

  EncodePlan encode(double now_seconds, std::span<const double>) override {
    EncodeOptions fine{.profile = UpdateProfile::compact};
    return {.ways = {now_seconds < 60 ? EncodeOptions{} : fine}};
  }

  void on_written(const WriteReport& report) override { sizes.insert(report.coordinates.size()); }

  inline static std::set<std::size_t> sizes;  ///< of the sets that were sent

 private:
  std::vector<TensorSpec> tensors_;
  std::size_t next_ = 0;
};

}  // namespace

TEST_CASE("a policy of one's own runs a server and a device") {
  VirtualWorld::Setup setup;
  setup.make_policy = [] { return std::make_unique<OneTensorAtATime>(); };
  setup.scene_frames = 100000;
  setup.follow_statistics = false;
  VirtualWorld world(setup);
  world.run_until(10);
  CHECK(world.client->sampling_rate_fps() == 2);
  const double before = world.device_error();
  world.run_until(300);
  CHECK(OneTensorAtATime::sizes == std::set<std::size_t>{1, toy::inputs});
  CHECK(world.session->counters().updates > 50);
  CHECK(world.client->counters().refusals == 0);
  CHECK(world.device_error() < before / 5);
  CHECK(world.in_step());
}
