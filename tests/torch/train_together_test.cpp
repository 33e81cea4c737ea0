#include "ams/torch/takes_own_values.hpp"

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/core/selection.hpp"
#include "ams/torch/network_trainer.hpp"
#include "ams/torch/segmentation_task.hpp"
#include "ams/torch/student.hpp"
#include "scene.hpp"

namespace {

using Job = ams::TrainingJob;

ams::StudentSpec small_spec() {
  ams::StudentSpec spec;
  spec.num_classes = 4;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

ams::NetworkTrainer make_trainer(const ams::StudentSpec& spec = small_spec(), bool bfloat16 = false,
                                 std::size_t pictures_together = 64) {
  ams::Student student = ams::open_student(spec);
  ams::check_student(student);
  auto task = ams::segmentation_task(spec, ams::LabelMap::default_ignore_id,
                                     student.network->align_corners(), 0.25);
  ams::NetworkTrainerOptions options;
  options.train_batch_norm_statistics = spec.train_batch_norm_statistics;
  options.bfloat16 = bfloat16;
  options.pictures_together = pictures_together;
  return {student.network, std::move(task), options};
}

bool is_own(const ams::TensorSpec& tensor) {
  return tensor.role != ams::TensorRole::weight;
}

/// What a device has after some time: batch norms, head and moments of its own.
Job make_job(const ams::Manifest& manifest, std::vector<float> start, std::uint64_t seed,
             const std::string& strategy, std::size_t iterations, std::size_t batch) {
  ams::Random random(seed);
  const std::size_t n = manifest.dimension();
  Job job;
  job.manifest = std::make_shared<const ams::Manifest>(manifest);
  job.parameters = std::move(start);
  job.adam = ams::AdamState(n);
  job.adam.step_count = static_cast<std::int64_t>(seed % 5) * 10;
  const auto chosen = ams::make_selection_strategy(strategy, 0.05);
  job.required_gradients = chosen->required_gradients(manifest);
  for (std::size_t t = 0; t < manifest.tensors().size(); ++t) {
    const ams::TensorSpec& tensor = manifest.tensors()[t];
    if (!is_own(tensor)) continue;
    for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      job.parameters[i] *= static_cast<float>(0.9 + 0.2 * random.uniform());
      job.parameters[i] += static_cast<float>(0.02 * random.uniform() - 0.01);
      if (job.adam.step_count == 0 || !job.required_gradients[t]) continue;
      job.adam.first_moment[i] = static_cast<float>(1e-3 * (random.uniform() - 0.5));
      job.adam.second_moment[i] = static_cast<float>(1e-5 * (0.1 + random.uniform()));
    }
  }
  job.coordinates = chosen->select({manifest, job.adam, job.adam_options}, random);
  std::vector<ams::LabelledFramePtr> scenes;
  for (std::uint64_t s = 0; s < 4; ++s)
    scenes.push_back(ams::testing::make_scene(10 * seed + s, 64, 32));
  job.mini_batches.resize(iterations);
  for (auto& mini_batch : job.mini_batches) {
    for (std::size_t i = 0; i < batch; ++i)
      mini_batch.push_back(scenes[random.below(scenes.size())]);
  }
  return job;
}

/// Four devices whose policies, numbers of steps and sizes of mini-batches differ.
std::vector<Job> make_jobs() {
  const auto start = ams::load_student_values(small_spec());
  const auto make = [&start](std::uint64_t seed, const char* strategy, std::size_t iterations,
                             std::size_t batch) {
    return make_job(*start.manifest, start.values, seed, strategy, iterations, batch);
  };
  std::vector<Job> jobs{make(1, "normalization_and_head", 4, 3), make(2, "normalization", 6, 1),
                        make(5, "normalization_and_head", 2, 4),
                        make(3, "normalization_and_head", 5, 2)};
  // Every third coordinate; other rates for the head; other hyper-parameters.
  std::vector<std::uint32_t> some;
  jobs[2].coordinates.for_each([&](std::uint32_t i) {
    if (i % 3 == 0) some.push_back(i);
  });
  jobs[2].coordinates = ams::CoordinateSet::from_sorted(start.manifest->dimension(), some);
  jobs[3].adam_options.multipliers.head = 3;
  jobs[3].adam_options.epsilon_placement = ams::EpsilonPlacement::inside_root;
  jobs[3].learning_rates = ams::learning_rate_ranges(*start.manifest, jobs[3].adam_options);
  return jobs;
}

/// Adam's first steps are near the learning rate times the gradient's sign, so where a gradient is
/// all rounding two ways may go apart: nearly all values must be close.
double close_share(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  std::size_t close = 0;
  for (std::size_t i = 0; i < a.size(); ++i) close += std::abs(double{a[i]} - b[i]) <= tolerance;
  return static_cast<double>(close) / static_cast<double>(a.size());
}

/// Those of batch norms and head.
std::vector<float> own_values(const ams::Manifest& manifest, const std::vector<float>& all) {
  std::vector<float> own;
  for (const ams::TensorSpec& tensor : manifest.tensors()) {
    if (!is_own(tensor)) continue;
    own.insert(own.end(), all.data() + tensor.offset, all.data() + tensor.offset + tensor.size);
  }
  return own;
}

void check_equal(const Job& job, const ams::TrainingResult& together,
                 const ams::TrainingResult& alone) {
  const ams::Manifest& manifest = *job.manifest;
  REQUIRE(together.losses.size() == alone.losses.size());
  for (std::size_t k = 0; k < alone.losses.size(); ++k)
    CHECK(together.losses[k] == doctest::Approx(alone.losses[k]).epsilon(2e-3));
  CHECK(together.adam.step_count == alone.adam.step_count);
  CHECK(close_share(own_values(manifest, together.parameters),
                    own_values(manifest, alone.parameters), 1e-4) > 0.99);
  CHECK(close_share(own_values(manifest, together.adam.first_moment),
                    own_values(manifest, alone.adam.first_moment), 1e-4) > 0.99);
  std::vector<bool> chosen(manifest.dimension());
  job.coordinates.for_each([&](std::uint32_t i) { chosen[i] = true; });
  std::size_t moved = 0, strayed = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    strayed += !chosen[i] && together.parameters[i] != alone.parameters[i];
    moved += together.parameters[i] != job.parameters[i];
  }
  CHECK(strayed == 0);
  CHECK(moved > job.coordinates.size() / 2);
}

/// The own coordinates with the largest updates, as a gradient-guided policy would choose them.
std::vector<std::size_t> largest_updates(const Job& job, const ams::AdamState& state) {
  std::vector<float> update(job.manifest->dimension());
  ams::adam_update(state, job.adam_options, update, job.learning_rates);
  std::vector<std::size_t> own;
  for (const ams::TensorSpec& tensor : job.manifest->tensors()) {
    for (std::size_t i = 0; is_own(tensor) && i < tensor.size; ++i)
      own.push_back(tensor.offset + i);
  }
  const std::size_t count = own.size() / 20;
  std::nth_element(
      own.begin(), own.begin() + static_cast<std::ptrdiff_t>(count), own.end(),
      [&](std::size_t a, std::size_t b) { return std::abs(update[a]) > std::abs(update[b]); });
  own.resize(count);
  std::sort(own.begin(), own.end());
  return own;
}

std::string refusal(ams::NetworkTrainer& trainer, const std::vector<Job>& jobs) {
  try {
    trainer.train_together(jobs);
  } catch (const ams::Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("devices that are trained together get what each gets alone") {
  auto trainer = make_trainer();
  const std::vector<Job> jobs = make_jobs();
  for (const Job& job : jobs) CHECK(trainer.can_join(job));
  const auto together = trainer.train_together(jobs);
  REQUIRE(together.size() == jobs.size());
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    CAPTURE(j);
    const auto alone = trainer.train(jobs[j]);
    check_equal(jobs[j], together[j], alone);
    const auto a = largest_updates(jobs[j], together[j].adam);
    const auto b = largest_updates(jobs[j], alone.adam);
    std::vector<std::size_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    CHECK(static_cast<double>(both.size()) > 0.97 * static_cast<double>(a.size()));
  }
}

TEST_CASE("one device, and none") {
  auto trainer = make_trainer();
  const std::vector<Job> jobs{make_jobs().front()};
  check_equal(jobs[0], trainer.train_together(jobs)[0], trainer.train(jobs[0]));
  CHECK(trainer.train_together({}).empty());
}

TEST_CASE("pictures_together divides the devices, and not a mini-batch") {
  const std::vector<Job> jobs = make_jobs();
  const auto all = make_trainer().train_together(jobs);
  SUBCASE("the same bits as alone where each is by itself") {
    auto trainer = make_trainer(small_spec(), false, 1);
    const auto together = trainer.train_together(jobs);
    for (std::size_t j = 0; j < jobs.size(); ++j)
      CHECK(together[j].parameters == trainer.train(jobs[j]).parameters);
  }
  SUBCASE("passes of three and of one") {
    const auto together = make_trainer(small_spec(), false, 8).train_together(jobs);
    for (std::size_t j = 0; j < jobs.size(); ++j) check_equal(jobs[j], together[j], all[j]);
  }
}

TEST_CASE("training together leaves nothing behind, and is the same bit for bit") {
  auto trainer = make_trainer();
  const std::vector<Job> jobs = make_jobs();
  const auto alone = trainer.train(jobs[0]);
  const auto together = trainer.train_together(jobs);
  CHECK(trainer.train(jobs[0]).parameters == alone.parameters);
  const auto again = trainer.train_together(jobs);
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    CHECK(again[j].parameters == together[j].parameters);
    CHECK(again[j].adam.second_moment == together[j].adam.second_moment);
  }
}

TEST_CASE("a device whose labels say nothing makes no step") {
  auto trainer = make_trainer();
  std::vector<Job> jobs = make_jobs();
  auto blank = std::make_shared<ams::LabelledFrame>(*ams::testing::make_scene(1, 64, 32));
  std::fill(blank->labels.ids.begin(), blank->labels.ids.end(), ams::LabelMap::default_ignore_id);
  jobs[1].mini_batches[0] = {ams::LabelledFramePtr(blank)};
  jobs[3].mini_batches.assign(3, {ams::LabelledFramePtr(blank)});
  const auto together = trainer.train_together(jobs);
  CHECK(together[1].losses[0] == 0);
  check_equal(jobs[1], together[1], trainer.train(jobs[1]));
  CHECK(together[3].losses == std::vector<double>(3));
  CHECK(together[3].parameters == jobs[3].parameters);
  CHECK(together[3].adam.first_moment == jobs[3].adam.first_moment);
  CHECK(together[3].adam.step_count == jobs[3].adam.step_count);
  check_equal(jobs[0], together[0], trainer.train(jobs[0]));
}

TEST_CASE("moments of earlier phases outside batch norms and head fade as alone") {
  auto trainer = make_trainer();
  std::vector<Job> jobs = make_jobs();
  const ams::Manifest& manifest = *jobs[0].manifest;
  for (std::size_t t = 0; t < manifest.tensors().size(); ++t) {
    const ams::TensorSpec& tensor = manifest.tensors()[t];
    if (is_own(tensor)) continue;
    std::fill_n(jobs[0].adam.first_moment.begin() + static_cast<std::ptrdiff_t>(tensor.offset),
                tensor.size, 0.5F);
    std::fill_n(jobs[0].adam.second_moment.begin() + static_cast<std::ptrdiff_t>(tensor.offset),
                tensor.size, 0.25F);
  }
  const auto together = trainer.train_together(jobs)[0], alone = trainer.train(jobs[0]);
  for (const ams::TensorSpec& tensor : manifest.tensors()) {
    if (is_own(tensor)) continue;
    const auto begin = static_cast<std::ptrdiff_t>(tensor.offset);
    const auto end = begin + static_cast<std::ptrdiff_t>(tensor.size);
    CHECK(std::equal(together.adam.first_moment.begin() + begin,
                     together.adam.first_moment.begin() + end,
                     alone.adam.first_moment.begin() + begin));
    CHECK(std::equal(together.adam.second_moment.begin() + begin,
                     together.adam.second_moment.begin() + end,
                     alone.adam.second_moment.begin() + begin));
  }
}

TEST_CASE("each device starts where its trial says") {
  auto trainer = make_trainer();
  std::vector<Job> jobs = make_jobs();
  const auto start = ams::load_student_values(small_spec());
  ams::StartTrial trial;
  trial.held = std::make_shared<const ams::ModelState>(start.manifest, jobs[1].parameters);
  trial.others = {{std::make_shared<const std::vector<float>>(start.values), -1}};
  trial.samples = jobs[1].mini_batches.front();
  jobs[1].trial = trial;
  const auto together = trainer.train_together(jobs)[1], alone = trainer.train(jobs[1]);
  REQUIRE(together.scores);
  CHECK(together.scores->start == 1);
  CHECK(together.scores->held == alone.scores->held);
  check_equal(jobs[1], together, alone);
}

TEST_CASE("in bfloat16 losses are near those alone") {
  auto trainer = make_trainer(small_spec(), /*bfloat16=*/true);
  const std::vector<Job> jobs = make_jobs();
  const auto together = trainer.train_together(jobs);
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    const auto alone = trainer.train(jobs[j]);
    for (std::size_t k = 0; k < alone.losses.size(); ++k)
      CHECK(together[j].losses[k] == doctest::Approx(alone.losses[k]).epsilon(0.05));
  }
}

TEST_CASE("a device that trains more is refused by name, and is trained alone") {
  auto trainer = make_trainer();
  std::vector<Job> jobs = make_jobs();
  const std::string name = [&] {
    for (const auto& tensor : jobs[0].manifest->tensors())
      if (!is_own(tensor)) return tensor.name;
    return std::string();
  }();

  SUBCASE("by its gradients") {
    jobs[2].required_gradients.assign(jobs[2].required_gradients.size(), true);
    CHECK_FALSE(trainer.can_join(jobs[2]));
    const std::string why = refusal(trainer, jobs);
    CHECK(why.find("training job 3") != std::string::npos);
    CHECK(why.find("trains " + name) != std::string::npos);
  }
  SUBCASE("by its coordinates") {
    jobs[2].coordinates = ams::CoordinateSet::all(jobs[2].manifest->dimension());
    CHECK_FALSE(trainer.can_join(jobs[2]));
    CHECK(refusal(trainer, jobs).find("coordinates of " + name) != std::string::npos);
  }
  SUBCASE("by its convolutions, which an earlier policy moved") {
    for (std::size_t i = 0; i < 8; ++i) jobs[2].parameters[i] += 0.5F;
    CHECK(refusal(trainer, jobs).find("training job 3 cannot be trained together with the first") !=
          std::string::npos);
  }
  CHECK(trainer.train(jobs[2]).losses.size() == jobs[2].mini_batches.size());
  jobs.erase(jobs.begin() + 2);
  check_equal(jobs[2], trainer.train_together(jobs)[2], trainer.train(jobs[2]));
}

TEST_CASE("bad jobs are refused, and the trainer remains usable") {
  auto trainer = make_trainer();
  std::vector<Job> jobs = make_jobs();
  SUBCASE("an empty mini-batch") {
    jobs[1].mini_batches[2].clear();
    CHECK(refusal(trainer, jobs).find("mini-batch 3 of training job 2 is empty") !=
          std::string::npos);
  }
  SUBCASE("a loss that is not finite") {
    for (float& value : jobs[1].parameters) {
      if (&value >= &jobs[1].parameters[jobs[1].parameters.size() - 4]) value = INFINITY;
    }
    CHECK(refusal(trainer, jobs).find("the loss of mini-batch 1 of training job 2 is not finite") !=
          std::string::npos);
  }
  SUBCASE("moments of another size") {
    jobs[1].adam = ams::AdamState(3);
    CHECK_FALSE(refusal(trainer, jobs).empty());
  }
  const std::vector<Job> good = make_jobs();
  check_equal(good[1], trainer.train_together(good)[1], trainer.train(good[1]));
}

TEST_CASE("networks whose devices cannot be told apart train one after another") {
  ams::StudentSpec spec = small_spec();
  SUBCASE("batch-norm statistics follow the data") {
    spec.train_batch_norm_statistics = true;
  }
  SUBCASE("layers that take no own values") {
    spec.network = "deeplabv3_mobilenetv2";
  }
  auto trainer = make_trainer(spec);
  const auto start = ams::load_student_values(spec);
  const std::vector<Job> jobs(
      2, make_job(*start.manifest, start.values, 1, "normalization_and_head", 1, 2));
  CHECK_FALSE(trainer.can_join(jobs[0]));
  CHECK(refusal(trainer, jobs).find("cannot train several jobs together") != std::string::npos);
}
