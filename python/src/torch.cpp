// The layer ams::torch for Python: ams.torch, which imports torch before this module.

#include <torch/torch.h>

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <torch/csrc/Device.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ams/torch/network_predictor.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/torch/open_device.hpp"
#include "ams/torch/open_network.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/pretrain.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/segmentation_task.hpp"
#include "ams/torch/student.hpp"
#include "ams/torch/tensor_adam.hpp"
#include "arrays.hpp"
#include "errors.hpp"
#include "option_fields.hpp"
#include "paths.hpp"
#include "session_types.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;
using Triple = std::array<double, 3>;

/// Between two steps of long work without the GIL: Ctrl-C ends it.
void check_signals() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

std::string type_name(const py::handle& object) {
  return py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>();
}

/// Decimal numbers that floats stand for, as people write them.
Triple to_triple(const std::array<float, 3>& values) {
  Triple decimals;
  for (std::size_t c = 0; c < 3; ++c) decimals[c] = std::round(values[c] * 1e6) / 1e6;
  return decimals;
}

Normalization to_normalization(const Triple& mean, const Triple& standard_deviation) {
  Normalization normalization;
  for (std::size_t c = 0; c < 3; ++c) {
    normalization.mean[c] = static_cast<float>(mean[c]);
    normalization.standard_deviation[c] = static_cast<float>(standard_deviation[c]);
  }
  return normalization;
}

/// A torch.device, or its name. Throws as open_device() does.
at::Device to_device(const py::object& device) {
  if (!py::isinstance<py::str>(device) && !THPDevice_Check(device.ptr())) {
    throw_invalid("a device is a torch.device or its name; found " +
                  py::repr(device).cast<std::string>().substr(0, 80));
  }
  return open_device(py::str(device));
}

// ---- Tensors of networks

NamedTensors to_pairs(const std::vector<NetworkTensor>& tensors) {
  NamedTensors pairs;
  for (const NetworkTensor& item : tensors) pairs.emplace_back(item.name, item.tensor);
  return pairs;
}

template <class Keep>
std::vector<NetworkTensor> collect_tensors(const py::object& named, Keep keep) {
  std::vector<NetworkTensor> tensors;
  for (const py::handle item : named) {
    std::pair<std::string, at::Tensor> pair;
    try {
      pair = item.cast<std::pair<std::string, at::Tensor>>();
    } catch (const py::cast_error&) {
      throw_invalid("tensors are given as (name, tensor) pairs; found " +
                    py::repr(item).cast<std::string>().substr(0, 80));
    }
    NetworkTensor tensor{std::move(pair.first), std::move(pair.second)};
    if (keep(tensor)) tensors.push_back(std::move(tensor));
  }
  return tensors;
}

/// As the networks of the library have them: what find_tensor_roles() of tensor_roles.py says.
void assign_roles(std::vector<NetworkTensor>& tensors, const py::object& module) {
  const py::dict roles =
      py::module_::import("ams.torch.tensor_roles").attr("find_tensor_roles")(module);
  for (NetworkTensor& item : tensors) {
    if (roles.contains(item.name)) read_argument(item.role, "a role", roles[py::str(item.name)]);
  }
}

void assign_roles(std::vector<NetworkTensor>& tensors, const RolePatterns& patterns) {
  if (patterns.normalization.empty() && patterns.head.empty()) return;
  std::vector<TensorSpec> specs;
  for (const NetworkTensor& item : tensors)
    specs.push_back({item.name, item.tensor.sizes().vec(), TensorKind::parameter, item.role});
  const Manifest manifest = Manifest(std::move(specs)).with_roles(patterns);
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].role = manifest.tensors()[i].role;
}

std::unique_ptr<ParameterVector> make_parameter_vector(const py::object& source,
                                                       bool with_statistics,
                                                       const RolePatterns& patterns) {
  const auto trainable = [](const NetworkTensor& item) { return item.tensor.requires_grad(); };
  std::vector<NetworkTensor> parameters;
  std::vector<NetworkTensor> statistics;
  if (py::isinstance<Network>(source)) {
    parameters = source.cast<const Network&>().parameters();
    std::erase_if(parameters, std::not_fn(trainable));
  } else if (py::hasattr(source, "named_parameters")) {
    parameters = collect_tensors(source.attr("named_parameters")(), trainable);
    if (py::hasattr(source, "named_modules")) assign_roles(parameters, source);
  } else {
    if (!py::isinstance<py::iterable>(source)) {
      throw_invalid("parameters are those of a module, or (name, tensor) pairs; found " +
                    py::repr(source).cast<std::string>().substr(0, 80));
    }
    if (with_statistics) throw_invalid("with_statistics needs a module, not only its parameters");
    parameters = collect_tensors(source, trainable);
  }
  assign_roles(parameters, patterns);
  if (with_statistics)
    statistics = collect_tensors(source.attr("named_buffers")(), is_batch_norm_statistic);
  return std::make_unique<ParameterVector>(std::move(parameters), std::move(statistics));
}

/// A vector of the host or of a device.
void load_values(ParameterVector& vector, const py::object& values) {
  if (!THPVariable_Check(values.ptr())) {
    vector.load(ConstFloats(values, "values").span());
    return;
  }
  const auto tensor = values.cast<at::Tensor>();
  if (tensor.scalar_type() != at::kFloat || tensor.sizes() != vector.values().sizes()) {
    throw_invalid("values are " + tensor.toString() + " of " + std::to_string(tensor.numel()) +
                  " values; needed are float32 [" + std::to_string(vector.values().numel()) + "]");
  }
  const at::NoGradGuard no_gradients;
  at::Tensor(vector.values()).copy_(tensor);
}

// ---- Training

/// A read-only view of bytes that belong to `owner`.
py::array byte_view(const std::vector<std::uint8_t>& bytes, std::vector<py::ssize_t> shape,
                    const py::object& owner) {
  py::array view = py::array_t<std::uint8_t>(std::move(shape), bytes.data(), owner);
  view.attr("setflags")(py::arg("write") = false);
  return view;
}

AdamOptions adam_options(double learning_rate, double beta1, double beta2, double epsilon,
                         const std::string& epsilon_placement) {
  return {learning_rate,
          beta1,
          beta2,
          epsilon,
          parse_word<EpsilonPlacement>("epsilon_placement", epsilon_placement),
          {}};
}

std::shared_ptr<LabelledFrame> to_labelled_frame(const py::handle& sample,
                                                 const std::string& where) {
  if (!py::isinstance<LabelledFrame>(sample)) {
    throw_invalid(where + " is a " + type_name(sample) + "; allowed are LabelledFrame objects");
  }
  return sample.cast<std::shared_ptr<LabelledFrame>>();
}

/// As make_segmentation_trainer(), and Ctrl-C between two steps ends train().
class SegmentationTrainer {
 public:
  SegmentationTrainer(const StudentSpec& spec, const SegmentationTrainerOptions& options)
      : trainer_(make(spec, options)) {}

  const std::shared_ptr<const Manifest>& manifest() const { return trainer_.manifest(); }

  TrainingResult train(const PythonTrainingJob& job) {
    TrainingJob<LabelledFramePtr> own{
        job.manifest,    job.parameters,         job.adam, job.adam_options,
        job.coordinates, job.required_gradients, {}};
    for (const auto& mini_batch : job.mini_batches) {
      auto& samples = own.mini_batches.emplace_back();
      for (const py::object& sample : mini_batch) {
        samples.push_back(to_labelled_frame(sample, "a sample of the training job"));
      }
    }
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    return trainer_.train(std::move(own));
  }

 private:
  static NetworkTrainer<LabelledFramePtr> make(const StudentSpec& spec,
                                               const SegmentationTrainerOptions& options) {
    Student student = open_student(spec);
    auto task = segmentation_task(spec, options.ignore_id, student.network->align_corners());
    task.collate = [collate = std::move(task.collate)](const auto& samples) {
      check_signals();
      return collate(samples);
    };
    return {std::move(student.network), std::move(task),
            NetworkTrainerOptions{spec.train_batch_norm_statistics, options.bfloat16,
                                  options.device, options.cache_bytes}};
  }

  NetworkTrainer<LabelledFramePtr> trainer_;
  std::mutex mutex_;
};

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

// ---- Inference

/// One network whose calls from several threads wait for each other, with the GIL released.
class PythonPredictor {
 public:
  PythonPredictor(const StudentSpec& spec, bool bfloat16)
      : predictor_(make_predictor(spec, {bfloat16})) {}
  const std::shared_ptr<const Manifest>& manifest() const { return predictor_->manifest(); }
  void load(const py::object& object) {
    const ConstFloats values(object, "values");
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    predictor_->load(values.span());
  }
  LabelMap predict(const Frame& frame) {
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    return predictor_->predict(frame);
  }

 private:
  std::unique_ptr<Predictor> predictor_;
  std::mutex mutex_;
};

class PythonTeacher {
 public:
  explicit PythonTeacher(const NetworkTeacherSpec& spec) : teacher_(make_network_teacher(spec)) {}
  LabelMap label(const Frame& frame) {
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    return teacher_->label(frame);
  }

 private:
  std::unique_ptr<Teacher> teacher_;
  std::mutex mutex_;
};

// ---- Modules

void add_errors() {
  register_errors();
  // What libtorch itself refuses: the exception that torch raises for it.
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const c10::Error&) {
      torch::translate_exception_to_python(thrown);
    }
  });
}

void add_spec(py::module_& m) {
  py::class_<StudentSpec>(
      m, "StudentSpec",
      R"(Names a student so that a server and a device build the same one. Immutable.

network: "edanet", "deeplabv3_mobilenetv2", or the path of a TorchScript module (".pt") that maps
    float32 [N, 3, H, W] to logits [N, num_classes, h, w], h <= H and w <= W
weights: safetensors file with every tensor of the network; empty: values drawn from `seed`, or
    for a TorchScript module those in its file
num_classes: 1 to 254 outputs of the network
input_width, input_height: pixels, 32 to 4096
selected_classes: ascending class ids that loss and argmax are over (section 4.1); empty: all
mean, standard_deviation: per channel of RGB in 0 to 1; the defaults are ImageNet's
train_batch_norm_statistics: they are trained and travel in every update, else they are frozen
normalization, head: patterns of names (* and ?) of the tensors of these roles, where those that the
    types of the layers tell are not the right ones; only who trains needs them
Raises InvalidArgumentError that names the field and its range.)")
      .def(py::init([](const std::filesystem::path& network, const std::filesystem::path& weights,
                       int num_classes, int input_width, int input_height,
                       std::vector<int> selected_classes, Triple mean, Triple standard_deviation,
                       bool train_batch_norm_statistics, std::uint64_t seed,
                       std::vector<std::string> normalization, std::vector<std::string> head) {
             StudentSpec spec;
             spec.network = network.string();
             spec.weights = weights.string();
             spec.num_classes = num_classes;
             spec.input_width = input_width;
             spec.input_height = input_height;
             spec.selected_classes = std::move(selected_classes);
             spec.normalization = to_normalization(mean, standard_deviation);
             spec.train_batch_norm_statistics = train_batch_norm_statistics;
             spec.seed = seed;
             spec.roles = {std::move(normalization), std::move(head)};
             validate(spec);
             return spec;
           }),
           py::kw_only(), "network"_a = "edanet", "weights"_a = "", "num_classes"_a = 19,
           "input_width"_a = 256, "input_height"_a = 128, "selected_classes"_a = std::vector<int>{},
           "mean"_a = to_triple(Normalization{}.mean),
           "standard_deviation"_a = to_triple(Normalization{}.standard_deviation),
           "train_batch_norm_statistics"_a = false, "seed"_a = 1,
           "normalization"_a = std::vector<std::string>{}, "head"_a = std::vector<std::string>{})
      .def_readonly("network", &StudentSpec::network)
      .def_readonly("weights", &StudentSpec::weights)
      .def_readonly("num_classes", &StudentSpec::num_classes)
      .def_readonly("input_width", &StudentSpec::input_width)
      .def_readonly("input_height", &StudentSpec::input_height)
      .def_readonly("selected_classes", &StudentSpec::selected_classes)
      .def_property_readonly("mean",
                             [](const StudentSpec& s) { return to_triple(s.normalization.mean); })
      .def_property_readonly(
          "standard_deviation",
          [](const StudentSpec& s) { return to_triple(s.normalization.standard_deviation); })
      .def_readonly("train_batch_norm_statistics", &StudentSpec::train_batch_norm_statistics)
      .def_readonly("seed", &StudentSpec::seed)
      .def_property_readonly("normalization",
                             [](const StudentSpec& s) { return s.roles.normalization; })
      .def_property_readonly("head", [](const StudentSpec& s) { return s.roles.head; })
      .def("__repr__", [](const StudentSpec& s) {
        return "StudentSpec(network='" + s.network +
               "', num_classes=" + std::to_string(s.num_classes) +
               ", input_width=" + std::to_string(s.input_width) +
               ", input_height=" + std::to_string(s.input_height) + ")";
      });

  py::class_<StudentValues>(m, "StudentValues", "What server and device start from (version 0).")
      .def_property_readonly(
          "manifest",
          [](const StudentValues& s) { return std::const_pointer_cast<Manifest>(s.manifest); })
      .def_property_readonly(
          "values",
          [](const py::object& self) {
            return float_view(self.cast<const StudentValues&>().values, self, false);
          },
          "float32 [dimension], read-only.")
      .def_readonly("fingerprint", &StudentValues::fingerprint,
                    "Digest of all that must agree and is not in the parameter vector.");
  m.def("load_student_values", &load_student_values, "spec"_a,
        py::call_guard<py::gil_scoped_release>(),
        R"(The parameter vector that a student starts from, and its fingerprint.

Raises InvalidArgumentError (a network that cannot be trained, with the reason), IoError,
MalformedDataError, ManifestMismatchError (weights of another network).)");
  m.def("student_network_names", &student_network_names,
        "The names that StudentSpec.network takes besides a path.");
}

void add_network(py::module_& m) {
  py::class_<Network, std::shared_ptr<Network>>(
      m, "Network", R"(A network of libams, or of a file, as a callable on tensors, with gradients.

Parameters and buffers are the network's own tensors. Not thread-safe. What torch itself refuses
(a shape, a device) is its RuntimeError.)")
      .def(
          "__call__",
          [](Network& network, const at::Tensor& input) { return network.forward(input); },
          "input"_a, py::call_guard<py::gil_scoped_release>(),
          "float32 [N, 3, H, W] to logits [N, classes, h, w]; h and w may be smaller than H and W.")
      .def_property_readonly("align_corners", &Network::align_corners,
                             "How coarse logits are resized, as in torch's interpolate.")
      .def(
          "named_parameters", [](const Network& n) { return to_pairs(n.parameters()); },
          "(name, tensor) pairs in forward order.")
      .def(
          "named_buffers", [](const Network& n) { return to_pairs(n.buffers()); },
          "(name, tensor) pairs.")
      .def(
          "train",
          [](std::shared_ptr<Network> network, bool mode) {
            network->train(mode);
            return network;
          },
          "mode"_a = true, "Batch norm: statistics of the batch, or the moving ones.")
      .def("eval",
           [](std::shared_ptr<Network> network) {
             network->train(false);
             return network;
           })
      .def(
          "to",
          [](std::shared_ptr<Network> network, const py::object& device) {
            network->to(to_device(device));
            return network;
          },
          "device"_a);
  m.def(
      "open_network",
      [](const std::filesystem::path& network, int num_classes,
         const std::filesystem::path& weights, std::uint64_t seed) {
        return open_network(network.string(), num_classes, weights.string(), seed);
      },
      "network"_a, py::kw_only(), "num_classes"_a = 19, "weights"_a = "", "seed"_a = 1,
      py::call_guard<py::gil_scoped_release>(),
      R"(Opens any network that the programs can open.

network: "edanet", "deeplabv3_mobilenetv2", "fddwnet", or the path of a TorchScript module (".pt")
    or an AOTInductor package (".pt2", for inference alone); a file contains a program: open only
    what you trust
weights: safetensors file of a named network; empty: values drawn from `seed`
num_classes: 1 to 254 outputs of a named network
Raises InvalidArgumentError, IoError, MalformedDataError, ManifestMismatchError, UnavailableError.)");
}

void add_training(py::module_& m) {
  py::class_<ParameterVector>(
      m, "ParameterVector",
      R"(A module's trainable tensors as one flat float32 vector, on their device.

module_or_named_tensors: anything with named_parameters() (a torch.nn.Module, a Network), or
    (name, tensor) pairs; those that require a gradient are taken, a tensor under two names once
with_statistics: batch-norm moving statistics follow behind all parameters
normalization, head: patterns of names as ams.Manifest.with_roles() takes them, in place of the
    roles that the types of the module's layers tell: 'normalization' for scale and shift of batch,
    group, layer, instance and RMS norm, 'head' for the last layer in registration order that has
    parameters of its own to train and is no normalisation; pairs tell none
The tensors become views of `values`, and their `.grad` of `gradients`: move and convert the module
before. Not thread-safe. Raises InvalidArgumentError when nothing requires a gradient, or a tensor
is not dense float32 on the device of the others.)")
      .def(py::init([](const py::object& source, bool with_statistics,
                       std::vector<std::string> normalization, std::vector<std::string> head) {
             return make_parameter_vector(source, with_statistics,
                                          {std::move(normalization), std::move(head)});
           }),
           "module_or_named_tensors"_a, py::kw_only(), "with_statistics"_a = false,
           "normalization"_a = std::vector<std::string>{}, "head"_a = std::vector<std::string>{})
      .def_property_readonly(
          "manifest",
          [](const ParameterVector& v) { return std::const_pointer_cast<Manifest>(v.manifest()); },
          "The layout: names and shapes in order.")
      .def_property_readonly("values", &ParameterVector::values, "float32 tensor [dimension].")
      .def_property_readonly("gradients", &ParameterVector::gradients,
                             "float32 tensor [dimension]; zeros where none is computed.")
      .def(
          "named_tensors", [](const ParameterVector& v) { return to_pairs(v.tensors()); },
          "(name, tensor) pairs in the manifest's order.")
      .def("load", &load_values, "values"_a,
           "Takes over float32 [dimension]: a numpy array, or a tensor on any device.")
      .def(
          "copy", [](const ParameterVector& v) { return to_array(v.copy()); },
          "The values as a new numpy array, float32 [dimension].")
      .def("set_required_gradients", &ParameterVector::set_required_gradients, "flags"_a,
           "One flag a tensor of the manifest: backward() computes no gradient for the others\n"
           "(`requires_grad` is turned off). All gradients are zero then.")
      .def("zero_gradients", &ParameterVector::zero_gradients)
      .def("gather_gradients", &ParameterVector::gather_gradients,
           "Puts right what zero_grad(set_to_none=True) and others do to `.grad`: gradients in\n"
           "memory of their own become views of `gradients` again, missing ones zeros. Raises\n"
           "InvalidArgumentError when the module's values are views no more.");

  py::class_<TensorAdam>(m, "TensorAdam",
                         R"(Adam (lines 9 to 13 of Algorithm 2) on flat tensors of the CPU or a GPU.

It is told its coordinates: ams.GradientGuidedAdam chooses them, GradientGuidedAdam of this module
does both. first_moment, second_moment: float32 [dimension], copied. ranges: (begin, end,
multiplier) as ams.learning_rate_ranges() gives them. Not thread-safe. Raises
InvalidArgumentError, and UnavailableError for a device that is not there.)")
      .def(py::init([](const py::object& first_moment, const py::object& second_moment,
                       std::int64_t step_count, const py::object& device, double learning_rate,
                       double beta1, double beta2, double epsilon,
                       const std::string& epsilon_placement,
                       const std::vector<std::tuple<std::size_t, std::size_t, double>>& ranges) {
             std::vector<LearningRateRange> multipliers;
             for (const auto& [begin, end, multiplier] : ranges)
               multipliers.push_back({begin, end, multiplier});
             AdamState state;
             state.first_moment = ConstFloats(first_moment, "first_moment").copy();
             state.second_moment = ConstFloats(second_moment, "second_moment").copy();
             state.step_count = step_count;
             return TensorAdam(
                 std::move(state),
                 adam_options(learning_rate, beta1, beta2, epsilon, epsilon_placement),
                 to_device(device), TensorAdam::Arithmetic::automatic, std::move(multipliers));
           }),
           "first_moment"_a, "second_moment"_a, "step_count"_a, py::kw_only(), "device"_a = "cpu",
           "learning_rate"_a = AdamOptions{}.learning_rate, "beta1"_a = AdamOptions{}.beta1,
           "beta2"_a = AdamOptions{}.beta2, "epsilon"_a = AdamOptions{}.epsilon,
           "epsilon_placement"_a = "outside_root",
           "ranges"_a = std::vector<std::tuple<std::size_t, std::size_t, double>>{})
      .def_static(
          "of_job",
          [](const PythonTrainingJob& job, const py::object& device) {
            TensorAdam adam(job.adam, job.adam_options, to_device(device),
                            TensorAdam::Arithmetic::automatic,
                            learning_rate_ranges(*job.manifest, job.adam_options));
            adam.begin_phase(job.coordinates);
            return adam;
          },
          "job"_a, py::kw_only(), "device"_a = "cpu",
          "With a training job's moments, options and coordinates.")
      .def(
          "set_options",
          [](TensorAdam& adam, double learning_rate, double beta1, double beta2, double epsilon,
             const std::string& epsilon_placement) {
            adam.set_options(adam_options(learning_rate, beta1, beta2, epsilon, epsilon_placement));
          },
          py::kw_only(), "learning_rate"_a, "beta1"_a, "beta2"_a, "epsilon"_a,
          "epsilon_placement"_a = "outside_root", "Those of the steps to come.")
      .def_property_readonly("step_count", &TensorAdam::step_count, "i, over all phases.")
      .def("begin_phase", &TensorAdam::begin_phase, "coordinates"_a,
           "What the steps to come move; everything until the first call.")
      .def(
          "step",
          [](TensorAdam& adam, const at::Tensor& parameters, const at::Tensor& gradients) {
            adam.step(parameters, gradients);
          },
          "parameters"_a, "gradients"_a, py::call_guard<py::gil_scoped_release>(),
          "One iteration in place: contiguous float32 tensors [dimension] on the device.")
      .def("update", &TensorAdam::update, py::call_guard<py::gil_scoped_release>(),
           "u of the latest step (line 12): float32 [dimension] on the device.")
      .def(
          "state",
          [](const TensorAdam& adam) {
            AdamState state = adam.state();
            return py::dict("first_moment"_a = to_array(std::move(state.first_moment)),
                            "second_moment"_a = to_array(std::move(state.second_moment)),
                            "step_count"_a = state.step_count);
          },
          "A copy on the host, as the arguments of TensorAdam: float32 numpy arrays, and a "
          "number.");
  m.def(
      "training_result",
      [](const ParameterVector& vector, const TensorAdam& adam, std::vector<double> losses,
         double seconds) {
        return TrainingResult{vector.copy(), adam.state(), std::move(losses), seconds};
      },
      "vector"_a, "adam"_a, "losses"_a, "seconds"_a,
      "The ams.TrainingResult of a phase that these two have made.");

  py::class_<LabelledFrame, std::shared_ptr<LabelledFrame>>(
      m, "LabelledFrame",
      R"(A frame with its teacher's labels; immutable, so any thread may read it.

frame: uint8 [height, width, 3], RGB. labels: uint8 [h, w], class ids; may differ in size. Both are
copied.)")
      .def(py::init([](Frame frame, LabelMap labels, double capture_seconds) {
             frame.capture_seconds = capture_seconds;
             return std::make_shared<LabelledFrame>(std::move(frame), std::move(labels));
           }),
           "frame"_a, "labels"_a, py::kw_only(), "capture_seconds"_a = 0.0)
      .def_property_readonly(
          "frame",
          [](const py::object& self) {
            const Frame& frame = self.cast<const LabelledFrame&>().frame;
            return byte_view(frame.rgb, {frame.height, frame.width, 3}, self);
          },
          "A read-only view.")
      .def_property_readonly(
          "labels",
          [](const py::object& self) {
            const LabelMap& labels = self.cast<const LabelledFrame&>().labels;
            return byte_view(labels.ids, {labels.height, labels.width}, self);
          },
          "A read-only view.")
      .def_property_readonly("capture_seconds",
                             [](const LabelledFrame& s) { return s.frame.capture_seconds; })
      .def_property_readonly(
          "nbytes", [](const LabelledFrame& s) { return s.frame.rgb.size() + s.labels.ids.size(); },
          "For the byte limits of buffers.");

  m.def(
      "training_sample",
      [](const StudentSpec& spec, Frame frame, const LabelMap& labels, double capture_seconds) {
        frame.capture_seconds = capture_seconds;
        return std::const_pointer_cast<LabelledFrame>(training_sample(spec, frame, labels));
      },
      "spec"_a, "frame"_a, "labels"_a, py::kw_only(), "capture_seconds"_a = 0.0,
      py::call_guard<py::gil_scoped_release>(),
      R"(The LabelledFrame that a session should keep for a SegmentationTrainer of `spec`.

frame: uint8 [height, width, 3], RGB. labels: uint8 [h, w]. Both are scaled to the student's input
size: training gives the very same result from less memory.)");

  py::class_<SegmentationTrainer>(
      m, "SegmentationTrainer",
      R"(Trains segmentation students (Algorithm 2); samples are LabelledFrame objects.

Frames are scaled to the student's input size (area average), labels by nearest neighbour; softmax
cross-entropy over the selected classes, averaged over the pixels that have one and are not
`ignore_id`. A mini-batch without such a pixel makes no step and counts as loss 0. Batch norm is
frozen unless spec.train_batch_norm_statistics. Only the gradients that a job requires are computed.
bfloat16: matrix products and convolutions, on hardware that has it. device: "cpu", "cuda", ...
cache_bytes: scaled samples are kept up to this size.
Raises as load_student_values(), and UnavailableError for a device that is not there.)")
      .def(py::init([](const StudentSpec& spec, bool bfloat16, const py::object& device,
                       int ignore_id, std::size_t cache_bytes) {
             SegmentationTrainerOptions options;
             options.ignore_id = ignore_id;
             options.bfloat16 = bfloat16;
             options.device = py::str(device).cast<std::string>();
             options.cache_bytes = cache_bytes;
             const py::gil_scoped_release release;
             return std::make_unique<SegmentationTrainer>(spec, options);
           }),
           "spec"_a, py::kw_only(), "bfloat16"_a = false, "device"_a = "cpu",
           "ignore_id"_a = int{LabelMap::default_ignore_id},
           "cache_bytes"_a = SegmentationTrainerOptions{}.cache_bytes)
      .def_property_readonly("manifest",
                             [](const SegmentationTrainer& t) {
                               return std::const_pointer_cast<Manifest>(t.manifest());
                             })
      .def("train", &SegmentationTrainer::train, "job"_a,
           R"(Runs one training phase, and gives its ams.TrainingResult.

The GIL is released; calls from several threads wait for each other. Ctrl-C ends it between two
steps; the trainer remains usable. Raises ManifestMismatchError for another network's job and
InvalidArgumentError for samples, sizes or losses that cannot be.)");

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

void add_inference(py::module_& m) {
  py::class_<PythonPredictor>(m, "NetworkPredictor",
                              R"(One copy of the student for a device: frame in, labels out.

Loaded with load_student_values(spec). Calls from several threads wait for each other, with the
GIL released. bfloat16: faster on CPUs that have it; a few labels at borders change. Raises as
load_student_values().)")
      .def(py::init<const StudentSpec&, bool>(), "spec"_a, py::kw_only(), "bfloat16"_a = false,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly(
          "manifest",
          [](const PythonPredictor& p) { return std::const_pointer_cast<Manifest>(p.manifest()); })
      .def("load", &PythonPredictor::load, "values"_a,
           "Takes over float32 [dimension], a numpy array.")
      .def("predict", &PythonPredictor::predict, "frame"_a,
           "uint8 [H, W, 3] of any size to class ids, uint8 [input_height, input_width].");

  py::class_<PythonTeacher>(m, "NetworkTeacher",
                            R"(A network that labels frames by its argmax, as ams-server runs it.

network: "fddwnet", "edanet" or "deeplabv3_mobilenetv2" with a weights file, or the path of a
    TorchScript module (".pt") or an AOTInductor package (".pt2")
num_classes: 1 to 254, checked against what the network gives
input_width, input_height: pixels, 32 to 4096; frames are scaled to it
selected_classes: ascending ids; the argmax is over these alone; empty: all
device: "cpu", "cuda", ...; a package runs where it was compiled for
Opening labels one blank frame. Calls from several threads wait for each other, with the GIL
released. Raises InvalidArgumentError, IoError, MalformedDataError, ManifestMismatchError,
UnavailableError.)")
      .def(py::init([](const std::filesystem::path& network, const std::filesystem::path& weights,
                       int num_classes, int input_width, int input_height,
                       std::vector<int> selected_classes, Triple mean, Triple standard_deviation,
                       const py::object& device) {
             NetworkTeacherSpec spec;
             spec.network = network.string();
             spec.weights = weights.string();
             spec.num_classes = num_classes;
             spec.input_width = input_width;
             spec.input_height = input_height;
             spec.selected_classes = std::move(selected_classes);
             spec.normalization = to_normalization(mean, standard_deviation);
             spec.device = py::str(device).cast<std::string>();
             const py::gil_scoped_release release;
             return std::make_unique<PythonTeacher>(spec);
           }),
           "network"_a, py::kw_only(), "weights"_a = "", "num_classes"_a = 19,
           "input_width"_a = NetworkTeacherSpec{}.input_width,
           "input_height"_a = NetworkTeacherSpec{}.input_height,
           "selected_classes"_a = std::vector<int>{}, "mean"_a = to_triple(Normalization{}.mean),
           "standard_deviation"_a = to_triple(Normalization{}.standard_deviation),
           "device"_a = "cpu")
      .def("label", &PythonTeacher::label, "frame"_a,
           "uint8 [H, W, 3] of any size to class ids, uint8 in the size of the network's output.");
}

void add_runtime(py::module_& m) {
  m.def("set_compute_threads", &set_compute_threads, "threads"_a,
        "Threads that one network operation may use, 1 or more, as torch.set_num_threads().");
  m.def("compute_threads", &compute_threads);
  m.def("torch_version", &torch_version, "Version of torch that this module was built with.");
}

}  // namespace
}  // namespace ams::python

PYBIND11_MODULE(_torch, m) {
  py::module_::import("ams._core");  // registers the types that this module takes and gives
  ams::python::add_errors();
  ams::python::add_spec(m);
  ams::python::add_network(m);
  ams::python::add_training(m);
  ams::python::add_inference(m);
  ams::python::add_runtime(m);
}
