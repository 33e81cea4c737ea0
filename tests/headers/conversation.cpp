// Both state machines and the paper's policy, with the headers alone.
#include <all_headers.hpp>  // run.sh writes it
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "parts.hpp"

namespace {

using namespace ams;

/// A sample is a number; the student has 64 weights, and its gradient is noise that the sample
/// seeds.
class Numbers final : public Task {
 public:
  std::string name() const override { return "numbers"; }
  Handle sample(const Handle& frame, const Handle&) const override { return frame; }
  std::optional<double> phi(const Handle& before, const Handle& now) const override {
    return static_cast<double>(now.as<int>() - before.as<int>()) / 16;
  }
  std::size_t size_bytes(const Handle&) const override { return sizeof(int); }
  std::unique_ptr<TaskScore> score() const override { return nullptr; }
  Frame draw(const Handle&, const Handle&) const override { return {}; }
};

TrainingResult train(TrainingJob job) {
  TrainingResult result{std::move(job.parameters), std::move(job.adam), {}, 0.5};
  for (const std::vector<Handle>& batch : job.mini_batches) {
    Random noise(static_cast<std::uint64_t>(batch.front().as<int>()));
    std::vector<float> gradients(result.parameters.size());
    for (float& g : gradients) g = static_cast<float>(noise.uniform() - 0.5);
    adam_step(result.adam, job.adam_options, job.coordinates, result.parameters, gradients,
              job.learning_rates);
    result.losses.push_back(1);
  }
  return result;
}

/// Server and device without a wire between them: what one says, the other hears at once.
struct Conversation {
  ServerSession session;
  EdgeClient client;
  double now = 0;

  void perform(EdgeActions actions) {
    for (EdgeAction& action : actions) {
      if (std::holds_alternative<ConnectToServer>(action)) {
        perform(client.on_connected(now));
      } else if (auto* send = std::get_if<SendToServer>(&action)) {
        perform(session.on_message(std::move(send->message), now));
      } else if (auto* buffer = std::get_if<EncodeBuffer>(&action)) {
        frames = buffer->frames;
        perform(client.on_encoded(buffer->batch_id, std::vector<std::byte>(4), now));
      } else if (auto* publish = std::get_if<Publish>(&action)) {
        perform(client.on_published(publish->version, now));
      }
    }
  }
  void perform(ServerActions actions) {
    for (ServerAction& action : actions) {
      if (auto* send = std::get_if<SendToDevice>(&action)) {
        perform(client.on_message(send->message, now));
      } else if (auto* batch = std::get_if<LabelBatch>(&action)) {
        std::vector<TimedSample> samples;
        for (std::size_t i = 0; i < frames.size(); ++i) {
          samples.push_back({batch->capture_seconds[i], frames[i]});
        }
        perform(session.on_labelled(batch->batch_id, std::move(samples), now));
      } else if (std::holds_alternative<TrainingDue>(action)) {
        perform(session.on_phase_done(train(session.begin_phase(now)), now));
      }
    }
  }

  std::vector<Handle> frames = {};
};

}  // namespace

void converse() {
  const ModelState initial(
      std::make_shared<const Manifest>(std::vector<TensorSpec>{{.name = "w", .shape = {8, 8}}}),
      std::vector<float>(64, 0.5F));
  PaperOptions options{.gamma = 0.25};
  options.pace.adapt_training_rate = true;
  Conversation both{
      ServerSession(initial, std::make_shared<Numbers>(), std::make_unique<PaperPolicy>(options)),
      EdgeClient(initial, {.device_id = "a stranger's", .first_batch_seconds = 5})};
  both.perform(both.client.on_start(0));
  for (int second = 0; second < 200; ++second) {
    both.now = second;
    both.perform(both.client.on_frame(second, Handle::make(second * second % 31), second));
    both.perform(both.session.on_time(second));
  }
  const ModelVersion held = both.client.held().version();
  const bool is_adapted = held.number > 10 && held == both.session.held().version();
  report(is_adapted ? "a session with its device" : "a session that failed",
         mix64(held.digest ^ held.number ^ both.session.counters().samples));
}
