#include "ams/torch/student.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/torch/deeplabv3_mobilenetv2.hpp"
#include "ams/torch/edanet.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "adapt_network.hpp"
#include "file_kind.hpp"
#include "network_names.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

void require_range(const char* field, int value, int least, int most) {
  if (value < least || value > most) {
    refuse(std::string(field) + " is " + std::to_string(value) + "; allowed are " +
           std::to_string(least) + " to " + std::to_string(most));
  }
}

Digest file_digest(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  return byte_digest(std::as_bytes(std::span(bytes)));
}

/// All that is not in the parameter vector, and the manifest.
Digest fingerprint(const Student& student, const Manifest& manifest) {
  Digest digest = manifest.digest();
  const auto add = [&digest](std::uint64_t value) { digest = mix64(digest ^ value); };
  const StudentSpec& spec = student.spec;
  if (is_torchscript_path(spec.network)) {
    add(file_digest(spec.network));
  } else {
    add(byte_digest(std::as_bytes(std::span(spec.network))));
  }
  for (const int value : {spec.num_classes, spec.input_width, spec.input_height}) {
    add(static_cast<std::uint64_t>(value));
  }
  for (const int id : spec.selected_classes) add(static_cast<std::uint64_t>(id));
  for (std::size_t c = 0; c < 3; ++c) {
    add(std::bit_cast<std::uint32_t>(spec.normalization.mean[c]));
    add(std::bit_cast<std::uint32_t>(spec.normalization.standard_deviation[c]));
  }
  std::vector<NetworkTensor> frozen;
  for (NetworkTensor& parameter : student.network->parameters()) {
    if (!parameter.tensor.requires_grad()) frozen.push_back(std::move(parameter));
  }
  for (NetworkTensor& buffer : student.network->buffers()) {
    const bool counter = buffer.name.ends_with("num_batches_tracked");
    const bool sent = spec.train_batch_norm_statistics && is_batch_norm_statistic(buffer);
    if (!counter && !sent) frozen.push_back(std::move(buffer));
  }
  add(tensors_digest(frozen));
  return digest;
}

/// Puts the buffers of a network back when it goes.
class KeptBuffers {
 public:
  explicit KeptBuffers(const Network& network) {
    for (const NetworkTensor& buffer : network.buffers()) {
      buffers_.emplace_back(buffer, buffer.tensor.detach().clone());
    }
  }
  ~KeptBuffers() {
    const torch::NoGradGuard no_gradients;
    for (auto& [buffer, before] : buffers_) buffer.tensor.copy_(before);
  }
  KeptBuffers(const KeptBuffers&) = delete;
  KeptBuffers& operator=(const KeptBuffers&) = delete;

  bool has_statistics() const { return any_statistic([](auto&, auto&) { return true; }); }
  bool statistics_moved() const {
    return any_statistic([](auto& now, auto& before) { return !torch::equal(now, before); });
  }

 private:
  template <class Predicate>
  bool any_statistic(Predicate holds) const {
    return std::any_of(buffers_.begin(), buffers_.end(), [&](const auto& item) {
      return is_batch_norm_statistic(item.first) && holds(item.first.tensor, item.second);
    });
  }

  std::vector<std::pair<NetworkTensor, torch::Tensor>> buffers_;
};

/// Training the statistics means to run the network in training mode, where it may fail, or keep
/// them as they are.
void check_training_mode(const Student& student, NetworkUse use) {
  const KeptBuffers before(*student.network);
  use.least_pictures = use.most_pictures;
  student.network->train(true);
  try {
    adapt_network(student.network, use);
  } catch (const Error& error) {
    throw Error(error.code(),
                std::string("in training mode, for train_batch_norm_statistics: ") + error.what());
  }
  student.network->train(false);
  if (before.has_statistics() && !before.statistics_moved()) {
    refuse("the batch-norm statistics of the network '" + use.name +
           "' stay as they are in training mode (a trace does, for good); leave out "
           "train_batch_norm_statistics, or script the module");
  }
}

}  // namespace

void validate_classes(const std::vector<int>& selected, int num_classes) {
  int previous = -1;
  for (const int id : selected) {
    if (id <= previous || id >= num_classes) {
      refuse("selected_classes must be ascending class ids from 0 to " +
             std::to_string(num_classes - 1) + "; found " + std::to_string(id));
    }
    previous = id;
  }
}

void validate_input(int num_classes, int width, int height, const Normalization& normalization) {
  if (num_classes == 1) {
    refuse(
        "num_classes is 1; allowed are 2 to 254 (one output channel tells 2 classes apart: its "
        "logit is that of class 1, and all else is class 0)");
  }
  require_range("num_classes", num_classes, 2, 254);
  require_range("input_width", width, 32, 4096);
  require_range("input_height", height, 32, 4096);
  for (const float deviation : normalization.standard_deviation) {
    if (!(deviation > 0)) refuse("normalization: each standard deviation must be above 0");
  }
}

const std::vector<std::string>& student_network_names() {
  static const std::vector<std::string> names{"edanet", "deeplabv3_mobilenetv2"};
  return names;
}

void validate(const StudentSpec& spec) {
  validate_input(spec.num_classes, spec.input_width, spec.input_height, spec.normalization);
  validate_classes(spec.selected_classes, spec.num_classes);
  if (spec.selected_classes.size() == 1) {
    refuse("selected_classes has one class; a student tells at least two apart");
  }
}

torch::Tensor Student::forward(const torch::Tensor& input) const {
  return resize_logits(network->forward(input), spec.input_height, spec.input_width,
                       network->align_corners());
}

std::shared_ptr<Network> make_named_network(const std::string& name, int num_classes) {
  if (name == "edanet") return make_edanet(num_classes);
  if (name == "deeplabv3_mobilenetv2") return make_deeplabv3_mobilenetv2(num_classes);
  return nullptr;
}

Student open_student(const StudentSpec& spec) {
  validate(spec);
  Student student{nullptr, spec};
  const bool script = is_torchscript_path(spec.network);
  student.network =
      script ? open_torchscript(spec.network) : make_named_network(spec.network, spec.num_classes);
  if (student.network == nullptr) {
    require_no_other_network(spec.network);
    std::string allowed;
    for (const std::string& name : student_network_names()) allowed += name + ", ";
    refuse("there is no student '" + spec.network + "'; allowed are " + allowed +
           "and the path of a TorchScript module that ends in .pt");
  }
  if (!spec.weights.empty()) {
    load_weights(*student.network, spec.weights);
  } else if (!script) {
    initialize_tensors(*student.network, spec.seed);
  }
  check_student(student);
  return student;
}

void check_student(Student& student, torch::Device device) {
  const StudentSpec& spec = student.spec;
  bool trainable = false;
  for (const NetworkTensor& parameter : student.network->parameters()) {
    trainable |= parameter.tensor.requires_grad();
  }
  if (!trainable) {
    refuse(
        "the network '" + spec.network +
        "' has no trainable parameters: it was frozen (torch.jit.freeze), optimised for inference, "
        "or saved with requires_grad off; save it with torch.jit.script(model) as it is before "
        "that");
  }
  // A probe in training mode would move the batch-norm statistics of a module that the caller made.
  student.network->train(false);
  student.network->to(device);
  NetworkUse use{spec.network, spec.num_classes, spec.input_width, spec.input_height};
  use.most_pictures = 2;
  use.device = device;
  student.network = adapt_network(std::move(student.network), use);
  if (spec.train_batch_norm_statistics) check_training_mode(student, use);
}

void require_no_other_network(const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::is_directory(name, ignored)) require_file(name);
  if (std::filesystem::exists(name, ignored)) require_kind(name, FileKind::torchscript);
}

void load_weights(Network& network, const std::string& path) {
  const Safetensors content = read_safetensors(path);
  try {
    load_tensors(network, content);
  } catch (const Error& error) {
    throw Error(error.code(), path + ": " + error.what());
  }
}

StudentValues student_values(const Student& student) {
  const ParameterVector vector(*student.network, student.spec.train_batch_norm_statistics);
  auto manifest =
      std::make_shared<const Manifest>(vector.manifest()->with_roles(student.spec.roles));
  return {manifest, vector.copy(), fingerprint(student, *manifest)};
}

StudentValues load_student_values(const StudentSpec& spec) {
  return student_values(open_student(spec));
}

Digest student_fingerprint(const StudentSpec& spec) {
  return load_student_values(spec).fingerprint;
}

}  // namespace ams
