// A task of one's own, in one file: a frame is a number, its label is whether it is odd, and the
// student is one parameter, how often labels are true.

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "ams/policy/paper.hpp"
#include "runtime/virtual_time.hpp"

using namespace ams;

namespace {

const auto layout =
    std::make_shared<const Manifest>(std::vector<TensorSpec>{{.name = "logit", .shape = {1}}});
const ModelState initial(layout, std::vector<float>{0});

struct Parity final : Task, Teacher, Trainer, FrameCodec, Predictor {
  std::string name() const override { return "parity"; }
  Handle sample(const Handle&, const Handle& label) const override { return label; }
  std::optional<double> phi(const Handle& previous, const Handle& current) const override {
    return previous.as<bool>() == current.as<bool>() ? 0 : 1;
  }
  std::size_t size_bytes(const Handle&) const override { return 1; }
  std::unique_ptr<TaskScore> score() const override { return nullptr; }
  Frame draw(const Handle&, const Handle&) const override { return {}; }
  Handle label(const Handle& frame, double) override {
    return Handle::make(frame.as<int>() % 2 == 1);
  }
  const std::shared_ptr<const Manifest>& manifest() const override { return layout; }
  TrainingResult train(TrainingJob job) override {
    TrainingResult result{std::move(job.parameters), std::move(job.adam), {}, 0};
    for (const auto& batch : job.mini_batches) {
      const float p = 1 / (1 + std::exp(-result.parameters[0]));
      std::vector<float> gradient(1);
      for (const Handle& label : batch) gradient[0] += p - (label.as<bool>() ? 1.F : 0.F);
      adam_step(result.adam, job.adam_options, job.coordinates, result.parameters, gradient,
                job.learning_rates);
    }
    return result;
  }
  Bytes encode(std::span<const Handle> frames, double) const override {
    std::vector<std::byte> bytes;
    for (const Handle& frame : frames) bytes.push_back(std::byte(frame.as<int>() % 256));
    return bytes;
  }
  std::vector<Handle> decode(std::span<const std::byte> bytes,
                             std::span<const double>) const override {
    std::vector<Handle> frames;
    for (const std::byte byte : bytes) frames.push_back(Handle::make(std::to_integer<int>(byte)));
    return frames;
  }
  void load(std::span<const float> values) override { logit = values[0]; }
  Handle predict(const Handle&) override { return Handle::make(logit > 0); }
  float logit = 0;
};

}  // namespace

TEST_CASE("a task of one's own runs a server and a device") {
  const auto parity = std::make_shared<Parity>();
  const auto policy = [] { return std::make_unique<PaperPolicy>(PaperOptions{.gamma = 1}); };
  VirtualPair pair({[&] {
                      return ServerParts{.initial = initial, .task = parity, .make_policy = policy,
                                         .teacher = parity, .trainer = parity, .codec = parity};
                    },
                    {},
                    [&] {
                      return DeviceParts{initial, parity, parity, parity};
                    }});
  pair.start_server();
  pair.start_device();
  for (int second = 0; second < 120; ++second) {
    pair.run_until(second);
    pair.device->offer(second, Handle::make(2 * second + 1));
  }
  CHECK(parity->logit > 0.1F);  // it has only seen odd numbers
  CHECK(pair.device->predict(Handle::make(7)).as<bool>());
  CHECK(pair.device->client().held().version().number > 5);
}
