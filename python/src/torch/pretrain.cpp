#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <filesystem>
#include <optional>
#include <string>

#include "ams/torch/pretrain.hpp"
#include "paths.hpp"
#include "torch/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

TensorType parse_weights_type(const std::string& name) {
  if (name == "f16") return TensorType::f16;
  if (name == "f32") return TensorType::f32;
  throw_invalid("stored_as is '" + name + "'; allowed are f16 and f32");
}

LearningRateSchedule parse_schedule(const std::string& name) {
  if (name == "constant") return LearningRateSchedule::constant;
  if (name == "cosine") return LearningRateSchedule::cosine;
  if (name == "polynomial") return LearningRateSchedule::polynomial;
  throw_invalid("schedule is '" + name + "'; allowed are constant, cosine and polynomial");
}

}  // namespace

void bind_pretrain(py::module_& m) {
  py::class_<PretrainResult>(m, "PretrainResult")
      .def_readonly("steps", &PretrainResult::steps, "Made.")
      .def_readonly("loss", &PretrainResult::loss, "Mean over the last tenth of the steps.")
      .def_readonly("seconds", &PretrainResult::seconds, "Wall time.");
  m.def(
      "pretrain",
      [](const StudentSpec& spec, const py::object& dataset, const std::filesystem::path& output,
         int steps, int batch_size, double learning_rate, int warmup_steps, double weight_decay,
         const std::string& schedule, bool horizontal_flip, double color_jitter, int ignore_id,
         bool bfloat16, std::uint64_t seed, const std::string& stored_as,
         const std::optional<py::function>& on_step) {
        PretrainOptions options;
        options.steps = steps;
        options.batch_size = batch_size;
        options.learning_rate = learning_rate;
        options.warmup_steps = warmup_steps;
        options.weight_decay = weight_decay;
        options.schedule = parse_schedule(schedule);
        options.horizontal_flip = horizontal_flip;
        options.color_jitter = color_jitter;
        options.ignore_id = ignore_id;
        options.bfloat16 = bfloat16;
        options.seed = seed;
        options.progress = [&on_step](int step, double loss) {
          const py::gil_scoped_acquire gil;
          if (PyErr_CheckSignals() != 0) throw py::error_already_set();
          if (!on_step) return true;
          const py::object answer = (*on_step)(step, loss);
          return answer.is_none() || answer.cast<bool>();
        };
        LabelledDataset samples;
        samples.size = py::len(dataset);
        samples.sample = [&dataset](std::size_t index) -> LabelledFramePtr {
          const py::gil_scoped_acquire gil;
          const py::object sample = dataset[py::int_(index)];
          return to_labelled_frame(sample, "sample " + std::to_string(index) + " of the dataset");
        };
        const TensorType type = parse_weights_type(stored_as);
        const py::gil_scoped_release release;
        return pretrain(spec, samples, options, output.string(), type);
      },
      "spec"_a, "dataset"_a, "output"_a, py::kw_only(), "steps"_a = PretrainOptions{}.steps,
      "batch_size"_a = PretrainOptions{}.batch_size,
      "learning_rate"_a = PretrainOptions{}.learning_rate,
      "warmup_steps"_a = PretrainOptions{}.warmup_steps,
      "weight_decay"_a = PretrainOptions{}.weight_decay, "schedule"_a = "cosine",
      "horizontal_flip"_a = true, "color_jitter"_a = PretrainOptions{}.color_jitter,
      "ignore_id"_a = PretrainOptions{}.ignore_id, "bfloat16"_a = false,
      "seed"_a = PretrainOptions{}.seed, "stored_as"_a = "f16", "on_step"_a = py::none());
}

}  // namespace ams::python
