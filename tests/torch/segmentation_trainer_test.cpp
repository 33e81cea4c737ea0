#include <torch/script.h>
#include <torch/torch.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/core/selection.hpp"
#include "ams/torch/edanet.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/segmentation_task.hpp"
#include "ams/torch/student.hpp"
#include "scene.hpp"

namespace {

using Job = ams::TrainingJob;

/// As in the paper.
const ams::SegmentationTrainerOptions all_alike{.class_balance = 0};

ams::StudentSpec small_spec() {
  ams::StudentSpec spec;
  spec.num_classes = 4;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

/// `iterations` mini-batches of `batch` scenes out of six.
std::vector<std::vector<ams::Handle>> draw(std::size_t iterations, std::size_t batch) {
  std::vector<ams::LabelledFramePtr> scenes;
  for (std::uint64_t seed = 0; seed < 6; ++seed)
    scenes.push_back(ams::testing::make_scene(seed, 80, 40));
  ams::Random random(9);
  std::vector<std::vector<ams::Handle>> batches(iterations);
  for (auto& mini_batch : batches) {
    for (std::size_t i = 0; i < batch; ++i)
      mini_batch.push_back(scenes[random.below(scenes.size())]);
  }
  return batches;
}

Job make_job(const ams::StudentSpec& spec, std::size_t iterations = 4) {
  const ams::StudentValues start = ams::load_student_values(spec);
  const std::size_t n = start.manifest->dimension();
  return {start.manifest,
          start.values,
          ams::AdamState(n),
          ams::AdamOptions{},
          {},
          ams::CoordinateSet::all(n),
          std::vector<bool>(start.manifest->tensors().size(), true),
          draw(iterations, 3)};
}

/// Every second coordinate of the parameters.
ams::CoordinateSet every_second(const ams::Manifest& manifest) {
  std::vector<std::uint32_t> indices;
  for (const auto& tensor : manifest.tensors()) {
    if (tensor.kind != ams::TensorKind::parameter) continue;
    for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size; i += 2) {
      indices.push_back(static_cast<std::uint32_t>(i));
    }
  }
  return ams::CoordinateSet::from_sorted(manifest.dimension(), indices);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  return largest;
}

/// The same phase by libtorch's own means: its batch norm, its cross-entropy over all classes with
/// the unselected logits taken out, its optimiser on separate tensors; a mask puts back what must
/// not move.
std::vector<float> plain_loop(const ams::StudentSpec& spec, const Job& job, bool masked,
                              bool train_norm, std::vector<double>* losses = nullptr) {
  const auto student = ams::open_student(spec);
  student.network->train(train_norm);
  std::vector<torch::Tensor> parameters;
  for (auto& item : student.network->parameters()) parameters.push_back(item.tensor);
  torch::optim::Adam optimizer(parameters,
                               torch::optim::AdamOptions(job.adam_options.learning_rate));
  std::vector<torch::Tensor> masks;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    masks.push_back(torch::zeros_like(parameters[i]));
  job.coordinates.for_each([&](std::uint32_t index) {
    const std::size_t t = job.manifest->tensor_of(index);
    masks[t].view(-1).index_put_(
        {static_cast<std::int64_t>(index - job.manifest->tensors()[t].offset)}, 1);
  });
  for (const auto& mini_batch : job.mini_batches) {
    std::vector<torch::Tensor> images, targets;
    for (const auto& handle : mini_batch) {
      const auto sample = handle.share<ams::LabelledFrame>();
      images.push_back(ams::scaled_rgb(sample->frame, spec.input_width, spec.input_height));
      targets.push_back(
          ams::scaled_labels(sample->labels, spec.input_width, spec.input_height).to(torch::kLong));
    }
    torch::Tensor target = torch::stack(targets);
    torch::Tensor logits = student.forward(ams::normalized_batch(images, spec.normalization));
    if (!spec.selected_classes.empty()) {
      torch::Tensor allowed = torch::zeros({256}, torch::kBool);
      torch::Tensor bias = torch::full({spec.num_classes}, -1e9);
      for (const int id : spec.selected_classes) {
        allowed[id] = true;
        bias[id] = 0.0;
      }
      logits = logits + bias.view({1, -1, 1, 1});
      target = torch::where(allowed.index({target}), target, torch::full_like(target, 255));
    }
    optimizer.zero_grad();
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        logits, target, torch::nn::functional::CrossEntropyFuncOptions().ignore_index(255));
    if (losses != nullptr) losses->push_back(loss.item<double>());
    loss.backward();
    std::vector<torch::Tensor> before;
    for (const auto& parameter : parameters) before.push_back(parameter.detach().clone());
    optimizer.step();
    if (!masked) continue;
    const torch::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].copy_(torch::where(masks[i] > 0, parameters[i], before[i]));
    }
  }
  return ams::student_values(student).values;
}

}  // namespace

TEST_CASE("with all coordinates a phase is a plain loop with torch::optim::Adam") {
  const ams::StudentSpec spec = small_spec();
  Job job = make_job(spec);
  std::vector<double> losses;
  const auto expected = plain_loop(spec, job, false, false, &losses);
  const auto start = job.parameters;
  const auto result = ams::make_segmentation_trainer(spec, all_alike)->train(std::move(job));
  REQUIRE(result.losses.size() == losses.size());
  for (std::size_t k = 0; k < losses.size(); ++k) {
    CHECK(result.losses[k] == doctest::Approx(losses[k]).epsilon(1e-3));
  }
  CHECK(result.losses.back() < result.losses.front());
  CHECK(result.adam.step_count == 4);
  // Adam's first steps are near lr times the gradient's sign, so where a gradient is all rounding
  // the two may go apart; nearly all coordinates must agree well.
  std::size_t close = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    close += std::abs(double{expected[i]} - result.parameters[i]) < 2e-4;
  }
  CHECK(static_cast<double>(close) > 0.99 * static_cast<double>(expected.size()));
  CHECK(largest_difference(expected, start) > 3e-3);
}

TEST_CASE("with some coordinates a phase is a plain loop with a mask, and the others stay") {
  ams::StudentSpec spec = small_spec();
  spec.selected_classes = {0, 2};
  Job job = make_job(spec);
  job.coordinates = every_second(*job.manifest);
  const auto start = job.parameters;
  const auto coordinates = job.coordinates;
  const auto expected = plain_loop(spec, job, true, false);
  const auto result = ams::make_segmentation_trainer(spec, all_alike)->train(std::move(job));
  std::vector<bool> chosen(start.size());
  coordinates.for_each([&](std::uint32_t i) { chosen[i] = true; });
  std::size_t close = 0, moved = 0;
  for (std::size_t i = 0; i < start.size(); ++i) {
    close += std::abs(double{expected[i]} - result.parameters[i]) < 2e-4;
    moved += result.parameters[i] != start[i];
    if (!chosen[i]) REQUIRE(result.parameters[i] == start[i]);
  }
  CHECK(static_cast<double>(close) > 0.99 * static_cast<double>(start.size()));
  CHECK(static_cast<double>(moved) > 0.4 * static_cast<double>(start.size()));
}

TEST_CASE("a phase is the same, bit for bit, each time and whatever came before") {
  const ams::StudentSpec spec = small_spec();
  const auto trainer = ams::make_segmentation_trainer(spec, all_alike);
  const auto first = trainer->train(make_job(spec));
  Job other = make_job(spec);
  other.required_gradients.assign(other.required_gradients.size(), false);
  other.required_gradients.back() = true;
  trainer->train(std::move(other));
  const auto again = trainer->train(make_job(spec));
  const auto elsewhere = ams::make_segmentation_trainer(spec, all_alike)->train(make_job(spec));
  CHECK(first.parameters == again.parameters);
  CHECK(first.adam.second_moment == again.adam.second_moment);
  CHECK(first.parameters == elsewhere.parameters);
}

TEST_CASE("two phases of one state are one phase of twice the length") {
  const ams::StudentSpec spec = small_spec();
  const auto trainer = ams::make_segmentation_trainer(spec, all_alike);
  const auto whole = trainer->train(make_job(spec, 4));
  Job first = make_job(spec, 4), second = first;
  first.mini_batches.resize(2);
  second.mini_batches.erase(second.mini_batches.begin(), second.mini_batches.begin() + 2);
  auto half = trainer->train(std::move(first));
  second.parameters = half.parameters;
  second.adam = half.adam;
  CHECK(trainer->train(std::move(second)).parameters == whole.parameters);
}

TEST_CASE("gradients that are not required are not computed, and the rest is as if they were") {
  const ams::StudentSpec spec = small_spec();
  for (const char* name : {"first_layers", "last_layers", "first_and_last_layers", "normalization",
                           "normalization_and_head"}) {
    CAPTURE(name);
    const auto strategy = ams::make_selection_strategy(name, 0.05);
    Job all = make_job(spec);
    ams::Random random(1);
    all.coordinates = strategy->select({*all.manifest, all.adam, all.adam_options}, random);
    Job some = all;
    some.required_gradients = strategy->required_gradients(*some.manifest);
    CHECK(std::count(some.required_gradients.begin(), some.required_gradients.end(), false) > 0);
    const auto required = some.required_gradients;
    const auto manifest = some.manifest;
    const auto trainer = ams::make_segmentation_trainer(spec, all_alike);
    const auto expected = trainer->train(std::move(all));
    const auto result = trainer->train(std::move(some));
    CHECK(largest_difference(expected.parameters, result.parameters) < 2e-3);
    std::size_t far = 0;
    for (std::size_t i = 0; i < result.parameters.size(); ++i) {
      far += std::abs(double{expected.parameters[i]} - result.parameters[i]) > 1e-4;
    }
    CHECK(static_cast<double>(far) < 0.002 * static_cast<double>(result.parameters.size()));
    for (std::size_t t = 0; t < required.size(); ++t) {
      if (required[t]) continue;
      const auto& tensor = manifest->tensors()[t];
      for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
        REQUIRE(result.adam.second_moment[i] == 0);
      }
    }
  }
}

TEST_CASE("a multiplier moves the tensors of its role so much farther") {
  const ams::StudentSpec spec = small_spec();
  const auto trainer = ams::make_segmentation_trainer(spec, all_alike);
  const Job plain = make_job(spec, 1);
  Job faster = plain;
  faster.adam_options.multipliers.normalization = 5;
  faster.adam_options.multipliers.head = 0.5;
  faster.learning_rates = ams::learning_rate_ranges(*faster.manifest, faster.adam_options);
  const auto once = trainer->train(plain).parameters;
  const auto result = trainer->train(faster).parameters;
  for (const auto& tensor : plain.manifest->tensors()) {
    const double multiplier = tensor.role == ams::TensorRole::normalization ? 5
                              : tensor.role == ams::TensorRole::head        ? 0.5
                                                                            : 1;
    for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      const double moved = double{once[i]} - plain.parameters[i];
      REQUIRE(double{result[i]} - plain.parameters[i] ==
              doctest::Approx(multiplier * moved).epsilon(1e-3));
    }
  }
}

TEST_CASE("bfloat16 follows float32, and a device that is not there is refused") {
  const ams::StudentSpec spec = small_spec();
  ams::SegmentationTrainerOptions options = all_alike;
  options.bfloat16 = true;
  const auto narrow = ams::make_segmentation_trainer(spec, options);
  const auto wide = ams::make_segmentation_trainer(spec, all_alike);
  Job last = make_job(spec);
  last.required_gradients.assign(last.required_gradients.size(), false);
  last.required_gradients.back() = true;
  for (const Job& job : {make_job(spec), last}) {
    const auto expected = wide->train(job);
    const auto result = narrow->train(job);
    CHECK(expected.parameters != result.parameters);
    for (std::size_t k = 0; k < expected.losses.size(); ++k) {
      CHECK(result.losses[k] == doctest::Approx(expected.losses[k]).epsilon(0.05));
    }
  }
  options.device = "nowhere";
  try {
    ams::make_segmentation_trainer(spec, options);
    FAIL("accepted");
  } catch (const ams::Error& error) {
    CHECK(error.code() == ams::ErrorCode::unavailable);
  }
}

TEST_CASE("batch-norm statistics are frozen unless asked for, and then come back") {
  ams::StudentSpec spec = small_spec();
  CHECK(!ams::load_student_values(spec).manifest->has_statistics());
  spec.train_batch_norm_statistics = true;
  Job job = make_job(spec, 2);
  REQUIRE(job.manifest->has_statistics());
  job.coordinates = every_second(*job.manifest);
  const auto start = job.parameters;
  const auto manifest = job.manifest;
  const auto expected = plain_loop(spec, job, true, true);
  const auto result = ams::make_segmentation_trainer(spec, all_alike)->train(std::move(job));
  std::size_t moved = 0, values = 0;
  for (const auto& tensor : manifest->tensors()) {
    if (tensor.kind != ams::TensorKind::statistic) continue;
    for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      ++values;
      moved += result.parameters[i] != start[i];
      CHECK(result.parameters[i] == doctest::Approx(expected[i]).epsilon(1e-2));
    }
  }
  CHECK(values > 1000);
  CHECK(static_cast<double>(moved) > 0.95 * static_cast<double>(values));
}

TEST_CASE("a mini-batch without a pixel that counts makes no step") {
  ams::StudentSpec spec = small_spec();
  spec.num_classes = 5;
  spec.selected_classes = {3, 4};  // no scene has them
  Job job = make_job(spec, 2);
  const auto start = job.parameters;
  const auto result = ams::make_segmentation_trainer(spec, all_alike)->train(std::move(job));
  CHECK(result.losses == std::vector<double>{0, 0});
  CHECK(result.parameters == start);
  CHECK(result.adam.step_count == 0);
}

TEST_CASE("what does not fit is refused, and the trainer goes on") {
  const ams::StudentSpec spec = small_spec();
  const auto trainer = ams::make_segmentation_trainer(spec, all_alike);
  const auto expected = trainer->train(make_job(spec, 1)).parameters;
  const auto refused = [&](ams::ErrorCode code, auto spoil) {
    Job job = make_job(spec, 2);
    spoil(job);
    try {
      trainer->train(std::move(job));
      FAIL("accepted");
    } catch (const ams::Error& error) {
      CHECK_MESSAGE(error.code() == code, error.what());
    }
    CHECK(trainer->train(make_job(spec, 1)).parameters == expected);
  };
  using Code = ams::ErrorCode;
  refused(Code::manifest_mismatch, [](Job& job) { job.manifest = nullptr; });
  refused(Code::manifest_mismatch, [&](Job& job) {
    ams::StudentSpec other = spec;
    other.num_classes = 5;
    job.manifest = ams::load_student_values(other).manifest;
  });
  refused(Code::invalid_argument, [](Job& job) { job.parameters.pop_back(); });
  refused(Code::invalid_argument, [](Job& job) { job.adam = ams::AdamState(3); });
  refused(Code::invalid_argument, [](Job& job) { job.coordinates = ams::CoordinateSet::all(3); });
  refused(Code::invalid_argument, [](Job& job) { job.required_gradients.pop_back(); });
  refused(Code::invalid_argument, [](Job& job) { job.mini_batches[1].clear(); });
  refused(Code::invalid_argument, [](Job& job) { job.adam_options.learning_rate = -1; });
  refused(Code::invalid_argument, [](Job& job) { job.parameters[0] = std::nanf(""); });
  refused(Code::invalid_argument, [](Job& job) { job.adam_options.learning_rate = 1e38; });
  refused(Code::invalid_argument, [](Job& job) {
    auto broken =
        std::make_shared<ams::LabelledFrame>(job.mini_batches[0][0].as<ams::LabelledFrame>());
    broken->frame.rgb.pop_back();
    job.mini_batches[0][0] = broken;
  });
}

TEST_CASE("samples kept at the student's size train to the same bits") {
  const ams::StudentSpec spec = small_spec();
  const auto task = ams::make_segmentation_task(spec);
  Job whole = make_job(spec), small = whole;
  for (auto& mini_batch : small.mini_batches) {
    for (auto& sample : mini_batch) {
      const auto& full = sample.as<ams::LabelledFrame>();
      sample = task->sample(ams::Handle::make(full.frame), ams::Handle::make(full.labels));
      CHECK(sample.as<ams::LabelledFrame>().frame.width == spec.input_width);
      CHECK(sample.as<ams::LabelledFrame>().labels.height == spec.input_height);
    }
  }
  const auto a = ams::make_segmentation_trainer(spec, all_alike)->train(whole);
  const auto b = ams::make_segmentation_trainer(spec, all_alike)->train(small);
  CHECK(a.parameters == b.parameters);
  CHECK(a.losses == b.losses);
}

TEST_CASE("any module of the caller's can be a student") {
  torch::manual_seed(2);
  const auto module = std::make_shared<torch::nn::SequentialImpl>(
      torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2).padding(1)),
      torch::nn::BatchNorm2d(8), torch::nn::ReLU(), torch::nn::Conv2d(8, 4, 1));
  ams::StudentSpec spec = small_spec();
  spec.network = "mine";
  const ams::Student student{
      ams::wrap_module(module,
                       [m = module.get()](const torch::Tensor& x) { return m->forward(x); }),
      spec};
  const ams::StudentValues start = ams::student_values(student);
  CHECK(start.manifest->tensors()[0].name == "0.weight");
  const auto trainer = ams::make_segmentation_trainer(student);
  const std::size_t n = start.manifest->dimension();
  ams::AdamOptions options;
  options.learning_rate = 1e-2;
  const auto result = trainer->train({start.manifest,
                                      start.values,
                                      ams::AdamState(n),
                                      options,
                                      {},
                                      ams::CoordinateSet::all(n),
                                      std::vector<bool>(start.manifest->tensors().size(), true),
                                      draw(30, 4)});
  CHECK(result.losses.back() < 0.7 * result.losses.front());
}

TEST_CASE("the loss is the mean over the pixels that count") {
  torch::manual_seed(4);
  const torch::Tensor logits = torch::randn({2, 5, 3, 4});
  torch::Tensor targets = torch::randint(0, 2, {2, 3, 4}, torch::kLong);
  targets[0][1] = -100;
  double expected = 0;
  int counted = 0;
  for (int n = 0; n < 2; ++n) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 4; ++x) {
        const auto target = targets[n][y][x].item<std::int64_t>();
        if (target < 0) continue;
        const double first = std::exp(logits[n][1][y][x].item<double>());
        const double second = std::exp(logits[n][4][y][x].item<double>());
        expected -= std::log((target == 0 ? first : second) / (first + second));
        ++counted;
      }
    }
  }
  CHECK(ams::segmentation_loss(logits, targets, {1, 4}, false).item<double>() ==
        doctest::Approx(expected / counted).epsilon(1e-5));
  CHECK(!ams::segmentation_loss(logits, torch::full_like(targets, -100), {1, 4}, false).defined());
}

TEST_CASE("class balance weighs pixels by how rare their class is") {
  torch::manual_seed(5);
  const torch::Tensor logits = torch::randn({1, 3, 10, 10});
  torch::Tensor targets = torch::zeros({1, 10, 10}, torch::kLong);
  targets[0][0] = 1;     // 10 pixels
  targets[0][1][0] = 2;  // 1 pixel
  targets[0][9] = -100;  // 10 that do not count
  const double frequencies[] = {79.0 / 90, 10.0 / 90, 1.0 / 90};
  double sum = 0, weights = 0;
  const torch::Tensor losses = -logits.log_softmax(1);
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 10; ++x) {
      const auto target = targets[0][y][x].item<std::int64_t>();
      const double weight =
          std::min(std::pow(frequencies[target], -0.5), 10 * std::pow(frequencies[0], -0.5));
      sum += weight * losses[0][target][y][x].item<double>();
      weights += weight;
    }
  }
  CHECK(ams::segmentation_loss(logits, targets, {}, false, 0.5).item<double>() ==
        doctest::Approx(sum / weights).epsilon(1e-5));
  CHECK_THROWS_AS(ams::segmentation_task(small_spec(), 255, false, 1.5), ams::Error);
  CHECK_THROWS_AS(ams::segmentation_task(small_spec(), 255, false, -0.1), ams::Error);
}

TEST_CASE("the score of outputs is their mIoU over the classes that are there") {
  torch::manual_seed(6);
  const torch::Tensor logits = torch::randn({2, 4, 6, 7});
  torch::Tensor targets = torch::randint(0, 3, {2, 6, 7}, torch::kLong);  // no class 3
  targets[1][2] = -100;
  const torch::Tensor predicted = logits.argmax(1);
  double sum = 0;
  for (int c = 0; c < 3; ++c) {
    const torch::Tensor counts = targets != -100;
    const double hits = ((predicted == c) & (targets == c)).sum().item<double>();
    const double either = (((predicted == c) | (targets == c)) & counts).sum().item<double>();
    sum += hits / either;
  }
  CHECK(ams::segmentation_score(logits, targets, {}, false).value() ==
        doctest::Approx(sum / 3).epsilon(1e-9));
  CHECK_FALSE(ams::segmentation_score(logits, torch::full_like(targets, -100), {}, false));
}

TEST_CASE("a phase starts from the state that is best on the newest labels") {
  const auto spec = small_spec();
  const auto trainer = ams::make_segmentation_trainer(spec);
  Job learned = make_job(spec, 30);
  learned.adam_options.learning_rate = 3e-3;
  const std::vector<float> good = trainer->train(learned).parameters;

  Job job = make_job(spec, 1);
  const auto held = std::make_shared<const ams::ModelState>(job.manifest, job.parameters);
  const auto bad = std::make_shared<const std::vector<float>>(good.size(), 0.0F);
  const auto best = std::make_shared<const std::vector<float>>(good);
  job.trial = ams::StartTrial{held, {{bad, 0.03}, {best, 0.03}}, job.mini_batches[0]};
  const ams::TrainingResult result = trainer->train(job);
  REQUIRE(result.scores.has_value());
  CHECK(result.scores->start == 2);
  CHECK(result.scores->others[1] > result.scores->held);

  Job from_best = make_job(spec, 1);
  from_best.parameters = good;
  CHECK(trainer->train(from_best).parameters == result.parameters);

  for (auto& other : job.trial->others) other.margin = 1;  // nothing is so much better
  const ams::TrainingResult kept = trainer->train(job);
  CHECK(kept.scores->start == 0);
  CHECK(kept.parameters == trainer->train(make_job(spec, 1)).parameters);

  job.trial->others.push_back({std::make_shared<const std::vector<float>>(3, 0.0F), 0});
  CHECK_THROWS_AS(trainer->train(job), ams::Error);
}
