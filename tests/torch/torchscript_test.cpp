#include <torch/script.h>
#include <torch/torch.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "ams/core/error.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/torch/student.hpp"
#include "fixtures.hpp"
#include "scene.hpp"

namespace {

ams::StudentSpec spec_of(const std::string& path) {
  ams::StudentSpec spec;
  spec.network = path;
  spec.num_classes = 4;
  spec.input_width = 64;
  spec.input_height = 32;
  return spec;
}

ams::TrainingJob job_of(const ams::StudentValues& start, std::size_t iterations) {
  const std::size_t n = start.manifest->dimension();
  ams::AdamOptions options;
  options.learning_rate = 1e-2;
  ams::TrainingJob job{start.manifest,
                       start.values,
                       ams::AdamState(n),
                       options,
                       {},
                       ams::CoordinateSet::all(n),
                       std::vector<bool>(start.manifest->tensors().size(), true),
                       {}};
  for (std::size_t k = 0; k < iterations; ++k) {
    job.mini_batches.push_back(
        {ams::testing::make_scene(2 * k), ams::testing::make_scene(2 * k + 1)});
  }
  return job;
}

void check_refused(const ams::StudentSpec& spec, ams::ErrorCode code, const std::string& reason) {
  try {
    ams::open_student(spec);
    FAIL("accepted: " << spec.network);
  } catch (const ams::Error& error) {
    CHECK(error.code() == code);
    CHECK_MESSAGE(std::string(error.what()).find(reason) != std::string::npos, error.what());
  }
}

void check_refused(const std::string& path, ams::ErrorCode code, const std::string& reason) {
  check_refused(spec_of(path), code, reason);
}

}  // namespace

TEST_CASE("a TorchScript student trains as the same network in C++") {
  for (const char* kind : {"script", "trace"}) {
    CAPTURE(kind);
    const std::string path = ams::testing::fixture(kind);
    if (path.empty()) return;
    const ams::StudentValues start = ams::load_student_values(spec_of(path));
    CHECK(start.manifest->tensors()[0].name == "0.weight");
    std::string roles;
    for (const auto& tensor : start.manifest->tensors()) {
      roles += "wnh"[static_cast<int>(tensor.role)];
    }
    CHECK(roles == "wwnnhh");

    const auto module = std::make_shared<torch::nn::SequentialImpl>(
        torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2).padding(1)),
        torch::nn::BatchNorm2d(8), torch::nn::ReLU(), torch::nn::Conv2d(8, 4, 1));
    ams::StudentSpec spec = spec_of("mine");
    const ams::Student mine{
        ams::wrap_module(module,
                         [m = module.get()](const torch::Tensor& x) { return m->forward(x); }),
        spec};
    const auto values = ams::student_values(mine);
    REQUIRE(values.manifest->digest() == start.manifest->digest());

    const auto expected = ams::make_segmentation_trainer(mine)->train(job_of(start, 12));
    const auto trainer = ams::make_segmentation_trainer(spec_of(path));
    const auto result = trainer->train(job_of(start, 12));
    CHECK(result.losses.back() < result.losses.front());
    for (std::size_t i = 0; i < expected.parameters.size(); ++i) {
      REQUIRE(result.parameters[i] == doctest::Approx(expected.parameters[i]).epsilon(1e-2));
    }

    // Only the last layer, then everything again.
    auto last = job_of(start, 3);
    last.required_gradients = {false, false, false, false, true, true};
    const auto moments = trainer->train(std::move(last)).adam.second_moment;
    CHECK(moments.front() == 0);
    CHECK(moments.back() > 0);
    CHECK(trainer->train(job_of(start, 12)).parameters == result.parameters);

    const auto predictor = ams::make_predictor(spec_of(path));
    const auto before = ams::testing::predict(*predictor, ams::testing::make_scene(50)->frame).ids;
    predictor->load(result.parameters);
    CHECK(ams::testing::predict(*predictor, ams::testing::make_scene(50)->frame).ids != before);
  }
}

TEST_CASE("a network that views feature maps is trained, predicts and labels") {
  const std::string path = ams::testing::fixture("viewing");
  if (path.empty()) return;
  const torch::Tensor pictures =
      torch::zeros({2, 3, 32, 64}).contiguous(at::MemoryFormat::ChannelsLast);
  CHECK_THROWS(ams::open_torchscript(path)->forward(pictures));

  const ams::StudentValues start = ams::load_student_values(spec_of(path));
  for (const bool bfloat16 : {false, true}) {
    const auto trainer = ams::make_segmentation_trainer(spec_of(path), {.bfloat16 = bfloat16});
    const auto result = trainer->train(job_of(start, 12));
    CHECK(result.losses.back() < result.losses.front());
    const auto predictor = ams::make_predictor(spec_of(path), {.bfloat16 = bfloat16});
    predictor->load(result.parameters);
    CHECK(ams::testing::predict(*predictor, ams::testing::make_scene(1)->frame).ids.size() ==
          64 * 32);
  }
  ams::NetworkTeacherSpec teacher;
  teacher.network = path;
  teacher.num_classes = 4;
  teacher.input_width = 64;
  teacher.input_height = 32;
  CHECK(ams::testing::label(*ams::make_network_teacher(teacher), ams::testing::make_scene(1)->frame)
            .ids.size() == 32 * 16);
}

TEST_CASE("one output channel is the logit of class 1 of two classes") {
  const std::string path = ams::testing::fixture("binary");
  if (path.empty()) return;
  ams::StudentSpec spec = spec_of(path);
  spec.num_classes = 2;
  const auto frame = ams::testing::make_scene(7, 64, 32)->frame;
  const auto network = ams::open_torchscript(path);
  network->train(false);
  const torch::Tensor logit =
      network->forward(ams::normalized_batch({ams::scaled_rgb(frame, 64, 32)}, {}));
  const auto expected = [](const torch::Tensor& of) {
    const torch::Tensor ids = (of > 0).to(torch::kByte).contiguous();
    const auto* first = ids.data_ptr<std::uint8_t>();
    return std::vector<std::uint8_t>(first, first + ids.numel());
  };
  CHECK(ams::testing::predict(*ams::make_predictor(spec), frame).ids ==
        expected(ams::resize_logits(logit, 32, 64, false)));
  ams::NetworkTeacherSpec teacher;
  teacher.network = path;
  teacher.num_classes = 2;
  teacher.input_width = 64;
  teacher.input_height = 32;
  CHECK(ams::testing::label(*ams::make_network_teacher(teacher), frame).ids == expected(logit));

  const ams::StudentValues start = ams::load_student_values(spec);
  const auto losses = ams::make_segmentation_trainer(spec)->train(job_of(start, 30)).losses;
  CHECK(losses.front() > 0.1);
  CHECK(losses.back() < losses.front());

  check_refused(path, ams::ErrorCode::invalid_argument, "one output channel is for 2 classes");
  spec.num_classes = 1;
  check_refused(spec, ams::ErrorCode::invalid_argument, "allowed are 2 to 254");
  teacher.num_classes = 1;
  CHECK_THROWS_WITH_AS(ams::make_network_teacher(teacher), doctest::Contains("2 classes"),
                       ams::Error);
  spec.network = ams::testing::fixture("sigmoid");
  spec.num_classes = 2;
  check_refused(spec, ams::ErrorCode::invalid_argument, "leave out the sigmoid");
}

TEST_CASE("outputs in a dictionary, a tuple or a list are found") {
  for (const char* kind : {"dictionary", "pair", "listed", "logits"}) {
    const std::string path = ams::testing::fixture(kind);
    if (path.empty()) return;
    const auto predictor = ams::make_predictor(spec_of(path));
    CHECK(ams::testing::predict(*predictor, ams::testing::make_scene(1)->frame).ids.size() ==
          64 * 32);
  }
}

TEST_CASE("statistics are trained where the module has a training mode, and only there") {
  for (const char* kind : {"script", "trace", "eval_only"}) {
    const std::string path = ams::testing::fixture(kind);
    if (path.empty()) return;
    ams::StudentSpec spec = spec_of(path);
    const auto values = ams::load_student_values(spec).values;
    spec.train_batch_norm_statistics = true;
    if (kind == std::string("script")) {
      const auto all = ams::load_student_values(spec).values;  // opening left them as they were
      CHECK(std::equal(values.begin(), values.end(), all.begin()));
      CHECK(std::count(all.begin() + static_cast<std::ptrdiff_t>(values.size()), all.end(), 0.0F) ==
            8);
    } else {
      check_refused(spec, ams::ErrorCode::invalid_argument,
                    kind == std::string("trace") ? "stay as they are in training mode"
                                                 : "there are no targets");
    }
  }
}

TEST_CASE("modules that cannot be trained are refused with the reason") {
  using Code = ams::ErrorCode;
  if (ams::testing::fixture("frozen").empty()) return;
  check_refused(ams::testing::fixture("frozen"), Code::invalid_argument, "no trainable parameters");
  check_refused(ams::testing::fixture("untrainable"), Code::invalid_argument,
                "no trainable parameters");
  check_refused(ams::testing::fixture("mean"), Code::invalid_argument,
                "needed are float logits [2, 4, 32, 64]");
  check_refused(ams::testing::fixture("text"), Code::invalid_argument, "returns String");
  check_refused(ams::testing::fixture("double"), Code::invalid_argument, "fails on");
  check_refused(ams::testing::fixture("one_picture"), Code::invalid_argument,
                "fails on a mini-batch of 2 pictures");
  check_refused(ams::testing::fixture("not_a_number"), Code::invalid_argument, "gives NaN");
  ams::StudentSpec spec = spec_of(ams::testing::fixture("script"));
  spec.num_classes = 7;
  CHECK_THROWS_AS(ams::open_student(spec), ams::Error);
  check_refused(AMS_TEST_FIXTURES, Code::malformed_data, "it is a text file");
}
